//! Cuts a batch into its statements.

use std::ops::Range;

use super::{Dialect, Lexer, Token, TokenKind, nesting::Nesting, words::Code};

/// The top-level statements of `text`, each from its first to its last piece of code, without its separator.
///
/// Bodies with separators in them stay whole: triggers of SQLite, `BEGIN ATOMIC` functions and rules of PostgreSQL,
/// stored programs of MySQL, blocks and modules of T-SQL. MySQL's `DELIMITER` lines are obeyed and left out. T-SQL needs
/// no separators, so there a piece may hold several statements. A line for a client program is a statement of its own.
pub fn statements(text: &str, dialect: Dialect) -> Vec<Range<usize>> {
    Pieces::new(text, dialect)
        .map(|piece| piece.range)
        .collect()
}

/// The longest statement of `text`.
pub fn longest_statement(text: &str, dialect: Dialect) -> Option<Range<usize>> {
    Pieces::new(text, dialect)
        .map(|piece| piece.range)
        .max_by_key(ExactSizeIterator::len)
}

/// Why a statement of `bytes` bytes is not sent to a server that takes `limit`.
pub fn too_long(bytes: usize, limit: usize) -> String {
    format!(
        "the statement has {bytes} bytes, and the server takes {limit} (max_allowed_packet); split it, or let the server \
         take more"
    )
}

/// A statement, and what ended it.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// From its first to its last piece of code.
    pub(super) range: Range<usize>,
    /// What ended it, unless the text or batch did.
    pub(super) separator: Option<Range<usize>>,
    /// Whether it is a line for a client program.
    pub(super) is_client_line: bool,
}

