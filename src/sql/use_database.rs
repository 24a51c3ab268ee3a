//! `USE`, which would carry the rest of a build into another database.

use std::{borrow::Cow, ops::Range};

use super::{
    Dialect, TokenKind,
    blank::{Cover, cover},
    flow::{Flow, is_keyword},
    statement::Pieces,
    words::{Code, plain_code},
};

/// `text` with its top-level `USE name` statements overwritten by spaces, since the target says which database is built.
///
/// Length and line ends stay. Only T-SQL and MySQL have the statement. In T-SQL one that is all that an `IF` or a block
/// has stays, as its condition would otherwise govern the next statement; [`hazards`](super::hazards) reports it.
pub fn blank_use(text: &str, dialect: Dialect) -> Cow<'_, str> {
    let covers: Vec<Cover> = uses(text, dialect)
        .into_iter()
        .filter(|found| found.removable)
        .map(|found| (found.range.start..found.end, ""))
        .collect();
    cover(text, &covers)
}

/// A statement that changes the database.
#[derive(Clone, Debug)]
pub(super) struct Use {
    /// The statement, without its separator.
    pub(super) range: Range<usize>,
    /// Where it ends with its separator.
    end: usize,
    removable: bool,
}

/// The `USE` statements of `text`.
pub(super) fn uses(text: &str, dialect: Dialect) -> Vec<Use> {
    match dialect {
        Dialect::TSql => uses_of_tsql(text),
        Dialect::MySql => uses_of_mysql(text),
        Dialect::Postgres | Dialect::Sqlite => Vec::new(),
    }
}

fn uses_of_tsql(text: &str) -> Vec<Use> {
    let mut found = Vec::new();
    let mut flow = Flow::new(text);
    let mut done = 0;
    while let Some(spot) = flow.next() {
        let skipped = spot.in_module || spot.in_parentheses || spot.token.range.start < done;
        if skipped || !spot.code.is("USE") {
            continue;
        }
        let ahead = flow.peek(2);
        let Some((name, code)) = ahead.first() else {
            continue;
        };
        // `USE PLAN` and `USE HINT` are options of a query.
        if !is_name(*code) || is_keyword(*code) || code.is_one_of(&["PLAN", "HINT"]) {
            continue;
        }
        done = name.range.end;
        let separator = ahead
            .get(1)
            .filter(|(token, _)| token.kind == TokenKind::Separator);
        found.push(Use {
            range: spot.token.range.start..name.range.end,
            end: separator.map_or(name.range.end, |(token, _)| token.range.end),
            removable: !spot.in_block && !spot.governed,
        });
    }
    found
}

fn uses_of_mysql(text: &str) -> Vec<Use> {
    let mut found = Vec::new();
    for piece in Pieces::new(text, Dialect::MySql) {
        let start = piece.range.start;
        let statement = text.get(piece.range.clone()).unwrap_or_default();
        let words: Vec<Code<'_>> = plain_code(statement, Dialect::MySql).take(2).collect();
        let [first, name] = words.as_slice() else {
            continue;
        };
        if !first.is("USE") || !is_name(*name) {
            continue;
        }
        let end = start + name.end;
        // The client program takes the line for the statement, even when no separator ends it.
        let separator = piece.separator.filter(|_| end == piece.range.end);
        found.push(Use {
            range: start..end,
            end: separator.map_or(end, |separator| separator.end),
            removable: true,
        });
    }
    found
}

fn is_name(code: Code<'_>) -> bool {
    matches!(code.kind, TokenKind::Word | TokenKind::QuotedIdentifier)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::{Lexer, samples};

    fn blanked(text: &str, dialect: Dialect) -> String {
        let result = blank_use(text, dialect);
        assert_eq!(result.len(), text.len(), "{text}");
        result.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn top_level_use_is_taken_out() {
        let cases = [
            ("USE db", ""),
            ("use [My Db];\nSELECT 1", "SELECT 1"),
            ("USE [a]]b] SELECT 1", "SELECT 1"),
            ("SELECT 1\nUSE db\nSELECT 2", "SELECT 1 SELECT 2"),
            (
                "USE db\nGO\nSELECT 1\nGO\n USE /* x */ db ;\n",
                "GO SELECT 1 GO",
            ),
            ("IF 1 = 1 SELECT 1\nUSE db", "IF 1 = 1 SELECT 1"),
            (
                "IF 1 = 1 BEGIN SELECT 1 END\nUSE db",
                "IF 1 = 1 BEGIN SELECT 1 END",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(blanked(text, Dialect::TSql), expected, "{text}");
        }
        let cases = [
            ("USE db;", ""),
            ("USE `my db`; SELECT 1", "SELECT 1"),
            ("USE db\nSELECT 1; use db2;", "SELECT 1;"),
            (
                "DELIMITER //\nUSE db//\nSELECT 1//",
                "DELIMITER // SELECT 1//",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(blanked(text, Dialect::MySql), expected, "{text}");
        }
    }

    #[test]
    fn other_uses_stay() {
        let texts = [
            "IF DB_ID('x') IS NOT NULL USE x\nDROP TABLE t",
            "IF 1 = 1 BEGIN USE x; SELECT 1; END",
            "SELECT 1 OPTION (\nUSE HINT('x'))",
            "SELECT 'USE x', [USE x] -- USE x\n/*\nUSE x\n*/",
            "CREATE PROCEDURE p AS\nUSE x",
            "USE",
        ];
        for text in texts {
            assert_eq!(blank_use(text, Dialect::TSql), text);
        }
        for text in [
            "SELECT * FROM t\nUSE INDEX (i)",
            "CREATE PROCEDURE p() BEGIN USE x; END",
        ] {
            assert_eq!(blank_use(text, Dialect::MySql), text);
        }
        for dialect in [Dialect::Postgres, Dialect::Sqlite] {
            assert_eq!(blank_use("USE db;", dialect), "USE db;");
        }
    }

    proptest! {
        #[test]
        fn length_stays_and_nothing_but_use_goes(text in samples::texts(), dialect in samples::dialects()) {
            let result = blank_use(&text, dialect);
            prop_assert_eq!(result.len(), text.len());
            let code = |text: &str| Lexer::new(text, dialect).filter(|token| token.kind.is_code()).count();
            prop_assert!(code(&result) <= code(&text));
        }
    }
}
