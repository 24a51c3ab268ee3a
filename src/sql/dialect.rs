//! The dialects of SQL, as far as their lexical rules differ.

use crate::protocol::Platform;

/// Which lexical rules a script follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Transact-SQL of SQL Server and Azure SQL.
    TSql,
    /// PostgreSQL with `standard_conforming_strings`, the default.
    Postgres,
    /// MySQL and MariaDB with backslash escapes and without `ANSI_QUOTES`, the default.
    MySql,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 4] = [Self::TSql, Self::Postgres, Self::MySql, Self::Sqlite];

    /// Whether `character` separates words. Only SQL Server takes Unicode's blanks for such; elsewhere they are part of names.
    pub(super) fn is_blank(self, character: char) -> bool {
        match character {
            ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' => true,
            _ => self == Self::TSql && character.is_whitespace(),
        }
    }

    /// Whether `character` can start a word: a keyword, a name or a variable.
    pub(super) fn starts_word(self, character: char) -> bool {
        match character {
            '_' => true,
            '@' => self != Self::Postgres,
            '#' => self == Self::TSql,
            '$' => self != Self::Postgres,
            _ if character.is_ascii() => character.is_ascii_alphabetic(),
            _ => !self.is_blank(character),
        }
    }

    /// Whether `character` can go on a word.
    pub(super) fn continues_word(self, character: char) -> bool {
        match character {
            '$' => true,
            '@' => self == Self::TSql,
            _ => character.is_ascii_digit() || self.starts_word(character),
        }
    }

    /// Whether `/* /* */ */` is one comment.
    pub(super) fn nests_comments(self) -> bool {
        matches!(self, Self::TSql | Self::Postgres)
    }

    /// Whether a lone carriage return ends a `--` comment.
    pub(super) fn return_ends_comment(self) -> bool {
        matches!(self, Self::TSql | Self::Postgres)
    }
}

impl From<Platform> for Dialect {
    fn from(platform: Platform) -> Self {
        match platform {
            Platform::SqlServer => Self::TSql,
            Platform::PostgreSql => Self::Postgres,
            Platform::MySql => Self::MySql,
            Platform::Sqlite => Self::Sqlite,
        }
    }
}
