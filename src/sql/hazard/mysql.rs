//! MySQL and MariaDB: the lists of «Statements That Cause an Implicit Commit» in both manuals.
//!
//! A statement that neither those lists nor the list of harmless ones knows may commit, as far as can be told.

use super::{Finding, HazardKind, upper, words};
use crate::sql::{
    Dialect, TokenKind,
    words::{Code, code, plain_code, starts},
};

/// Harmless although they start like those that commit.
const EXCEPTIONS: &[&str] = &[
    // They can not be rolled back either, but they end no transaction.
    "CREATE OR? REPLACE? TEMPORARY TABLE",
    "DROP TEMPORARY TABLE|TABLES",
    "DROP PREPARE",
    "RESET PERSIST",
];

/// Each commits the transaction; `ALTER`, `CREATE` and `DROP` do so for every kind of object.
const COMMITS: &[&str] = &[
    "ANALYZE NO_WRITE_TO_BINLOG|LOCAL? TABLE|TABLES",
    "CACHE INDEX",
    "CHANGE MASTER|REPLICATION",
    "CHECK TABLE|TABLES|VIEW",
    "FLUSH",
    "GRANT",
    "IMPORT TABLE",
    "INSTALL PLUGIN|COMPONENT|SONAME",
    "LOAD INDEX",
    "LOCK TABLE|TABLES",
    "OPTIMIZE",
    "RENAME",
    "REPAIR",
    "RESET",
    "RESTART",
    "REVOKE",
    "SET DEFAULT ROLE",
    "SET PASSWORD",
    "SHUTDOWN",
    "START SLAVE|REPLICA|ALL|GROUP_REPLICATION",
    "STOP SLAVE|REPLICA|ALL|GROUP_REPLICATION",
    "TRUNCATE",
    "UNINSTALL PLUGIN|COMPONENT|SONAME",
    "UNLOCK TABLE|TABLES",
];

/// Never end a transaction. `LOAD DATA` does for tables of the NDB engine, which shows when it has run.
const HARMLESS: &[&str] = &[
    "CHECKSUM",
    "DEALLOCATE",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DO",
    "EXPLAIN",
    "GET",
    "HANDLER",
    "HELP",
    "INSERT",
    "KILL",
    "LOAD",
    "RELEASE",
    "REPLACE",
    "RESIGNAL",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "SET",
    "SHOW",
    "SIGNAL",
    "TABLE",
    "UPDATE",
    "USE",
    "VALUES",
    "WITH",
];