/// The statements of a text, one by one.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    lexer: Lexer<'a>,
    dialect: Dialect,
    nesting: Nesting<'a>,
    /// A line that ended a statement and has not been looked at itself.
    held_back: Option<Token>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect) -> Self {
        Self {
            lexer: Lexer::new(text, dialect),
            dialect,
            nesting: Nesting::new(dialect),
            held_back: None,
        }
    }

    fn ends_statement(&self, token: &Token) -> bool {
        token.kind == TokenKind::Separator
            && (self.lexer.has_custom_delimiter() || !self.nesting.holds())
    }

    fn piece(&mut self, range: Range<usize>) -> Piece {
        self.nesting = Nesting::new(self.dialect);
        Piece {
            range,
            separator: None,
            is_client_line: false,
        }
    }
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let mut open: Option<Range<usize>> = None;
        loop {
            let Some(token) = self.held_back.take().or_else(|| self.lexer.next_code()) else {
                return open.map(|range| self.piece(range));
            };
            if token.kind.is_line() {
                if let Some(range) = open {
                    self.held_back = Some(token);
                    return Some(self.piece(range));
                }
                if token.kind == TokenKind::ClientLine {
                    let mut piece = self.piece(token.range);
                    piece.is_client_line = true;
                    return Some(piece);
                }
            } else if self.ends_statement(&token) {
                if let Some(range) = open {
                    let mut piece = self.piece(range);
                    piece.separator = Some(token.range);
                    return Some(piece);
                }
            } else {
                self.nesting.observe(Code {
                    kind: token.kind,
                    text: self.lexer.text_of(&token),
                    end: token.range.end,
                });
                let start = open.map_or(token.range.start, |range| range.start);
                open = Some(start..token.range.end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::samples;

    fn split(text: &str, dialect: Dialect) -> Vec<&str> {
        statements(text, dialect)
            .into_iter()
            .map(|range| text.get(range).unwrap())
            .collect()
    }

    /// Each text is one statement, and so it is between two others.
    fn check_whole(dialect: Dialect, texts: &[&str]) {
        for text in texts {
            assert_eq!(split(text, dialect), [*text], "{dialect:?}");
            let between = format!("a; {text}; b;");
            assert_eq!(split(&between, dialect), ["a", *text, "b"], "{dialect:?}");
        }
    }

    #[test]
    fn separators_split_and_comments_around_are_left_out() {
        for dialect in Dialect::ALL {
            let cases: &[(&str, &[&str])] = &[
                ("", &[]),
                (" ; -- x\n ;; /* y */", &[]),
                ("a", &["a"]),
                (
                    "-- x\n a /* y */ b ; /* z */\nc -- end",
                    &["a /* y */ b", "c"],
                ),
                (
                    "'a;b' ; \"c;d\"; e -- ;\n f",
                    &["'a;b'", "\"c;d\"", "e -- ;\n f"],
                ),
                ("a\nGO\nb", &["a", "b"]),
                ("#BuildFileName#; a", &["#BuildFileName#", "a"]),
            ];
            for (text, expected) in cases {
                assert_eq!(split(text, dialect), *expected, "{dialect:?}: {text}");
            }
        }
    }

    #[test]
    fn postgres_bodies_stay_whole() {
        check_whole(
            Dialect::Postgres,
            &[
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END",
                "create or replace procedure p() begin atomic insert into t values (1); end",
                "CREATE FUNCTION f() BEGIN ATOMIC SELECT t.end, 1 AS case; SELECT 2; END",
                "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b)",
                "DO $$ BEGIN a; b; END $$",
                "CREATE FUNCTION f() RETURNS int AS $f$ BEGIN; END; $f$ LANGUAGE plpgsql",
                "CREATE FUNCTION begin() RETURNS int RETURN 1",
            ],
        );
        assert_eq!(
            split("BEGIN; SELECT 1; END;", Dialect::Postgres),
            ["BEGIN", "SELECT 1", "END"]
        );
        assert_eq!(
            split("a\n\\i x ; y\nb", Dialect::Postgres),
            ["a", "\\i x ; y", "b"]
        );
    }

    #[test]
    fn sqlite_triggers_stay_whole() {
        check_whole(
            Dialect::Sqlite,
            &[
                "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; UPDATE a SET b = CASE WHEN c THEN 1 END; END",
                "create temp trigger if not exists t before delete on a begin select 1;\n-- x\nend",
                "EXPLAIN QUERY PLAN CREATE TEMPORARY TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END",
                "CREATE TABLE trigger (a)",
            ],
        );
        assert_eq!(
            split("BEGIN; a; END", Dialect::Sqlite),
            ["BEGIN", "a", "END"]
        );
    }

    #[test]
    fn mysql_programs_stay_whole() {
        check_whole(
            Dialect::MySql,
            &[
                "CREATE PROCEDURE p() BEGIN SELECT 1; BEGIN SELECT 2; END; SELECT 3; END",
                "CREATE DEFINER = `a`@`b` PROCEDURE p() BEGIN IF a THEN SELECT 1; ELSEIF b THEN SELECT 2; ELSE SELECT 3; END IF; END",
                "CREATE PROCEDURE p() BEGIN SELECT IF(a, 1, 2), REPEAT('x', 3); SELECT CASE WHEN a THEN IF(b, 1, 2) END; END",
                "CREATE PROCEDURE p() BEGIN CASE x WHEN 1 THEN SELECT 1; ELSE IF y THEN SELECT 2; END IF; END CASE; END",
                "CREATE PROCEDURE p() l: LOOP WHILE x DO SET a = 1; END WHILE; LEAVE l; END LOOP l",
                "CREATE PROCEDURE p() REPEAT SET a = a + 1; UNTIL a > 5 END REPEAT",
                "CREATE PROCEDURE p() BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; END; SELECT 1; END",
                "CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW IF NEW.a > 1 THEN SET NEW.a = 1; END IF",
                "CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW SET NEW.a = IF(NEW.b, 1, 2)",
                "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN IF(1, 2, 3)",
                "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO BEGIN DELETE FROM a; DELETE FROM b; END",
                "CREATE PROCEDURE p() BEGIN SELECT begin, t.end FROM t WHERE end > 1 ORDER BY end; SELECT 1; END",
                "CREATE PROCEDURE IF NOT EXISTS p() BEGIN DROP TABLE IF EXISTS t; CREATE TABLE IF NOT EXISTS t (a int); END",
                "BEGIN NOT ATOMIC SELECT 1; SELECT 2; END",
                "/*!50003 CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW BEGIN a; b; END */",
            ],
        );
        let plain = ["BEGIN", "SELECT 1", "COMMIT", "CREATE TABLE t (a int)"];
        assert_eq!(split(&plain.join(";"), Dialect::MySql), plain);
    }

    #[test]
    fn mysql_delimiters_are_obeyed() {
        let text = "a;\nDELIMITER //\nCREATE PROCEDURE p() BEGIN x; END//\nb//\nDELIMITER ;\nc; d";
        let expected = ["a", "CREATE PROCEDURE p() BEGIN x; END", "b", "c", "d"];
        assert_eq!(split(text, Dialect::MySql), expected);
        let text = "delimiter $$\r\nSELECT 1; END$$\r\ndelimiter ;\r\n";
        assert_eq!(split(text, Dialect::MySql), ["SELECT 1; END"]);
        let text = "DELIMITER ;;\na; b ;; c\nDELIMITER ;\nd;";
        assert_eq!(split(text, Dialect::MySql), ["a; b", "c", "d"]);
        assert_eq!(split("DELIMITER\na; b", Dialect::MySql).len(), 2);
    }

    #[test]
    fn tsql_blocks_and_modules_stay_whole() {
        check_whole(
            Dialect::TSql,
            &[
                "IF 1 = 1 BEGIN a; b; END",
                "BEGIN TRY a; END TRY BEGIN CATCH b; END CATCH",
                "SELECT CASE WHEN 1 = 1 THEN 1 END",
            ],
        );
        let module = "CREATE OR ALTER PROC p AS a; BEGIN TRAN; b; COMMIT;";
        assert_eq!(
            split(&format!("x; {module}\nGO\ny"), Dialect::TSql),
            ["x", module, "y"]
        );
        let text = "BEGIN TRAN; a; COMMIT; BEGIN DIALOG @h; END CONVERSATION @h; b";
        assert_eq!(split(text, Dialect::TSql).len(), 6);
    }

    proptest! {
        #[test]
        fn statements_are_in_order_and_cover_the_code(text in samples::texts(), dialect in samples::dialects()) {
            let found = statements(&text, dialect);
            prop_assert!(found.is_sorted_by(|one, next| one.end <= next.start));
            for token in Lexer::new(&text, dialect) {
                let covered = found.iter().any(|range| {
                    range.start <= token.range.start && token.range.end <= range.end
                });
                let needed = token.kind.is_code() && !matches!(
                    token.kind,
                    TokenKind::Separator | TokenKind::BatchLine | TokenKind::DelimiterLine
                );
                prop_assert!(covered || !needed, "{token:?} in {text:?}");
            }
        }
    }
}
