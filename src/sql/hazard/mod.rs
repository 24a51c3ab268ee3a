//! Statements that do not fit into the build's transaction, found before anything runs.

mod mysql;
mod postgres;
mod sqlite;
mod tsql;

use std::ops::Range;

use super::{
    Dialect,
    statement::Pieces,
    transaction::control,
    use_database::uses,
    words::{Code, head},
};

/// A statement that a build in one transaction cannot run, or not as it was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hazard {
    /// The statement, in bytes.
    pub range: Range<usize>,
    /// Why it is one.
    pub kind: HazardKind,
    /// The words that make it one, for people, as in `CREATE INDEX CONCURRENTLY`.
    pub what: String,
}

/// Why a statement is a hazard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HazardKind {
    /// It begins or ends a transaction, so that the build's would not be its own any more.
    EndsTransaction,
    /// The server refuses it inside a transaction, or ignores it there.
    NotInTransaction,
    /// MySQL commits before it runs it.
    ImplicitCommit,
    /// MySQL may commit: what it runs is not in the script, or it is a statement that is not known here.
    MayCommit,
    /// It moves rows over the connection, which a build has no file for.
    CopyStream,
    /// It is for `psql` or `sqlite3`, and no server understands it.
    ClientCommand,
    /// It carries the rest of the build into another database.
    ChangesDatabase,
}

/// What makes a statement a hazard.
type Finding = (HazardKind, String);

/// The hazards of `text` in their order, at top level: nothing in strings, comments or bodies of programs is one.
///
/// T-SQL's own transactions are none, since they nest in the build's; whether they are balanced shows when they run.
pub fn hazards(text: &str, dialect: Dialect) -> Vec<Hazard> {
    let mut hazards: Vec<Hazard> = uses(text, dialect)
        .into_iter()
        .map(|found| Hazard {
            range: found.range,
            kind: HazardKind::ChangesDatabase,
            what: "USE".to_owned(),
        })
        .collect();
    if dialect == Dialect::TSql {
        hazards.extend(tsql::hazards(text));
    } else {
        hazards.extend(of_statements(text, dialect));
    }
    hazards.sort_by_key(|hazard| hazard.range.start);
    hazards
}

fn of_statements(text: &str, dialect: Dialect) -> impl Iterator<Item = Hazard> {
    Pieces::new(text, dialect).filter_map(move |piece| {
        let statement = text.get(piece.range.clone()).unwrap_or_default();
        let (kind, what) = if piece.is_client_line {
            client_line(statement)
        } else {
            of_statement(statement, dialect)?
        };
        Some(Hazard {
            range: piece.range,
            kind,
            what,
        })
    })
}

fn of_statement(statement: &str, dialect: Dialect) -> Option<Finding> {
    let whole = of_reading(statement, dialect);
    let rest = (dialect == Dialect::MySql)
        .then(|| mysql::without_executable_comments(statement))
        .flatten();
    // Which of its comments a server runs depends on its version, so the worse of both readings counts.
    let other = rest.and_then(|rest| of_reading(&rest, dialect));
    match (whole, other) {
        (Some(whole), Some(other)) if rank(other.0) > rank(whole.0) => Some(other),
        (whole, other) => whole.or(other),
    }
}

/// How much worse than others a kind is, where a statement may be either.
fn rank(kind: HazardKind) -> u8 {
    match kind {
        HazardKind::MayCommit => 0,
        HazardKind::ImplicitCommit => 1,
        HazardKind::EndsTransaction => 2,
        HazardKind::NotInTransaction => 3,
        HazardKind::ClientCommand => 4,
        HazardKind::ChangesDatabase => 5,
        HazardKind::CopyStream => 6,
    }
}

fn of_reading(statement: &str, dialect: Dialect) -> Option<Finding> {
    let head = head(statement, dialect);
    if let Some(control) = control(&head, dialect) {
        return Some((HazardKind::EndsTransaction, control.what.to_owned()));
    }
    match dialect {
        Dialect::Postgres => postgres::finding(statement, &head),
        Dialect::MySql => mysql::finding(statement, &head),
        Dialect::Sqlite => sqlite::finding(&head),
        Dialect::TSql => None,
    }
}

fn client_line(line: &str) -> Finding {
    let end = line
        .char_indices()
        .skip(1)
        .find(|(_, character)| !character.is_alphanumeric() && *character != '_')
        .map_or(line.len(), |(index, _)| index);
    let command = line.get(..end).unwrap_or_default();
    let kind = match command {
        r"\c" | r"\connect" | ".open" => HazardKind::ChangesDatabase,
        r"\copy" => HazardKind::CopyStream,
        _ => HazardKind::ClientCommand,
    };
    (kind, command.to_owned())
}

/// The words of a pattern without its signs, for people.
fn words(pattern: &str) -> String {
    let shown: Vec<&str> = pattern
        .split_ascii_whitespace()
        .filter(|element| !element.ends_with('?') && *element != "*")
        .collect();
    shown.join(" ")
}

/// Puts the first of `head` into upper case, for people.
fn upper(head: &[Code<'_>]) -> String {
    head.first()
        .map(|word| word.text.to_uppercase())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::samples;

    /// Kind and words of all hazards.
    pub(super) fn found(text: &str, dialect: Dialect) -> Vec<Finding> {
        hazards(text, dialect)
            .into_iter()
            .map(|hazard| (hazard.kind, hazard.what))
            .collect()
    }

    /// Each text has exactly one hazard, of this kind and with these words.
    pub(super) fn check(dialect: Dialect, kind: HazardKind, cases: &[(&str, &str)]) {
        for (text, what) in cases {
            assert_eq!(found(text, dialect), [(kind, (*what).to_owned())], "{text}");
        }
    }

    /// None of the texts has a hazard.
    pub(super) fn check_none(dialect: Dialect, texts: &[&str]) {
        for text in texts {
            assert_eq!(found(text, dialect), [], "{text}");
        }
    }

    #[test]
    fn a_hazard_names_its_statement() {
        let text = "SELECT 1;\n-- note\nVACUUM full t ;\nGO\ncommit";
        let hazards = hazards(text, Dialect::Postgres);
        let parts: Vec<_> = hazards
            .iter()
            .map(|hazard| text.get(hazard.range.clone()).unwrap())
            .collect();
        assert_eq!(parts, ["VACUUM full t", "commit"]);
        assert_eq!(hazards[0].what, "VACUUM");
        assert_eq!(hazards[1].kind, HazardKind::EndsTransaction);
    }

    proptest! {
        #[test]
        fn hazards_are_in_order_and_inside_the_text(text in samples::texts(), dialect in samples::dialects()) {
            let hazards = hazards(&text, dialect);
            prop_assert!(hazards.is_sorted_by_key(|hazard| hazard.range.start));
            for hazard in hazards {
                prop_assert!(text.get(hazard.range.clone()).is_some_and(|part| !part.is_empty()), "{hazard:?}");
            }
        }

        #[test]
        fn nothing_is_left_of_transactions_that_can_be_taken_out(count in 0_usize..4, dialect in samples::dialects()) {
            let text = "BEGIN;\nSELECT 1;\nCOMMIT;\n".repeat(count);
            let stripped = crate::sql::strip_transactions(&text, dialect);
            prop_assert_eq!(found(&stripped, dialect), []);
        }
    }
}
