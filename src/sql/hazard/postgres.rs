//! PostgreSQL: what `PreventInTransactionBlock` refuses, as the pages of the SQL commands say.
//!
//! `REFRESH MATERIALIZED VIEW CONCURRENTLY`, `CHECKPOINT` and `ANALYZE` are fine, and so is `ALTER TYPE … ADD VALUE` since
//! version 12.

use super::{Finding, HazardKind, words};
use crate::sql::{
    Dialect,
    words::{Code, code, matches, starts},
};

/// Refused by their first words alone.
const REFUSED: &[&str] = &[
    "CREATE DATABASE",
    "DROP DATABASE",
    "CREATE TABLESPACE",
    "DROP TABLESPACE",
    "ALTER DATABASE * SET TABLESPACE",
    "ALTER SYSTEM",
    "CREATE UNIQUE? INDEX CONCURRENTLY",
    "DROP INDEX CONCURRENTLY",
    "VACUUM",
    "DISCARD ALL",
    "COMMIT PREPARED",
    "ROLLBACK PREPARED",
];

/// What makes `statement` a hazard, if it is one.
pub(super) fn finding(statement: &str, head: &[Code<'_>]) -> Option<Finding> {
    if let Some(pattern) = REFUSED.iter().find(|pattern| starts(head, pattern)) {
        return Some((HazardKind::NotInTransaction, words(pattern)));
    }
    let refused = reindex(head)
        .or_else(|| cluster(head))
        .or_else(|| detach(statement, head))
        .or_else(|| subscription(statement, head));
    refused
        .map(|what| (HazardKind::NotInTransaction, what.to_owned()))
        .or_else(|| copy(statement, head))
}

/// `REINDEX` of more than one table, or without locks.
fn reindex(head: &[Code<'_>]) -> Option<&'static str> {
    let words = after_options(head, "REINDEX")?;
    let options = head.get(..head.len() - words.len()).unwrap_or_default();
    let concurrently = options
        .iter()
        .chain(words.get(1))
        .any(|word| word.is("CONCURRENTLY"));
    if concurrently {
        return Some("REINDEX CONCURRENTLY");
    }
    ["DATABASE", "SYSTEM", "SCHEMA"]
        .into_iter()
        .zip(["REINDEX DATABASE", "REINDEX SYSTEM", "REINDEX SCHEMA"])
        .find_map(|(object, what)| starts(words, object).then_some(what))
}

/// `CLUSTER` of all tables.
fn cluster(head: &[Code<'_>]) -> Option<&'static str> {
    let words = after_options(head, "CLUSTER")?;
    let all = words.is_empty() || words.len() == 1 && starts(words, "VERBOSE");
    all.then_some("CLUSTER")
}

fn detach(statement: &str, head: &[Code<'_>]) -> Option<&'static str> {
    if !starts(head, "ALTER TABLE") {
        return None;
    }
    let mut words = code(statement, Dialect::Postgres).skip_while(|word| !word.is("DETACH"));
    words.next()?;
    let detaches = words.next()?.is("PARTITION") && words.last()?.is("CONCURRENTLY");
    detaches.then_some("ALTER TABLE DETACH PARTITION CONCURRENTLY")
}

/// Subscriptions are refused where they would make, change or drop a replication slot, or fetch the list of tables.
fn subscription(statement: &str, head: &[Code<'_>]) -> Option<&'static str> {
    if starts(head, "DROP SUBSCRIPTION") {
        return Some("DROP SUBSCRIPTION");
    }
    let off = |option: &str| is_off(statement, option);
    if starts(head, "CREATE SUBSCRIPTION") {
        let made = !(off("connect") || off("create_slot"));
        return made.then_some("CREATE SUBSCRIPTION");
    }
    let change = head.get(matches(head, "ALTER SUBSCRIPTION *")?..)?;
    if starts(change, "REFRESH") {
        return Some("ALTER SUBSCRIPTION REFRESH");
    }
    if starts(change, "SET|ADD|DROP PUBLICATION") && !off("refresh") {
        return Some("ALTER SUBSCRIPTION PUBLICATION");
    }
    let slot = change
        .iter()
        .any(|word| word.is_one_of(&["failover", "two_phase"]));
    (starts(change, "SET (") && slot).then_some("ALTER SUBSCRIPTION SET")
}

fn copy(statement: &str, head: &[Code<'_>]) -> Option<Finding> {
    if !starts(head, "COPY") {
        return None;
    }
    let mut depth = 0_usize;
    let mut last: Option<Code<'_>> = None;
    for word in code(statement, Dialect::Postgres) {
        if word.is_mark("(") {
            depth += 1;
        } else if word.is_mark(")") {
            depth = depth.saturating_sub(1);
        }
        let last = last.replace(word);
        for (before, stream, what) in [
            ("FROM", "STDIN", "COPY FROM STDIN"),
            ("TO", "STDOUT", "COPY TO STDOUT"),
        ] {
            if depth == 0 && word.is(stream) && last.is_some_and(|last| last.is(before)) {
                return Some((HazardKind::CopyStream, what.to_owned()));
            }
        }
    }
    None
}

/// The words after `command` and its options in parentheses.
fn after_options<'w, 'a>(head: &'w [Code<'a>], command: &str) -> Option<&'w [Code<'a>]> {
    let words = head.get(matches(head, command)?..)?;
    if !words.first().is_some_and(|word| word.is_mark("(")) {
        return Some(words);
    }
    let close = words.iter().position(|word| word.is_mark(")"))?;
    words.get(close + 1..)
}

/// Whether the statement says `option = false`, in one of the ways there are.
fn is_off(statement: &str, option: &str) -> bool {
    let words: Vec<Code<'_>> = code(statement, Dialect::Postgres).collect();
    words.windows(3).any(|window| {
        let [name, equals, value] = window else {
            return false;
        };
        let value = value.text.trim_matches('\'').to_ascii_lowercase();
        name.is(option) && equals.is_mark("=") && matches!(value.as_str(), "false" | "off" | "0")
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_none, found};
    use super::*;

    #[test]
    fn statements_that_the_server_refuses_in_a_transaction_are_found() {
        check(
            Dialect::Postgres,
            HazardKind::NotInTransaction,
            &[
                ("CREATE DATABASE d", "CREATE DATABASE"),
                ("drop /* x */ database d;", "DROP DATABASE"),
                ("CREATE TABLESPACE t LOCATION 'x'", "CREATE TABLESPACE"),
                (
                    "ALTER DATABASE d SET TABLESPACE t",
                    "ALTER DATABASE SET TABLESPACE",
                ),
                ("ALTER SYSTEM SET a = 1", "ALTER SYSTEM"),
                (
                    "CREATE INDEX CONCURRENTLY i ON t (a)",
                    "CREATE INDEX CONCURRENTLY",
                ),
                (
                    "create unique index concurrently i ON t (a)",
                    "CREATE INDEX CONCURRENTLY",
                ),
                ("DROP INDEX CONCURRENTLY i", "DROP INDEX CONCURRENTLY"),
                ("REINDEX DATABASE d", "REINDEX DATABASE"),
                ("REINDEX (VERBOSE) SYSTEM d", "REINDEX SYSTEM"),
                ("REINDEX TABLE CONCURRENTLY t", "REINDEX CONCURRENTLY"),
                ("REINDEX (CONCURRENTLY) TABLE t", "REINDEX CONCURRENTLY"),
                ("VACUUM (ANALYZE) t", "VACUUM"),
                ("CLUSTER", "CLUSTER"),
                ("CLUSTER (VERBOSE)", "CLUSTER"),
                ("DISCARD ALL", "DISCARD ALL"),
                (
                    "ALTER TABLE a DETACH PARTITION b CONCURRENTLY",
                    "ALTER TABLE DETACH PARTITION CONCURRENTLY",
                ),
                ("COMMIT PREPARED 'x'", "COMMIT PREPARED"),
                (
                    "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
                    "CREATE SUBSCRIPTION",
                ),
                ("DROP SUBSCRIPTION s", "DROP SUBSCRIPTION"),
                (
                    "ALTER SUBSCRIPTION s REFRESH PUBLICATION",
                    "ALTER SUBSCRIPTION REFRESH",
                ),
                (
                    "ALTER SUBSCRIPTION \"s\" ADD PUBLICATION p",
                    "ALTER SUBSCRIPTION PUBLICATION",
                ),
                (
                    "ALTER SUBSCRIPTION s SET (failover = true)",
                    "ALTER SUBSCRIPTION SET",
                ),
            ],
        );
    }

    #[test]
    fn statements_that_end_the_transaction_are_found() {
        check(
            Dialect::Postgres,
            HazardKind::EndsTransaction,
            &[
                ("BEGIN", "BEGIN"),
                ("begin isolation level serializable", "BEGIN"),
                ("START TRANSACTION", "START TRANSACTION"),
                ("COMMIT AND CHAIN", "COMMIT"),
                ("END", "END"),
                ("ROLLBACK", "ROLLBACK"),
                ("ABORT", "ABORT"),
                ("PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION"),
            ],
        );
    }

    #[test]
    fn streams_and_client_lines_are_found() {
        use HazardKind::{ChangesDatabase, ClientCommand, CopyStream};
        let postgres = Dialect::Postgres;
        check(
            postgres,
            CopyStream,
            &[
                ("COPY t FROM STDIN", "COPY FROM STDIN"),
                (
                    "copy t (a, b) from stdin with (format csv)",
                    "COPY FROM STDIN",
                ),
                ("COPY (SELECT 1 FROM stdin) TO STDOUT", "COPY TO STDOUT"),
                ("\\copy t from 'x'", "\\copy"),
            ],
        );
        check(
            postgres,
            ClientCommand,
            &[("\\i file.sql", "\\i"), ("  \\set x 1", "\\set")],
        );
        check(
            postgres,
            ChangesDatabase,
            &[("\\c other", "\\c"), ("\\connect other", "\\connect")],
        );
        let text = "SELECT 1\n\\i a\nVACUUM";
        assert_eq!(found(text, postgres).len(), 2);
    }

    #[test]
    fn everything_else_is_no_hazard() {
        check_none(
            Dialect::Postgres,
            &[
                "CREATE TABLE t (a int); INSERT INTO t VALUES (1); SELECT 'VACUUM; COMMIT'",
                "REFRESH MATERIALIZED VIEW CONCURRENTLY v; CHECKPOINT; ANALYZE t; DISCARD PLANS",
                "REINDEX TABLE t; CLUSTER t; CLUSTER VERBOSE t USING i; CREATE INDEX i ON t (a)",
                "SAVEPOINT s; ROLLBACK TO s; RELEASE s; SET TRANSACTION READ ONLY",
                "DO $$ BEGIN COMMIT; VACUUM; END $$; CREATE FUNCTION f() RETURNS int AS 'COMMIT' LANGUAGE sql",
                "CREATE PROCEDURE p() BEGIN ATOMIC SELECT 1; COMMIT; END",
                "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = false)",
                "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (create_slot = off, slot_name = NONE)",
                "ALTER SUBSCRIPTION s ENABLE; ALTER SUBSCRIPTION s SET PUBLICATION p WITH (refresh = false)",
                "ALTER TABLE a DETACH PARTITION b; ALTER TABLE a DETACH PARTITION b FINALIZE",
                "COPY t FROM '/x'; COPY t TO PROGRAM 'stdout'; ALTER DATABASE d SET a = 1",
                "SELECT '\n\\i x\n', $$\n\\c y\n$$ -- \\i\n/*\n\\i z\n*/",
                "USE x",
            ],
        );
    }
}
