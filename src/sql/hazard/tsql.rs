//! T-SQL: what SQL Server refuses in an explicit transaction.
//!
//! The statements are those of «Transact-SQL Statements Allowed in Transactions» and of the pages of `KILL` and the full-text
//! statements; the procedures are those that answer with error 15002. A statement needs no separator before it, so each
//! keyword is looked at.

use super::{Hazard, HazardKind, words};
use crate::sql::{
    TokenKind,
    flow::{Flow, Spot},
    words::{Code, starts},
};

const REFUSED: &[&str] = &[
    "CREATE DATABASE",
    "ALTER DATABASE",
    "DROP DATABASE",
    "CREATE FULLTEXT CATALOG",
    "ALTER FULLTEXT CATALOG",
    "DROP FULLTEXT CATALOG",
    "CREATE FULLTEXT INDEX",
    "ALTER FULLTEXT INDEX",
    "DROP FULLTEXT INDEX",
    "BACKUP DATABASE",
    "BACKUP LOG",
    "RESTORE DATABASE",
    "RESTORE LOG",
    "RESTORE FILELISTONLY",
    "RESTORE HEADERONLY",
    "RESTORE LABELONLY",
    "RESTORE VERIFYONLY",
    "RECONFIGURE",
    "KILL",
];

/// Objects inside a database whose names start like the database itself.
const ALLOWED: &[&str] = &["CREATE|ALTER|DROP DATABASE AUDIT|ENCRYPTION|SCOPED"];

const PROCEDURES: &[&str] = &[
    "sp_addlinkedserver",
    "sp_addlinkedsrvlogin",
    "sp_addumpdevice",
    "sp_attach_db",
    "sp_attach_single_file_db",
    "sp_configure",
    "sp_dboption",
    "sp_detach_db",
    "sp_droplinkedsrvlogin",
    "sp_dropserver",
    "sp_fulltext_catalog",
    "sp_fulltext_column",
    "sp_fulltext_database",
    "sp_fulltext_service",
    "sp_fulltext_table",
    "sp_renamedb",
    "sp_replicationdboption",
    "sp_serveroption",
    "sp_updatestats",
];

/// How many words the longest beginning has: `EXEC @result = master . dbo . name`.
const LOOK_AHEAD: usize = 8;

/// The hazards of `text`, in its order.
pub(super) fn hazards(text: &str) -> Vec<Hazard> {
    let mut hazards: Vec<Hazard> = Vec::new();
    let mut flow = Flow::new(text);
    // The end of the open hazard is not known before the next statement or separator is.
    let mut open = false;
    let mut end = 0;
    while let Some(spot) = flow.next() {
        let ends = spot.code.kind == TokenKind::Separator || spot.code.kind == TokenKind::BatchLine;
        let found = finding(&spot, &flow);
        if open
            && (ends || found.is_some())
            && let Some(hazard) = hazards.last_mut()
        {
            hazard.range.end = end;
            open = false;
        }
        end = spot.token.range.end;
        if let Some(what) = found {
            hazards.push(Hazard {
                range: spot.token.range.start..end,
                kind: HazardKind::NotInTransaction,
                what,
            });
            open = true;
        }
    }
    if open && let Some(hazard) = hazards.last_mut() {
        hazard.range.end = end;
    }
    hazards
}

fn finding(spot: &Spot<'_>, flow: &Flow<'_>) -> Option<String> {
    const FIRST: &[&str] = &[
        "CREATE",
        "ALTER",
        "DROP",
        "BACKUP",
        "RESTORE",
        "RECONFIGURE",
        "KILL",
        "EXEC",
        "EXECUTE",
    ];
    let is_name = spot.last.is_some_and(|last| {
        last.is_mark(".")
            || last.is_mark(",")
            || last.is_one_of(&["GRANT", "DENY", "REVOKE", "FOR", "ON"])
    });
    if spot.in_module || spot.in_parentheses || is_name {
        return None;
    }
    let starts_batch = spot.last.is_none() && spot.code.kind == TokenKind::Word;
    if !starts_batch && !spot.code.is_one_of(FIRST) {
        return None;
    }
    let mut head = vec![spot.code];
    head.extend(flow.peek(LOOK_AHEAD).into_iter().map(|(_, code)| code));
    if ALLOWED.iter().any(|pattern| starts(&head, pattern)) {
        return None;
    }
    let refused = REFUSED.iter().find(|pattern| starts(&head, pattern));
    refused
        .map(|pattern| words(pattern))
        .or_else(|| procedure(&head))
}

