//! A target: what one message names and one build changes.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Platform;

/// One server and the databases on it that are built together: one line of a target list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The server as the user wrote it, without surrounding blanks.
    pub server: String,
    /// Which database stands for which name in the package; never empty.
    pub pairs: Vec<Pair>,
    /// Groups targets for the concurrency types `Tag` and `MaxPerTag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// A database name of the package, and the real database that stands for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The name that scripts use; empty for "whatever the scripts name".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub default: String,
    /// The real database.
    pub database: String,
}

/// Why a script has no database in a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("target {target} has no database for scripts of `{name}`; add the pair `{name},DATABASE`")]
pub struct NoDatabase {
    /// The target, as a user knows it.
    pub target: String,
    /// The name that the script uses.
    pub name: String,
}

impl Target {
    /// The distinct real databases in the order of their first mention.
    pub fn databases(&self) -> Vec<&str> {
        let mut databases: Vec<&str> = Vec::with_capacity(self.pairs.len());
        for pair in &self.pairs {
            if !databases.contains(&pair.database.as_str()) {
                databases.push(&pair.database);
            }
        }
        databases
    }

    /// The database in which a script for `name` runs.
    ///
    /// The pair whose default is `name` (in any case) decides; else the target's only pair, when that has no default or
    /// the script names no database. A name is never taken for a real database by itself.
    pub fn database_for(&self, name: &str) -> Result<&str, NoDatabase> {
        let exact = self
            .pairs
            .iter()
            .find(|pair| pair.default.to_lowercase() == name.to_lowercase());
        let only = match self.pairs.as_slice() {
            [pair] if pair.default.is_empty() || name.is_empty() => Some(pair),
            _ => None,
        };
        exact
            .or(only)
            .map(|pair| pair.database.as_str())
            .ok_or_else(|| NoDatabase {
                target: self.to_string(),
                name: name.to_owned(),
            })
    }

    /// The identity of this target in a run on `platform`.
    pub fn key(&self, platform: Platform) -> TargetKey {
        TargetKey::new(platform, &self.server, &self.databases())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.server, self.databases().join(";"))
    }
}

/// Engine, server and databases of a target in one normal form.
///
/// Results, ledger rows and messages are matched by it. It is readable, except that one longer than
/// [`TargetKey::MAX_CHARS`] is replaced by its SHA-256 so that it fits an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TargetKey(String);

impl TargetKey {
    /// What the ledger's column holds at most.
    pub const MAX_CHARS: usize = 400;

    /// The key of `databases` on `server`.
    pub fn new(platform: Platform, server: &str, databases: &[&str]) -> Self {
        let mut names: Vec<String> = databases
            .iter()
            .map(|name| fold_database(platform, name))
            .collect();
        names.sort();
        names.dedup();
        let text = format!(
            "{}|{}|{}",
            platform.name().to_lowercase(),
            normal_server(platform, server),
            names.join(";")
        );
        if text.chars().count() > Self::MAX_CHARS {
            let digest = Sha256::digest(text.as_bytes());
            return Self(format!("sha256:{}", crate::package::hex_lower(&digest)));
        }
        Self(text)
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The server in the form that is equal for equal servers: lower case, without `tcp:` and default port; an absolute
/// path where servers are folders.
pub fn normal_server(platform: Platform, server: &str) -> String {
    let server = server.trim();
    let Some(default_port) = platform.default_port() else {
        let path = std::path::absolute(server).unwrap_or_else(|_| Path::new(server).to_path_buf());
        let text = path.to_string_lossy();
        let text = text.trim_end_matches(['/', '\\']);
        return if cfg!(any(windows, target_os = "macos")) {
            text.to_lowercase()
        } else {
            text.to_owned()
        };
    };
    let lower = server.to_lowercase();
    let bare = lower.strip_prefix("tcp:").unwrap_or(&lower);
    for separator in [',', ':'] {
        if let Some((host, port)) = bare.rsplit_once(separator)
            && port.trim().parse() == Ok(default_port)
            && (!host.contains(':') || host.ends_with(']'))
        {
            return bracketless(host);
        }
    }
    bracketless(&bare.replacen(',', ":", 1))
}

/// `[::1]` and `::1` are one host.
fn bracketless(host: &str) -> String {
    host.trim()
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or_else(|| host.trim())
        .to_owned()
}

/// The database name as the platform compares it.
fn fold_database(platform: Platform, name: &str) -> String {
    let folds = match platform {
        Platform::SqlServer => true,
        Platform::PostgreSql | Platform::MySql => false,
        Platform::Sqlite => cfg!(any(windows, target_os = "macos")),
    };
    if folds {
        name.to_lowercase()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(pairs: &[(&str, &str)]) -> Target {
        Target {
            server: "s".into(),
            pairs: pairs
                .iter()
                .map(|(default, database)| Pair {
                    default: (*default).into(),
                    database: (*database).into(),
                })
                .collect(),
            tag: None,
        }
    }

    #[test]
    fn script_names_find_their_database() {
        let two = target(&[("client", "a"), ("Other", "b")]);
        assert_eq!(two.database_for("CLIENT"), Ok("a"));
        assert_eq!(two.database_for("other"), Ok("b"));
        assert!(two.database_for("").is_err());
        assert!(two.database_for("c").is_err());
        assert_eq!(target(&[("", "x")]).database_for("anything"), Ok("x"));
        assert_eq!(target(&[("client", "x")]).database_for(""), Ok("x"));
        assert!(target(&[("client", "x")]).database_for("other").is_err());
    }

    #[test]
    fn equal_targets_have_equal_keys() {
        let key = |server: &str, databases: &[&str]| {
            TargetKey::new(Platform::SqlServer, server, databases)
        };
        for same in ["HOST", "tcp:host", "host,1433", "tcp:host,1433", " host "] {
            assert_eq!(key(same, &["B", "a"]), key("host", &["a", "b"]), "{same}");
        }
        assert_ne!(key("host,1434", &["a"]), key("host", &["a"]));
        let postgres = |server: &str, database: &str| {
            TargetKey::new(Platform::PostgreSql, server, &[database])
        };
        assert_eq!(postgres("[::1]:5432", "a"), postgres("::1", "a"));
        assert_ne!(postgres("h", "A"), postgres("h", "a"));
        assert!(
            key("host", &["x".repeat(500).as_str()])
                .as_str()
                .starts_with("sha256:")
        );
    }
}
