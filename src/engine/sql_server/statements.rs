//! What a session sends by itself.

use std::time::Duration;

use super::{
    super::schema::Table,
    convert::{literal, quote_name},
};
use crate::{
    protocol::Platform,
    sql::{Dialect, Lexer},
};

/// The state in which each script finds the session: what Microsoft's own client sets, so that indexed views, filtered
/// indexes and computed columns work, and no limit but the package's time-outs. A script that changes any of it changes it
/// for itself alone.
///
/// `XACT_ABORT` is off, as in the reference program. With it on, any error rolls back the whole transaction, and a
/// script that may fail (`RollBackOnError`, `CausesBuildFailure`) could not be undone by itself: there would be no savepoint
/// to return to. Nothing is lost by that: a build that fails is rolled back as a whole anyway. A script may switch it on for
/// itself; its first error then ends the build. `NOCOUNT` is off, since the counts go to the log.
pub(super) const CLEAN: &str = "SET ANSI_NULLS ON; SET ANSI_NULL_DFLT_ON ON; SET ANSI_PADDING ON; SET ANSI_WARNINGS ON; \
    SET ARITHABORT ON; SET CONCAT_NULL_YIELDS_NULL ON; SET QUOTED_IDENTIFIER ON; SET NUMERIC_ROUNDABORT OFF; \
    SET CURSOR_CLOSE_ON_COMMIT OFF; SET IMPLICIT_TRANSACTIONS OFF; SET NOCOUNT OFF; SET XACT_ABORT OFF; \
    SET ROWCOUNT 0; SET TEXTSIZE 2147483647; SET LOCK_TIMEOUT -1; SET DEADLOCK_PRIORITY NORMAL; \
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED; ";

/// The modes in which the server does not run what it is sent. Each is switched in a batch of its own: what follows in the
/// same batch may be left out, and some must be alone in theirs.
pub(super) const SILENT_MODES: [&str; 6] = [
    "NOEXEC",
    "PARSEONLY",
    "FMTONLY",
    "SHOWPLAN_ALL",
    "SHOWPLAN_TEXT",
    "SHOWPLAN_XML",
];

/// Ends those that a script can have switched on without anybody asking, since each batch runs by itself.
pub(super) const SPEAK: &str = "SET NOEXEC OFF; SET PARSEONLY OFF; SET FMTONLY OFF";

/// Takes back what [`asks_for_figures`]. Not a part of [`CLEAN`]: who has the right to ask has the right to take back, but not
/// everybody has it.
pub(super) const NO_FIGURES: &str = "SET STATISTICS IO OFF; SET STATISTICS TIME OFF; SET STATISTICS PROFILE OFF; SET STATISTICS XML OFF";

/// Whether a batch asks for figures or plans besides the results, which the session then gets of all later batches.
pub(super) fn asks_for_figures(sql: &str) -> bool {
    if !contains_word(sql, "statistics") {
        return false;
    }
    let code = Lexer::new(sql, Dialect::TSql).filter(|token| token.kind.is_code());
    let words = code.map(|token| sql.get(token.range).unwrap_or_default());
    let mut after_set = false;
    for word in words {
        if after_set && word.eq_ignore_ascii_case("statistics") {
            return true;
        }
        after_set = word.eq_ignore_ascii_case("set");
    }
    false
}