/// The refused procedure that `head` calls; the first statement of a batch needs no `EXEC` for that.
fn procedure(head: &[Code<'_>]) -> Option<String> {
    let mut words = head;
    if starts(words, "EXEC|EXECUTE") {
        words = words.get(1..)?;
        if words.get(1).is_some_and(|word| word.is_mark("=")) {
            words = words.get(2..)?;
        }
    }
    // The last of `a.b.c` and `a..c` is the procedure.
    let mut name = words.first()?;
    let mut rest = words.get(1..)?;
    while let [dot, after @ ..] = rest
        && dot.is_mark(".")
    {
        rest = after;
        if let [next, after @ ..] = rest
            && !next.is_mark(".")
        {
            name = next;
            rest = after;
        }
    }
    let bare = name.text.trim_matches(['[', ']', '"']);
    PROCEDURES
        .iter()
        .find(|procedure| procedure.eq_ignore_ascii_case(bare))
        .map(|procedure| (*procedure).to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::hazards;
    use super::super::tests::{check, check_none, found};
    use super::*;
    use crate::sql::Dialect;

    #[test]
    fn statements_that_the_server_refuses_in_a_transaction_are_found() {
        check(
            Dialect::TSql,
            HazardKind::NotInTransaction,
            &[
                ("CREATE DATABASE d", "CREATE DATABASE"),
                ("alter database [d] set recovery simple", "ALTER DATABASE"),
                (
                    "IF DB_ID('d') IS NULL\nCREATE DATABASE d",
                    "CREATE DATABASE",
                ),
                (
                    "SELECT 1\nBACKUP DATABASE d TO DISK = 'x'",
                    "BACKUP DATABASE",
                ),
                ("RESTORE LOG d FROM DISK = 'x'", "RESTORE LOG"),
                (
                    "CREATE FULLTEXT INDEX ON t (a) KEY INDEX k",
                    "CREATE FULLTEXT INDEX",
                ),
                ("RECONFIGURE WITH OVERRIDE", "RECONFIGURE"),
                ("KILL 53", "KILL"),
                ("EXEC sp_configure 'x', 1", "sp_configure"),
                (
                    "EXEC @r = master.dbo.sp_addlinkedserver 'x'",
                    "sp_addlinkedserver",
                ),
                ("EXECUTE master..[sp_serveroption] 'x'", "sp_serveroption"),
                ("sp_fulltext_database 'enable'", "sp_fulltext_database"),
            ],
        );
    }

    #[test]
    fn use_is_found() {
        check(
            Dialect::TSql,
            HazardKind::ChangesDatabase,
            &[("USE db", "USE"), ("IF 1 = 1 USE [db]", "USE")],
        );
    }

    #[test]
    fn a_hazard_ends_where_its_statement_does() {
        let text = "SELECT 1\nALTER DATABASE d SET x ON; KILL 1\nGO\nRECONFIGURE";
        let parts: Vec<_> = hazards(text, Dialect::TSql)
            .into_iter()
            .map(|hazard| text.get(hazard.range).unwrap())
            .collect();
        assert_eq!(
            parts,
            ["ALTER DATABASE d SET x ON", "KILL 1", "RECONFIGURE"]
        );
    }

    #[test]
    fn everything_else_is_no_hazard() {
        check_none(
            Dialect::TSql,
            &[
                "BEGIN TRAN; COMMIT; ROLLBACK",
                "CREATE TABLE t (a int) ALTER TABLE t ADD b int DROP TABLE t UPDATE STATISTICS t",
                "GRANT CREATE DATABASE TO u; GRANT CREATE TABLE, ALTER DATABASE TO u; DENY BACKUP DATABASE TO u",
                "CREATE DATABASE SCOPED CREDENTIAL c WITH IDENTITY = 'x'; ALTER DATABASE SCOPED CONFIGURATION SET MAXDOP = 1",
                "CREATE PROCEDURE p AS ALTER DATABASE d SET x ON",
                "SELECT 'KILL 1', [KILL] FROM t -- KILL 1\n/* RECONFIGURE */",
                "EXEC p; EXEC dbo.sp_executesql N'KILL 1'; EXEC ('KILL 1')",
                "SELECT 1 OPTION (USE HINT('x'))",
            ],
        );
        assert_eq!(
            found("CREATE PROCEDURE p AS KILL 1\nGO\nKILL 2", Dialect::TSql).len(),
            1
        );
    }
}
