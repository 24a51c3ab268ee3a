//! The database platforms.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A kind of database server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Platform {
    /// Microsoft SQL Server and Azure SQL.
    SqlServer,
    /// PostgreSQL.
    #[serde(rename = "PostgreSQL")]
    PostgreSql,
    /// MySQL and MariaDB.
    #[serde(rename = "MySQL")]
    MySql,
    /// SQLite: a server is a folder, a database is a file in it.
    #[serde(rename = "SQLite")]
    Sqlite,
}

impl Platform {
    /// Every platform, in the order in which users see them.
    pub const ALL: [Self; 4] = [Self::SqlServer, Self::PostgreSql, Self::MySql, Self::Sqlite];

    /// The name that users write, as in `--platform PostgreSQL`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SqlServer => "SqlServer",
            Self::PostgreSql => "PostgreSQL",
            Self::MySql => "MySQL",
            Self::Sqlite => "SQLite",
        }
    }

    /// The port that a server name without one means; none where servers are folders.
    pub fn default_port(self) -> Option<u16> {
        match self {
            Self::SqlServer => Some(1433),
            Self::PostgreSql => Some(5432),
            Self::MySql => Some(3306),
            Self::Sqlite => None,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Self, UnknownPlatform> {
        Self::ALL
            .into_iter()
            .find(|platform| platform.name().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| UnknownPlatform(text.to_owned()))
    }
}

/// The text names no platform.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no platform; accepted are SqlServer, PostgreSQL, MySQL and SQLite in any case")]
pub struct UnknownPlatform(String);
