//! Takes out the transaction statements of a script, which runs in the build's own transaction.

use std::borrow::Cow;

use super::{
    Dialect,
    blank::{Cover, cover},
    statement::Pieces,
    strip_tsql,
    transaction::{control, serializable},
    words::{HEAD, plain_code},
};

/// `text` with its transaction statements overwritten by spaces, together with the separators after them.
///
/// Length and line ends stay. Strings, comments, quoted names, savepoints and the bodies of procedures, functions and
/// triggers are left alone. In T-SQL an `IF` or block that would be left without a statement gets an empty `PRINT`.
pub fn strip_transactions(text: &str, dialect: Dialect) -> Cow<'_, str> {
    let covers = if dialect == Dialect::TSql {
        strip_tsql::covers(text)
    } else {
        covers(text, dialect)
    };
    cover(text, &covers)
}

fn covers(text: &str, dialect: Dialect) -> Vec<Cover> {
    let mut covers: Vec<Cover> = Vec::new();
    for piece in Pieces::new(text, dialect) {
        let start = piece.range.start;
        let statement = text.get(piece.range.clone()).unwrap_or_default();
        let head: Vec<_> = plain_code(statement, dialect).take(HEAD).collect();
        let words = control(&head, dialect)
            .map(|control| control.words)
            .or_else(|| serializable(&head))
            .unwrap_or(0);
        let Some(last) = words.checked_sub(1).and_then(|index| head.get(index)) else {
            continue;
        };
        let end = start + last.end;
        covers.push((start..end, ""));
        if end == piece.range.end {
            covers.extend(piece.separator.map(|separator| (separator, "")));
        }
    }
    covers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::samples;

    /// The text with runs of blanks shortened, to keep the tables readable.
    fn stripped(text: &str, dialect: Dialect) -> String {
        let result = strip_transactions(text, dialect);
        assert_eq!(result.len(), text.len(), "{text}");
        result.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn check(dialect: Dialect, cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            assert_eq!(stripped(text, dialect), *expected, "{dialect:?}: {text}");
        }
    }

    fn check_kept(dialect: Dialect, texts: &[&str]) {
        for text in texts {
            assert_eq!(strip_transactions(text, dialect), *text, "{dialect:?}");
        }
    }

    #[test]
    fn the_place_of_everything_else_stays() {
        let text = "BEGIN\r\n  TRANSACTION;\r\nSELECT 'é';\nCOMMIT /* é */ WORK ;\n";
        let expected = "     \r\n              \r\nSELECT 'é';\n                    \u{20} \n";
        let result = strip_transactions(text, Dialect::Postgres);
        assert_eq!(result, expected);
        assert!(matches!(
            strip_transactions("SELECT 1", Dialect::Postgres),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn postgres_transactions_are_taken_out_at_top_level_only() {
        check(
            Dialect::Postgres,
            &[
                ("BEGIN; a; COMMIT;", "a;"),
                ("begin work; a; end work", "a;"),
                (
                    "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY, NOT DEFERRABLE; a; END",
                    "a;",
                ),
                (
                    "START TRANSACTION READ WRITE; a; COMMIT AND NO CHAIN; b",
                    "a; b",
                ),
                ("a; ROLLBACK; b; ABORT TRANSACTION; c", "a; b; c"),
                ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; a", "a"),
                ("BEGIN  /* x */ TRANSACTION; a", "a"),
                (
                    "BEGIN TRANSACTION INSERT INTO t VALUES (1);",
                    "INSERT INTO t VALUES (1);",
                ),
                ("BEGIN TRAN; a; COMMIT TRAN; b", "a; b"),
            ],
        );
        check_kept(
            Dialect::Postgres,
            &[
                "ROLLBACK TO SAVEPOINT s; ROLLBACK WORK TO s; SAVEPOINT s; RELEASE s;",
                "COMMIT PREPARED 'x'; ROLLBACK PREPARED 'x'; PREPARE TRANSACTION 'x';",
                "DO $$ BEGIN COMMIT; END $$;",
                "CREATE FUNCTION f() RETURNS int AS $f$ BEGIN; COMMIT; END; $f$ LANGUAGE plpgsql;",
                "CREATE PROCEDURE p() BEGIN ATOMIC SELECT 1; COMMIT; END;",
                "SELECT 'x; COMMIT;'; -- ; COMMIT;\n SELECT \"; COMMIT;\"",
                "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;",
                "BEGIN INSERT INTO t VALUES (1);",
                "SELECT 1 AS COMMIT;",
            ],
        );
    }

    #[test]
    fn sqlite_transactions_are_taken_out_but_not_in_triggers() {
        check(
            Dialect::Sqlite,
            &[
                ("BEGIN IMMEDIATE; a; COMMIT", "a;"),
                ("begin exclusive transaction; a; end transaction; b", "a; b"),
                (
                    "BEGIN DEFERRED TRANSACTION t; a; ROLLBACK TRANSACTION t;",
                    "a;",
                ),
            ],
        );
        check_kept(
            Dialect::Sqlite,
            &[
                "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END;",
                "ROLLBACK TO s; ROLLBACK TRANSACTION TO SAVEPOINT s;",
                "SELECT [; COMMIT;], `; COMMIT;`;",
            ],
        );
    }

    #[test]
    fn mysql_transactions_are_taken_out_but_not_in_programs() {
        check(
            Dialect::MySql,
            &[
                ("BEGIN; a; COMMIT;", "a;"),
                (
                    "START TRANSACTION WITH CONSISTENT SNAPSHOT; a; ROLLBACK WORK AND NO CHAIN RELEASE",
                    "a;",
                ),
                (
                    "SET autocommit = 0; a; set @@session.autocommit:=1; SET SESSION autocommit=1",
                    "a;",
                ),
                ("DELIMITER //\na//\nCOMMIT//\nb//", "DELIMITER // a// b//"),
                ("BEGIN # x\n WORK; a", "a"),
            ],
        );
        check_kept(
            Dialect::MySql,
            &[
                "CREATE PROCEDURE p() BEGIN START TRANSACTION; IF a THEN COMMIT; END IF; END;",
                "DELIMITER $$\nCREATE PROCEDURE p() BEGIN\nROLLBACK;\nEND$$\nDELIMITER ;\n",
                "SET autocommit = 0, sql_mode = '';",
                "SET GLOBAL autocommit = 0;",
                "ROLLBACK TO SAVEPOINT s; ROLLBACK WORK TO s;",
                "SELECT 'it\\'s; COMMIT;', \"; COMMIT;\", `; COMMIT;`;",
            ],
        );
    }

    proptest! {
        #[test]
        fn length_and_line_ends_stay(text in samples::texts(), dialect in samples::dialects()) {
            let result = strip_transactions(&text, dialect);
            prop_assert_eq!(result.len(), text.len());
            let ends = |text: &str| -> Vec<(usize, u8)> {
                text.bytes().enumerate().filter(|(_, byte)| matches!(byte, b'\n' | b'\r')).collect()
            };
            prop_assert_eq!(ends(&result), ends(&text));
        }
    }
}
