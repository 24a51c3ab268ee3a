//! What a script has changed about its session, so that it can be taken back: neither rows of our own nor the next script
//! may depend on it.

use std::collections::BTreeSet;

use crate::sql::{Dialect, Lexer, TokenKind};

/// What the statements since the last cleaning may have changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// System variables by name, in lower case.
    variables: BTreeSet<String>,
    /// The script's own variables, as they are written.
    user_variables: BTreeSet<String>,
    /// Whether there may be temporary tables.
    pub(super) temporary_tables: bool,
    /// Whether statements may be taken for text of another encoding.
    pub(super) encoding: bool,
    /// Whether a statement ran about which nothing is known, such as the call of a procedure.
    unknown: bool,
    role: bool,
    database: bool,
}

/// What scripts usually set. Anybody may set these for a session, so taking them back is never refused.
const USUAL: &[&str] = &[
    "completion_type",
    "div_precision_increment",
    "foreign_key_checks",
    "group_concat_max_len",
    "lock_wait_timeout",
    "max_join_size",
    "sql_auto_is_null",
    "sql_big_selects",
    "sql_mode",
    "sql_notes",
    "sql_quote_show_create",
    "sql_safe_updates",
    "sql_select_limit",
    "sql_warnings",
    "time_zone",
    "unique_checks",
    "updatable_views_with_limit",
];

/// Variables that the session keeps as it has set them, or that decide about the build's own transaction.
const OWN: &[&str] = &["autocommit", "wait_timeout"];

/// The encoding of everything that is sent. The same as at the login.
const ENCODING: &str = "character_set_client = utf8mb4, character_set_results = utf8mb4, \
                        collation_connection = utf8mb4_general_ci";

impl Changes {
    /// Takes note of a statement that is about to run. `is_known` says that all it does is in it.
    pub(super) fn note(&mut self, statement: &str, is_known: bool) {
        self.unknown |= !is_known;
        self.encoding |= !is_known;
        self.temporary_tables |= !is_known;
        let words = words(statement);
        let first = words.first().map(|word| word.to_ascii_uppercase());
        self.temporary_tables |= words
            .iter()
            .any(|word| word.eq_ignore_ascii_case("TEMPORARY"));
        match first.as_deref() {
            Some("SET") => self.note_set(&words),
            Some("USE") => self.database = true,
            _ => {}
        }
        let own = words.iter().enumerate().filter(|(index, word)| {
            is_variable(word)
                && !index
                    .checked_sub(1)
                    .is_some_and(|before| names_account(words.get(before)))
        });
        self.user_variables
            .extend(own.map(|(_, word)| word.clone()));
    }

    /// The names on the left of a `SET`, and the forms that have no name.
    fn note_set(&mut self, words: &[String]) {
        const SCOPES: &[&str] = &["SESSION", "LOCAL", "@@SESSION", "@@LOCAL"];
        const OTHERS: &[&str] = &["GLOBAL", "PERSIST", "PERSIST_ONLY", "@@GLOBAL", "@@PERSIST"];
        for assignment in words.get(1..).unwrap_or_default().split(|word| word == ",") {
            let mut left = assignment.iter().map(|word| word.to_ascii_uppercase());
            let Some(mut name) = left.next() else {
                continue;
            };
            if OTHERS.contains(&name.as_str()) {
                continue;
            }
            if SCOPES.contains(&name.as_str()) {
                name = match left.next() {
                    Some(dot) if dot == "." => left.next().unwrap_or_default(),
                    next => next.unwrap_or_default(),
                };
            }
            match name.trim_start_matches("@@") {
                "NAMES" | "CHARSET" | "CHARACTER" => self.encoding = true,
                "TRANSACTION" => {
                    self.variables.insert("transaction_isolation".into());
                    self.variables.insert("tx_isolation".into());
                    self.variables.insert("transaction_read_only".into());
                    self.variables.insert("tx_read_only".into());
                }
                "ROLE" => self.role = true,
                // `SET PASSWORD` and the like change no session.
                "PASSWORD" | "DEFAULT" | "RESOURCE" | "STATEMENT" | "" => {}
                name if name.starts_with('@') => {}
                name => {
                    self.encoding |=
                        name.starts_with("CHARACTER_SET") || name.starts_with("COLLATION");
                    self.variables.insert(name.to_ascii_lowercase());
                }
            }
        }
    }

    /// The statement that takes back what anybody may take back, and then one for each variable for which that may be
    /// refused. `database` is the build's.
    pub(super) fn undo(&self, database: &str) -> Undo {
        let mut sets = Vec::new();
        let mut single = Vec::new();
        if self.unknown || !self.variables.is_empty() {
            sets.extend(USUAL.iter().map(|name| format!("{name} = DEFAULT")));
        }
        for name in &self.variables {
            let usual = USUAL.contains(&name.as_str()) || OWN.contains(&name.as_str());
            if !usual && !is_encoding(name) {
                single.push(format!("SET SESSION {name} = DEFAULT"));
            }
        }
        if self.unknown || self.variables.contains("wait_timeout") {
            sets.push(format!(
                "wait_timeout = {}",
                super::dial::WAIT_TIMEOUT.as_secs()
            ));
        }
        if self.encoding {
            sets.push(ENCODING.to_owned());
        }
        sets.extend(
            self.user_variables
                .iter()
                .map(|name| format!("{name} = NULL")),
        );
        let whole = (!sets.is_empty()).then(|| format!("SET {}", sets.join(", ")));
        if self.role {
            single.push("SET ROLE NONE".to_owned());
            single.push("SET ROLE DEFAULT".to_owned());
        }
        let uses = self.database.then(|| format!("USE {database}"));
        Undo {
            certain: whole.into_iter().chain(uses).collect(),
            tried: single,
        }
    }
}

