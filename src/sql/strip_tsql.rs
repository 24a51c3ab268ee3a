//! The transaction statements of T-SQL, which may stand anywhere in a batch.

use std::{collections::HashSet, ops::Range};

use super::{
    TokenKind,
    blank::Cover,
    flow::{Flow, Spot, is_keyword},
    words::{Code, matches},
};

/// Does nothing; it stands where a statement is needed.
const NOTHING: &str = "PRINT''";

/// No statement at all: where there is no room for one, the server shall refuse the batch rather than take the next
/// statement for the one that is missing.
const REFUSED: &str = ";";

/// How far the longest transaction statement reaches beyond its first word.
const LOOK_AHEAD: usize = 10;

/// The transaction statements of `text` and what is to stand in their place.
pub(super) fn covers(text: &str) -> Vec<Cover> {
    let mut covers = Vec::new();
    let mut savepoints = HashSet::new();
    let mut flow = Flow::new(text);
    let mut done = 0;
    while let Some(spot) = flow.next() {
        if spot.in_module || spot.token.range.start < done || !can_start(&spot) {
            continue;
        }
        let mut words = vec![spot.code];
        let ahead = flow.peek(LOOK_AHEAD);
        words.extend(ahead.iter().map(|(_, code)| *code));
        if matches(&words, "SAVE TRAN|TRANSACTION").is_some() {
            savepoints.extend(words.get(2).map(|name| folded(name)));
        }
        let Some(count) = statement(text, &words, &spot, &savepoints) else {
            continue;
        };
        let (end, next) = end_of(&words, count);
        let range = spot.token.range.start..end;
        let alone = spot
            .last
            .is_some_and(|last| last.is_one_of(&["BEGIN", "TRY", "CATCH"]))
            && next.is_some_and(|next| next.is("END"));
        covers.push(if spot.governed || alone {
            replaced(text, range, spot.last)
        } else {
            (range, "")
        });
        done = end;
    }
    covers
}

/// Whether a statement about transactions can start here; `WITH ROLLBACK IMMEDIATE` is none.
fn can_start(spot: &Spot<'_>) -> bool {
    let continues = spot
        .last
        .is_some_and(|last| last.is_mark(".") || last.is("WITH"));
    !continues
        && spot
            .code
            .is_one_of(&["BEGIN", "COMMIT", "ROLLBACK", "SET", "SAVE"])
}

