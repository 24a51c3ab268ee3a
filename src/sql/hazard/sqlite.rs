//! SQLite: what it refuses or silently ignores in a transaction, as the pages of `VACUUM`, `ATTACH`, `DETACH` and
//! `PRAGMA` say and trials with the library showed.

use super::{Finding, HazardKind, words};
use crate::sql::words::{Code, matches, starts};

/// `ATTACH` itself runs, but brings in a file that the build has no lock on, and `DETACH` is then refused.
const REFUSED: &[&str] = &["VACUUM", "ATTACH", "DETACH"];

/// Pragmas whose new value is refused (`synchronous`, `temp_store`) or ignored (the others).
const PRAGMAS: &[&str] = &[
    "auto_vacuum",
    "encoding",
    "foreign_keys",
    "journal_mode",
    "page_size",
    "synchronous",
    "temp_store",
];

/// What makes the statement that starts with `head` a hazard, if it is one.
pub(super) fn finding(head: &[Code<'_>]) -> Option<Finding> {
    let refused = REFUSED.iter().find(|pattern| starts(head, pattern));
    refused
        .map(|pattern| words(pattern))
        .or_else(|| pragma(head))
        .map(|what| (HazardKind::NotInTransaction, what))
}

fn pragma(head: &[Code<'_>]) -> Option<String> {
    let words = head.get(matches(head, "PRAGMA")?..)?;
    let name = match matches(words, "* .") {
        Some(schema) => words.get(schema..)?,
        None => words,
    };
    let sets = name
        .get(1)
        .is_some_and(|next| next.is_mark("=") || next.is_mark("("));
    let pragma = name.first()?;
    let refused = sets && pragma.is_one_of(PRAGMAS) || pragma.is("wal_checkpoint");
    refused.then(|| format!("PRAGMA {}", pragma.text.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_none};
    use super::*;
    use crate::sql::Dialect;

    #[test]
    fn statements_that_do_not_work_in_a_transaction_are_found() {
        check(
            Dialect::Sqlite,
            HazardKind::NotInTransaction,
            &[
                ("VACUUM", "VACUUM"),
                ("vacuum main into 'x'", "VACUUM"),
                ("ATTACH 'x' AS y", "ATTACH"),
                ("DETACH DATABASE y", "DETACH"),
                ("PRAGMA journal_mode = WAL", "PRAGMA journal_mode"),
                ("PRAGMA main.Journal_Mode(wal)", "PRAGMA journal_mode"),
                ("pragma foreign_keys=ON;", "PRAGMA foreign_keys"),
                ("PRAGMA wal_checkpoint", "PRAGMA wal_checkpoint"),
            ],
        );
    }

    #[test]
    fn transactions_and_shell_commands_are_found() {
        check(
            Dialect::Sqlite,
            HazardKind::EndsTransaction,
            &[
                ("BEGIN IMMEDIATE", "BEGIN"),
                ("END TRANSACTION", "END"),
                ("COMMIT", "COMMIT"),
                ("ROLLBACK TRANSACTION", "ROLLBACK"),
            ],
        );
        check(
            Dialect::Sqlite,
            HazardKind::ClientCommand,
            &[(".mode csv", ".mode"), ("\n.read x", ".read")],
        );
        check(
            Dialect::Sqlite,
            HazardKind::ChangesDatabase,
            &[(".open x.db", ".open")],
        );
    }

    #[test]
    fn everything_else_is_no_hazard() {
        check_none(
            Dialect::Sqlite,
            &[
                "PRAGMA journal_mode; PRAGMA foreign_keys; PRAGMA user_version = 3; PRAGMA cache_size(10)",
                "PRAGMA defer_foreign_keys = ON; PRAGMA optimize; REINDEX; ANALYZE",
                "SAVEPOINT s; ROLLBACK TO s; RELEASE s",
                "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END; SELECT 'VACUUM;'",
                "SELECT t\n.mode FROM t; SELECT '\n.mode\n'",
            ],
        );
    }
}