/// The characters that the name of a variable may have.
const LONGEST_NAME: usize = 64;

/// Whether `word` is a variable of the script's own. Names that no server takes could not be set to NULL either.
fn is_variable(word: &str) -> bool {
    let Some(name) = word.strip_prefix('@') else {
        return false;
    };
    let bare = name.trim_matches(['`', '\'', '"']);
    !name.starts_with('@') && (1..=LONGEST_NAME).contains(&bare.chars().count())
}

/// Whether an `@` behind `word` belongs to the name of an account, as in `'user'@'host'`.
fn names_account(word: Option<&String>) -> bool {
    word.is_some_and(|word| word.ends_with(['\'', '"', '`']) && !word.starts_with('@'))
}

/// Statements that bring a session back to where it began.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Undo {
    /// Those that must succeed.
    pub(super) certain: Vec<String>,
    /// Those of which a server knows only some.
    pub(super) tried: Vec<String>,
}

fn is_encoding(name: &str) -> bool {
    name.starts_with("character_set") || name.starts_with("collation")
}

/// The code of a statement word by word; a variable with a quoted name is one word. What the server runs of comments is
/// part of it.
fn words(statement: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut lexer = Lexer::new(statement, Dialect::MySql);
    while let Some(token) = lexer.next() {
        let text = lexer.text_of(&token);
        match token.kind {
            TokenKind::Blank | TokenKind::LineComment | TokenKind::BlockComment => {}
            TokenKind::ExecutableComment => {
                let inside = text.trim_start_matches(|character: char| {
                    matches!(character, '/' | '*' | 'M' | '!') || character.is_ascii_digit()
                });
                words.extend(self::words(inside.strip_suffix("*/").unwrap_or(inside)));
            }
            TokenKind::EscapeString | TokenKind::QuotedIdentifier
                if words.last().is_some_and(|word| word == "@") =>
            {
                words.pop();
                words.push(format!("@{text}"));
            }
            _ => words.push(text.to_owned()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undo(statements: &[&str]) -> Undo {
        let mut changes = Changes::default();
        for statement in statements {
            changes.note(statement, true);
        }
        changes.undo("`d`")
    }

    #[test]
    fn a_script_that_sets_nothing_costs_nothing() {
        let statements = [
            "INSERT INTO t VALUES ('SET x = 1')",
            "SELECT @@version FROM t",
            "SET GLOBAL max_connections = 5",
            "SET PASSWORD = 'x'",
        ];
        assert_eq!(undo(&statements), Undo::default());
    }

    #[test]
    fn what_a_script_sets_is_taken_back() {
        let statements = [
            "SET @a = 1, @@session.sql_mode = 'ANSI', SESSION sort_buffer_size = 5, @@max_error_count := 3",
            "SELECT 1 INTO @`b c`",
            "/*!40101 SET NAMES latin1 */",
            "USE x",
        ];
        let undo = undo(&statements);
        let [set, uses] = undo.certain.as_slice() else {
            panic!("{undo:?}");
        };
        for part in [
            "sql_mode = DEFAULT",
            "foreign_key_checks = DEFAULT",
            "character_set_client = utf8mb4",
            "@a = NULL",
            "@`b c` = NULL",
        ] {
            assert!(set.contains(part), "{part}: {set}");
        }
        assert!(!set.contains("sort_buffer_size") && !set.contains("max_error_count"));
        assert_eq!(uses, "USE `d`");
        assert_eq!(
            undo.tried,
            [
                "SET SESSION max_error_count = DEFAULT",
                "SET SESSION sort_buffer_size = DEFAULT"
            ]
        );
    }

    #[test]
    fn accounts_and_impossible_names_are_no_variables() {
        let long = format!("SET @{} = 1", "x".repeat(65));
        let statements = [
            "CREATE USER 'a'@'localhost', `b`@`%`, \"c\"@\"::1\", d@localhost, e@'%'",
            "SELECT 1 INTO @``",
            &long,
        ];
        let undo = undo(&statements);
        assert!(
            undo.certain
                .iter()
                .all(|sql| !sql.contains('`') && !sql.contains("::1") && !sql.contains("xxx")),
            "{undo:?}"
        );
    }

    #[test]
    fn after_a_procedure_everything_usual_is_taken_back() {
        let mut changes = Changes::default();
        changes.note("CALL p()", false);
        let undo = changes.undo("`d`");
        assert!(undo.certain[0].contains("sql_mode = DEFAULT"), "{undo:?}");
        assert!(undo.certain[0].contains("wait_timeout = "), "{undo:?}");
        assert!(changes.temporary_tables && changes.encoding);
    }

    #[test]
    fn the_way_of_transactions_is_taken_back_by_the_name_that_the_server_knows() {
        let undo = undo(&["SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE"]);
        let isolation = "SET SESSION transaction_isolation = DEFAULT".to_owned();
        assert!(undo.tried.contains(&isolation), "{undo:?}");
        let old = "SET SESSION tx_isolation = DEFAULT".to_owned();
        assert!(undo.tried.contains(&old), "{undo:?}");
    }
}
