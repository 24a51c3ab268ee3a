//! Statements that begin or end a transaction, where they stand as statements of their own: everywhere but in T-SQL.

use super::{
    Dialect, TokenKind,
    words::{Code, HEAD, starts},
};

/// A statement that begins or ends a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Control {
    /// Its first words, for people.
    pub(super) what: &'static str,
    /// How many words can be left out: all of them, or those before a statement that follows without a separator, or
    /// none when that would change what the rest means.
    pub(super) words: usize,
}

/// What `head` does to the transaction. Savepoints are no business of this function.
pub(super) fn control(head: &[Code<'_>], dialect: Dialect) -> Option<Control> {
    let (others, patterns): (&[&str], &[&'static str]) = match dialect {
        Dialect::TSql => return None,
        Dialect::Postgres => (
            &["ROLLBACK WORK|TRANSACTION? TO", "COMMIT|ROLLBACK PREPARED"],
            &[
                "BEGIN",
                "START TRANSACTION",
                "COMMIT",
                "END",
                "ROLLBACK",
                "ABORT",
                "PREPARE TRANSACTION",
            ],
        ),
        Dialect::MySql => (
            &["ROLLBACK WORK? TO", "BEGIN NOT ATOMIC"],
            &["BEGIN", "START TRANSACTION", "COMMIT", "ROLLBACK"],
        ),
        Dialect::Sqlite => (
            &["ROLLBACK TRANSACTION? TO"],
            &["BEGIN", "START TRANSACTION", "COMMIT", "END", "ROLLBACK"],
        ),
    };
    if others.iter().any(|pattern| starts(head, pattern)) {
        return None;
    }
    if let Some(words) = autocommit(head, dialect) {
        return Some(Control {
            what: "SET autocommit",
            words,
        });
    }
    let what = patterns.iter().find(|pattern| starts(head, pattern))?;
    let words = if *what == "PREPARE TRANSACTION" {
        0
    } else {
        own_words(head, dialect)
    };
    Some(Control { what, words })
}

/// How many words to leave out of `SET TRANSACTION ISOLATION LEVEL SERIALIZABLE`, which the reference program leaves out
/// wherever it leaves out transactions; other levels it keeps.
pub(super) fn serializable(head: &[Code<'_>]) -> Option<usize> {
    let pattern = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE";
    (starts(head, pattern) && head.len() == 5).then_some(5)
}

/// Words that can follow the first in a statement about transactions.
const OPTIONS: &[&str] = &[
    "TRANSACTION",
    "TRAN",
    "WORK",
    "ISOLATION",
    "LEVEL",
    "SERIALIZABLE",
    "REPEATABLE",
    "READ",
    "COMMITTED",
    "UNCOMMITTED",
    "WRITE",
    "ONLY",
    "NOT",
    "DEFERRABLE",
    "AND",
    "NO",
    "CHAIN",
    "RELEASE",
    "WITH",
    "CONSISTENT",
    "SNAPSHOT",
    "DEFERRED",
    "IMMEDIATE",
    "EXCLUSIVE",
    "CONCURRENT",
];

fn own_words(head: &[Code<'_>], dialect: Dialect) -> usize {
    let options = head
        .iter()
        .skip(1)
        .take_while(|word| word.is_one_of(OPTIONS) || word.is_mark(","))
        .count();
    let mut own = 1 + options;
    let named = dialect == Dialect::Sqlite
        && head
            .get(1..own)
            .is_some_and(|words| words.last().is_some_and(|word| word.is("TRANSACTION")));
    if named && head.len() == own + 1 {
        own += 1;
    }
    let whole = own == head.len() && own < HEAD;
    let says_transaction = head
        .get(1)
        .is_some_and(|word| word.is_one_of(&["TRANSACTION", "TRAN"]));
    match (whole, says_transaction) {
        (true, _) => own,
        // The reference program drops just these two words, and what follows them runs.
        (false, true) => 2,
        (false, false) => 0,
    }
}

/// How many words to leave out when a `SET` changes this session's `autocommit`: none when it sets other variables too.
fn autocommit(head: &[Code<'_>], dialect: Dialect) -> Option<usize> {
    if dialect != Dialect::MySql || !starts(head, "SET") {
        return None;
    }
    let assignments = head.get(1..)?.split(|word| word.is_mark(","));
    let sets = |words: &[Code<'_>]| {
        let pattern = "@@session|@@local|SESSION|LOCAL? .? autocommit|@@autocommit =|:";
        starts(words, pattern)
    };
    let count = assignments.clone().count();
    let changes = assignments.into_iter().any(sets);
    let alone = count == 1
        && head.len() < HEAD
        && head.iter().all(|word| word.kind != TokenKind::Separator);
    changes.then_some(if alone { head.len() } else { 0 })
}