/// What makes `statement` a hazard, if it is one.
pub(super) fn finding(statement: &str, head: &[Code<'_>]) -> Option<Finding> {
    let is = |pattern: &&str| starts(head, pattern);
    if starts(head, "LOAD DATA|XML CONCURRENT|LOW_PRIORITY? LOCAL") {
        return Some((HazardKind::CopyStream, "LOAD DATA LOCAL".to_owned()));
    }
    if starts(head, "USE") && !statement.starts_with(['u', 'U']) {
        // One that is plain to see has been found already.
        return Some((HazardKind::ChangesDatabase, "USE".to_owned()));
    }
    let is_exception = EXCEPTIONS.iter().any(is);
    if has_several(statement) && (is_exception || !starts(head, "ALTER|CREATE|DROP")) {
        return Some((HazardKind::MayCommit, upper(head)));
    }
    if is_exception {
        return None;
    }
    if starts(head, "XA") {
        return Some((HazardKind::NotInTransaction, "XA".to_owned()));
    }
    if starts(head, "ALTER|CREATE|DROP") {
        return Some((HazardKind::ImplicitCommit, object(head)));
    }
    if starts(head, "SET STATEMENT") {
        return Some((HazardKind::MayCommit, "SET STATEMENT".to_owned()));
    }
    if let Some(pattern) = COMMITS.iter().find(|pattern| is(pattern)) {
        let what = if pattern.contains('|') {
            two_words(head)
        } else {
            words(pattern)
        };
        return Some((HazardKind::ImplicitCommit, what));
    }
    let harmless = code(statement, Dialect::MySql)
        .find(|word| !word.is_mark("("))
        .is_some_and(|first| first.is_one_of(HARMLESS));
    (!harmless).then(|| (HazardKind::MayCommit, upper(head)))
}

/// Whether there are several statements in what is sent as one, as after `DELIMITER`, or in a comment that the server runs.
/// Only the first of them is looked at here.
fn has_several(statement: &str) -> bool {
    code(statement, Dialect::MySql).any(|word| word.kind == TokenKind::Separator)
}

/// `statement` as a server reads it that runs none of its executable comments, which may be for newer ones; none when that
/// leaves nothing, or when there are none.
pub(super) fn without_executable_comments(statement: &str) -> Option<String> {
    let words = || plain_code(statement, Dialect::MySql);
    let is_comment = |word: &Code<'_>| word.kind == TokenKind::ExecutableComment;
    if !words().any(|word| is_comment(&word)) || words().all(|word| is_comment(&word)) {
        return None;
    }
    let mut rest = String::with_capacity(statement.len());
    let mut from = 0;
    for comment in words().filter(is_comment) {
        let start = comment.end - comment.text.len();
        rest.push_str(statement.get(from..start)?);
        rest.push(' ');
        from = comment.end;
    }
    rest.push_str(statement.get(from..)?);
    Some(rest)
}

/// `CREATE TABLE` and the like, without the words between.
fn object(head: &[Code<'_>]) -> String {
    const OBJECTS: &[&str] = &[
        "DATABASE",
        "EVENT",
        "FUNCTION",
        "INDEX",
        "INSTANCE",
        "LOGFILE",
        "PACKAGE",
        "PROCEDURE",
        "RESOURCE",
        "ROLE",
        "SCHEMA",
        "SEQUENCE",
        "SERVER",
        "SPATIAL",
        "TABLE",
        "TABLES",
        "TABLESPACE",
        "TRIGGER",
        "USER",
        "VIEW",
    ];
    let found = head.iter().skip(1).find(|word| word.is_one_of(OBJECTS));
    let second = found.or_else(|| head.get(1));
    match second {
        Some(second) => format!("{} {}", upper(head), second.text.to_uppercase()),
        None => upper(head),
    }
}

fn two_words(head: &[Code<'_>]) -> String {
    object(head.get(..2).unwrap_or(head))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_none, found};
    use super::*;

    #[test]
    fn statements_that_commit_are_found() {
        check(
            Dialect::MySql,
            HazardKind::ImplicitCommit,
            &[
                ("CREATE TABLE t (a int)", "CREATE TABLE"),
                (
                    "create or replace definer = `a`@`b` view v as select 1",
                    "CREATE VIEW",
                ),
                ("ALTER TABLE t ADD a int", "ALTER TABLE"),
                ("DROP INDEX i ON t", "DROP INDEX"),
                ("CREATE UNIQUE INDEX i ON t (a)", "CREATE INDEX"),
                ("TRUNCATE TABLE t", "TRUNCATE"),
                ("RENAME TABLE a TO b", "RENAME"),
                ("GRANT ALL ON x TO y", "GRANT"),
                ("SET PASSWORD = 'x'", "SET PASSWORD"),
                ("SET PASSWORD FOR a = 'x'", "SET PASSWORD"),
                ("LOCK TABLES t WRITE", "LOCK TABLES"),
                ("ANALYZE LOCAL TABLE t", "ANALYZE LOCAL"),
                ("OPTIMIZE TABLE t", "OPTIMIZE"),
                ("FLUSH PRIVILEGES", "FLUSH"),
                ("START REPLICA", "START REPLICA"),
                ("CHANGE MASTER TO MASTER_HOST = 'x'", "CHANGE MASTER"),
                (
                    "/*!50003 CREATE*/ /*!50020 DEFINER=`a`@`b`*/ /*!50003 TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET @a = 1 */",
                    "CREATE TRIGGER",
                ),
                (
                    "CREATE PROCEDURE p() BEGIN SELECT 1; COMMIT; END",
                    "CREATE PROCEDURE",
                ),
                (
                    "DELIMITER //\nCREATE PROCEDURE p() BEGIN COMMIT; END//\nDELIMITER ;",
                    "CREATE PROCEDURE",
                ),
                ("CREATE SEQUENCE s", "CREATE SEQUENCE"),
            ],
        );
    }

    #[test]
    fn transactions_are_found() {
        check(
            Dialect::MySql,
            HazardKind::EndsTransaction,
            &[
                ("BEGIN WORK", "BEGIN"),
                ("START TRANSACTION READ ONLY", "START TRANSACTION"),
                ("COMMIT", "COMMIT"),
                ("/*!40000 COMMIT */", "COMMIT"),
                ("ROLLBACK", "ROLLBACK"),
                ("SET autocommit = 1", "SET autocommit"),
                (
                    "SET sql_mode = '', @@SESSION.autocommit = 1",
                    "SET autocommit",
                ),
            ],
        );
        check(
            Dialect::MySql,
            HazardKind::NotInTransaction,
            &[("XA START 'x'", "XA")],
        );
        check(
            Dialect::MySql,
            HazardKind::ChangesDatabase,
            &[("use db;", "USE")],
        );
    }

    #[test]
    fn what_cannot_be_known_may_commit() {
        check(
            Dialect::MySql,
            HazardKind::MayCommit,
            &[
                ("CALL p()", "CALL"),
                ("PREPARE s FROM 'DROP TABLE t'", "PREPARE"),
                ("EXECUTE s", "EXECUTE"),
                ("BEGIN NOT ATOMIC COMMIT; END", "BEGIN"),
                ("FROBNICATE x", "FROBNICATE"),
                (
                    "SET STATEMENT max_statement_time = 1 FOR DROP TABLE t",
                    "SET STATEMENT",
                ),
                ("DELIMITER //\nSELECT 1; DROP TABLE t//", "SELECT"),
                ("/*! SELECT 1; DROP TABLE t */", "SELECT"),
                (
                    "DELIMITER //\nDROP TEMPORARY TABLE IF EXISTS x; CREATE TABLE x (a int)//",
                    "DROP",
                ),
                (
                    "DELIMITER //\nCREATE TEMPORARY TABLE x (a int); INSERT INTO t VALUES (1)//",
                    "CREATE",
                ),
                ("/*! DROP PREPARE s; CREATE TABLE x (a int); */", "DROP"),
            ],
        );
        assert_eq!(found("#BuildDescription#", Dialect::MySql).len(), 1);
    }

    #[test]
    fn a_comment_that_a_server_may_not_run_hides_nothing() {
        for (text, kind, what) in [
            (
                "/*!99999 SELECT */ DROP TABLE t",
                HazardKind::ImplicitCommit,
                "DROP TABLE",
            ),
            (
                "CREATE /*!99999 TEMPORARY */ TABLE t (a int)",
                HazardKind::ImplicitCommit,
                "CREATE TABLE",
            ),
            (
                "/*!99999 DO */ COMMIT",
                HazardKind::EndsTransaction,
                "COMMIT",
            ),
            (
                "/*M!99999 SET @a = */ USE db",
                HazardKind::ChangesDatabase,
                "USE",
            ),
            (
                "/*!40000 COMMIT AND */ SELECT 1",
                HazardKind::EndsTransaction,
                "COMMIT",
            ),
            (
                "/*!50003 CREATE */ TABLE t (a int)",
                HazardKind::ImplicitCommit,
                "CREATE TABLE",
            ),
        ] {
            assert_eq!(
                found(text, Dialect::MySql),
                [(kind, what.to_owned())],
                "{text}"
            );
        }
        check_none(
            Dialect::MySql,
            &[
                "INSERT /*!40000 LOW_PRIORITY */ INTO t VALUES (1); /*!40101 SET */ /*!40101 @a = 1 */",
            ],
        );
    }

    #[test]
    fn files_of_the_client_and_hidden_changes_of_the_database_are_found() {
        check(
            Dialect::MySql,
            HazardKind::CopyStream,
            &[
                ("LOAD DATA LOCAL INFILE 'x' INTO TABLE t", "LOAD DATA LOCAL"),
                (
                    "load xml low_priority local infile 'x' into table t",
                    "LOAD DATA LOCAL",
                ),
            ],
        );
        check(
            Dialect::MySql,
            HazardKind::ChangesDatabase,
            &[("/*!40000 USE db */", "USE")],
        );
    }

    #[test]
    fn everything_else_is_no_hazard() {
        check_none(
            Dialect::MySql,
            &[
                "INSERT INTO t VALUES (1); UPDATE t SET a = 1; DELETE FROM t; REPLACE INTO t VALUES (2)",
                "(SELECT 1) UNION (SELECT 2); WITH x AS (SELECT 1) SELECT * FROM x; ((SELECT 1))",
                "CREATE TEMPORARY TABLE t (a int); DROP TEMPORARY TABLE IF EXISTS t; DEALLOCATE PREPARE s",
                "SET @a = 1; SET NAMES utf8mb4; SET GLOBAL autocommit = 0; SET @autocommit = 1",
                "SAVEPOINT s; ROLLBACK TO SAVEPOINT s; RELEASE SAVEPOINT s",
                "LOAD DATA INFILE 'x' INTO TABLE t; /*!40101 SET NAMES utf8 */; RESET PERSIST",
                "SELECT 'COMMIT; CREATE TABLE t', `COMMIT`; -- COMMIT;\n# COMMIT;\n/* COMMIT; */",
            ],
        );
    }
}