fn contains_word(sql: &str, word: &str) -> bool {
    sql.as_bytes()
        .windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whose rights the session has: its login, unless a script has left it to somebody else (`EXECUTE AS`).
pub(super) const WHO: &str = "SELECT CONCAT(SUSER_SNAME(), N'/', USER_NAME());";

/// Takes the session back by one step.
pub(super) const REVERT: &str = "REVERT";

/// The name of a build's application lock. Such locks belong to one database.
const LOCK: &str = "sbm build";

/// Takes the build lock and asks what is to be known of the database: one round trip.
///
/// Four results: the answer of the lock; the database; [`WHO`]; the columns of our tables. The lock belongs to the session,
/// so it lasts over the transactions of the build and dies with the connection. A time-out of 0 asks once.
pub(super) fn lock(wait: Duration, schema: &str) -> String {
    let milliseconds = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    let tables = Table::ALL
        .map(|table| literal(table.name(Platform::SqlServer)))
        .join(", ");
    let schema_text = literal(schema);
    let right = |right: &str| {
        format!(
            "ISNULL(HAS_PERMS_BY_NAME({} + QUOTENAME(o.name), 'OBJECT', '{right}'), 1)",
            literal(&format!("{}.", quote_name(schema)))
        )
    };
    format!(
        "{CLEAN}DECLARE @answer int; \
         EXEC @answer = sp_getapplock @Resource = N'{LOCK}', @LockMode = 'Exclusive', @LockOwner = 'Session', \
         @LockTimeout = {milliseconds}, @DbPrincipal = 'public'; \
         SELECT @answer; \
         SELECT DB_NAME(); \
         {WHO} \
         SELECT o.name, c.name, CAST(CASE WHEN c.max_length < 0 THEN NULL WHEN t.name IN (N'varchar', N'char') THEN \
         c.max_length WHEN t.name IN (N'nvarchar', N'nchar') THEN c.max_length / 2 END AS int), \
         CAST({} AS int), CAST({} AS int) \
         FROM sys.columns c JOIN sys.objects o ON o.object_id = c.object_id \
         JOIN sys.schemas s ON s.schema_id = o.schema_id JOIN sys.types t ON t.user_type_id = c.user_type_id \
         WHERE s.name = {schema_text} AND o.type = 'U' AND o.name IN ({tables});",
        right("SELECT"),
        right("INSERT"),
    )
}

/// Opens the build's transaction and tells its id.
pub(super) const BEGIN: &str = "BEGIN TRANSACTION; SELECT CAST(@@TRANCOUNT AS int), CAST(XACT_STATE() AS int), CAST(CURRENT_TRANSACTION_ID() AS bigint)";

/// Commits the transaction `id`, and nothing else; the answer is 0 when it has.
///
/// A script that began a transaction and did not end it leaves `@@TRANCOUNT` above 1. Such a transaction has no life of
/// its own, so all levels are committed together; a single COMMIT would change nothing, and the end of the connection
/// would roll everything back.
pub(super) fn commit(id: i64) -> String {
    format!(
        "DECLARE @depth int; SET @depth = -1; IF @@TRANCOUNT > 0 AND CURRENT_TRANSACTION_ID() = {id} BEGIN \
         WHILE @@TRANCOUNT > 0 COMMIT TRANSACTION; SET @depth = @@TRANCOUNT; END; SELECT @depth"
    )
}

/// Commits what a script left open.
pub(super) const COMMIT_OPEN: &str =
    "WHILE @@TRANCOUNT > 0 COMMIT TRANSACTION; SELECT CAST(@@TRANCOUNT AS int)";

/// Rolls back what is open.
pub(super) const ROLL_BACK: &str =
    "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION; SELECT CAST(@@TRANCOUNT AS int)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_waits_as_long_as_it_is_told_and_no_longer_than_the_server_can_count() {
        assert!(lock(Duration::ZERO, "dbo").contains("@LockTimeout = 0,"));
        assert!(lock(Duration::from_millis(1500), "dbo").contains("@LockTimeout = 1500,"));
        assert!(lock(Duration::MAX, "dbo").contains("@LockTimeout = 2147483647,"));
    }

    #[test]
    fn a_schema_cannot_leave_its_quotes() {
        let sql = lock(Duration::ZERO, "o'x]");
        assert!(sql.contains("s.name = N'o''x]'"), "{sql}");
        assert!(
            sql.contains("HAS_PERMS_BY_NAME(N'[o''x]]].' + QUOTENAME(o.name)"),
            "{sql}"
        );
    }

    #[test]
    fn only_who_asks_for_figures_is_found_to_do_so() {
        for (sql, asks) in [
            ("SELECT 1; set /* x */ Statistics xml ON", true),
            ("UPDATE STATISTICS t", false),
            (
                "SELECT 'SET STATISTICS IO ON' -- SET STATISTICS IO ON",
                false,
            ),
            ("SET NOCOUNT ON", false),
        ] {
            assert_eq!(asks_for_figures(sql), asks, "{sql}");
        }
    }

    #[test]
    fn no_statement_of_ours_holds_a_placeholder() {
        for sql in [
            CLEAN,
            BEGIN,
            COMMIT_OPEN,
            ROLL_BACK,
            &commit(7),
            &lock(Duration::ZERO, "dbo"),
        ] {
            assert!(!sql.contains('?'), "{sql}");
        }
    }
}