/// How many of `words` are a transaction statement.
fn statement(
    text: &str,
    words: &[Code<'_>],
    spot: &Spot<'_>,
    savepoints: &HashSet<String>,
) -> Option<usize> {
    if let Some(count) = matches(words, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE") {
        return Some(count);
    }
    if let Some(count) = matches(words, "BEGIN DISTRIBUTED? TRAN|TRANSACTION") {
        let count = count + name(text, words, count);
        let mark = matches(words.get(count..)?, "WITH MARK").unwrap_or(0);
        let text_of_mark = words
            .get(count + mark)
            .is_some_and(|code| mark > 0 && code.kind == TokenKind::String);
        return Some(count + mark + usize::from(text_of_mark));
    }
    let count = matches(words, "COMMIT|ROLLBACK TRAN|TRANSACTION|WORK?")?;
    let bare = count == 1;
    if bare
        && words
            .get(1)
            .is_some_and(|next| next.is_mark(".") || next.is_mark("("))
    {
        return None;
    }
    let works = words.get(1).is_some_and(|word| word.is("WORK"));
    let named = if bare || works {
        0
    } else {
        name(text, words, count)
    };
    let savepoint = words.get(count).filter(|_| named == 1);
    if spot.code.is("ROLLBACK") && savepoint.is_some_and(|name| savepoints.contains(&folded(name)))
    {
        return None;
    }
    let count = count + named;
    Some(count + delayed_durability(words.get(count..)?))
}

/// 1 when the word at `index` is the name of the transaction: on the same line, and no keyword.
fn name(text: &str, words: &[Code<'_>], index: usize) -> usize {
    let (Some(before), Some(name)) = (
        index.checked_sub(1).and_then(|at| words.get(at)),
        words.get(index),
    ) else {
        return 0;
    };
    let is_name = name.kind == TokenKind::QuotedIdentifier
        || name.kind == TokenKind::Word && !is_keyword(*name);
    let gap = text
        .get(before.end..name.end.saturating_sub(name.text.len()))
        .unwrap_or_default();
    usize::from(is_name && !gap.contains(['\n', '\r']))
}

/// The length of `WITH (DELAYED_DURABILITY = ON)`.
fn delayed_durability(words: &[Code<'_>]) -> usize {
    matches(words, "WITH ( DELAYED_DURABILITY = ON|OFF )").unwrap_or(0)
}

/// Where the statement of `count` words ends with its separator, and the code after that.
fn end_of<'a>(words: &[Code<'a>], count: usize) -> (usize, Option<Code<'a>>) {
    let end = |index: usize| words.get(index).map_or(0, |word| word.end);
    let separated = words
        .get(count)
        .is_some_and(|next| next.kind == TokenKind::Separator);
    let count = count + usize::from(separated);
    (end(count - 1), words.get(count).copied())
}

/// Puts a statement that does nothing in the place of one that is needed there.
fn replaced(text: &str, range: Range<usize>, last: Option<Code<'_>>) -> Cover {
    let covered = text.get(range.clone()).unwrap_or_default();
    let room = covered.find(['\n', '\r']).unwrap_or(covered.len());
    if room >= NOTHING.len() {
        return (range, NOTHING);
    }
    // A bare COMMIT is one character too short; a blank before it that separates nothing makes up for that.
    let before = text.get(..range.start).unwrap_or_default();
    let spare = last.is_some_and(|last| {
        let closed = matches!(last.kind, TokenKind::Number | TokenKind::String)
            || last.is_mark(")")
            || last.kind == TokenKind::QuotedIdentifier;
        before.ends_with([' ', '\t']) && (closed || last.end + 1 < range.start)
    });
    if spare && room + 1 >= NOTHING.len() {
        (range.start - 1..range.end, NOTHING)
    } else {
        (range, REFUSED)
    }
}

fn folded(name: &Code<'_>) -> String {
    name.text.trim_matches(['[', ']', '"']).to_lowercase()
}

#[cfg(test)]
mod tests {
    use crate::sql::{Dialect, strip_transactions};

    fn stripped(text: &str) -> String {
        let result = strip_transactions(text, Dialect::TSql);
        assert_eq!(result.len(), text.len(), "{text}");
        result.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn transaction_statements_are_taken_out_whole() {
        let cases = [
            ("BEGIN TRAN\na\nCOMMIT", "a"),
            ("begin  transaction t1;\na\ncommit tran t1;", "a"),
            ("BEGIN TRAN [my tran] WITH MARK N'x' SELECT 1", "SELECT 1"),
            (
                "BEGIN DISTRIBUTED TRANSACTION @t UPDATE t SET a = 1",
                "UPDATE t SET a = 1",
            ),
            ("BEGIN\n /* x */ TRAN\nSELECT 1", "SELECT 1"),
            (
                "a\nROLLBACK TRANSACTION\nb\nROLLBACK WORK;\nc ROLLBACK",
                "a b c",
            ),
            ("a COMMIT WORK b", "a b"),
            ("a COMMIT TRAN WITH (DELAYED_DURABILITY = ON); b", "a b"),
            ("SET  TRANSACTION ISOLATION LEVEL SERIALIZABLE; a", "a"),
            ("a;COMMIT;BEGIN TRAN;b", "a; b"),
            (
                "COMMIT TRAN SELECT 1 ROLLBACK TRAN IF 1 = 1 SELECT 2",
                "SELECT 1 IF 1 = 1 SELECT 2",
            ),
            ("COMMIT\nGO\nBEGIN TRAN", "GO"),
            ("BEGIN TRAN t COMMIT", ""),
            (
                "BEGIN TRY\nBEGIN TRAN\na\nCOMMIT\nEND TRY",
                "BEGIN TRY a END TRY",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(stripped(text), expected, "{text}");
        }
    }

    #[test]
    fn everything_else_is_kept() {
        let texts = [
            "BEGIN SELECT 1 END BEGIN TRY SELECT 1 END TRY BEGIN CATCH SELECT 2 END CATCH",
            "SAVE TRAN s; ROLLBACK TRAN s; ROLLBACK TRANSACTION [S];",
            "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; SET XACT_ABORT ON",
            "ALTER DATABASE d SET SINGLE_USER WITH ROLLBACK IMMEDIATE",
            "SELECT 'COMMIT', [COMMIT], \"COMMIT\", t.COMMIT -- COMMIT\n/* COMMIT /* */ COMMIT */",
            "CREATE PROCEDURE p AS BEGIN TRAN; DELETE t; COMMIT TRAN;",
            "CREATE OR ALTER TRIGGER t ON x AFTER INSERT AS IF 1 = 1 ROLLBACK TRAN",
            "BEGIN DIALOG @h FROM SERVICE s TO SERVICE 't'; END CONVERSATION @h",
        ];
        for text in texts {
            assert_eq!(strip_transactions(text, Dialect::TSql), text);
        }
    }

    #[test]
    fn conditions_and_blocks_keep_a_statement() {
        let cases = [
            (
                "IF @@ERROR <> 0 ROLLBACK TRAN\nDELETE t",
                "IF @@ERROR <> 0 PRINT'' DELETE t",
            ),
            (
                "IF @a = 1 COMMIT TRAN ELSE ROLLBACK TRAN",
                "IF @a = 1 PRINT'' ELSE PRINT''",
            ),
            ("IF @a = 1 COMMIT; DELETE t", "IF @a = 1 PRINT'' DELETE t"),
            (
                "IF @@TRANCOUNT > 0 COMMIT\nDELETE t",
                "IF @@TRANCOUNT > 0PRINT'' DELETE t",
            ),
            (
                "IF @a > @b\n  COMMIT\nDELETE t",
                "IF @a > @b PRINT'' DELETE t",
            ),
            ("IF @a > @b COMMIT\nDELETE t", "IF @a > @b ; DELETE t"),
            (
                "IF @a = 1 BEGIN ROLLBACK TRAN; END",
                "IF @a = 1 BEGIN PRINT'' END",
            ),
            ("BEGIN TRY COMMIT TRAN END TRY", "BEGIN TRY PRINT'' END TRY"),
            (
                "IF EXISTS (SELECT 1) DELETE t COMMIT",
                "IF EXISTS (SELECT 1) DELETE t",
            ),
            (
                "IF @a = 1 BEGIN DELETE t COMMIT END",
                "IF @a = 1 BEGIN DELETE t END",
            ),
            (
                "SELECT CASE WHEN 1 = 1 THEN 1 ELSE 2 END COMMIT",
                "SELECT CASE WHEN 1 = 1 THEN 1 ELSE 2 END",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(stripped(text), expected, "{text}");
        }
    }
}
