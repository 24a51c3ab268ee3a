//! A target: what one message names and one build changes.

use std::{
    borrow::Cow,
    collections::HashSet,
    fmt,
    net::Ipv6Addr,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ConcurrencyType, Platform};

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

impl Pair {
    /// A name of the package in the form that is equal for equal names: case does not count.
    pub fn fold(name: &str) -> Cow<'_, str> {
        fold_case(name)
    }
}

impl Target {
    /// The distinct real databases in the order of their first mention.
    pub fn databases(&self) -> Vec<&str> {
        let mut seen = HashSet::with_capacity(self.pairs.len());
        self.pairs
            .iter()
            .map(|pair| pair.database.as_str())
            .filter(|database| seen.insert(*database))
            .collect()
    }

    /// The database in which a script for `name` runs.
    ///
    /// The pair whose default is `name` (in any case) decides; else the target's only pair, when that has no default or
    /// the script names no database. A name is never taken for a real database by itself.
    pub fn database_for(&self, name: &str) -> Result<&str, NoDatabase> {
        let exact = self
            .pairs
            .iter()
            .find(|pair| same_name(&pair.default, name));
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

    /// The group that shares a limit with this target: its server in normal form or its tag; none where the limit is one
    /// for all. Targets without a tag are one group.
    pub fn group(&self, platform: Platform, kind: ConcurrencyType) -> Option<String> {
        match kind {
            ConcurrencyType::Count => None,
            ConcurrencyType::Server | ConcurrencyType::MaxPerServer => {
                Some(normal_server(platform, &self.server))
            }
            ConcurrencyType::Tag | ConcurrencyType::MaxPerTag => {
                Some(self.tag.clone().unwrap_or_default())
            }
        }
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
        let mut names: Vec<Cow<'_, str>> = databases
            .iter()
            .map(|name| key_part(Self::fold(platform, name)))
            .collect();
        names.sort();
        names.dedup();
        let text = format!(
            "{}|{}|{}",
            platform.name().to_lowercase(),
            key_part(normal_server(platform, server).into()),
            names.join(";")
        );
        if text.chars().count() > Self::MAX_CHARS {
            let digest = Sha256::digest(text.as_bytes());
            return Self(format!("sha256:{}", crate::package::hex_lower(&digest)));
        }
        Self(text)
    }

    /// A database name in the form that is equal where `platform` takes names for equal.
    pub fn fold(platform: Platform, database: &str) -> Cow<'_, str> {
        let folds = match platform {
            Platform::SqlServer => true,
            Platform::PostgreSql | Platform::MySql => false,
            Platform::Sqlite => FOLDS_PATHS,
        };
        if folds {
            fold_case(database)
        } else {
            Cow::Borrowed(database)
        }
    }

    /// A key that was written before, as text.
    pub fn stored(text: &str) -> Self {
        Self(text.to_owned())
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

/// Whether file names that differ in case alone are one file, as a rule, on this system.
const FOLDS_PATHS: bool = cfg!(any(windows, target_os = "macos"));

/// The server in the form that is equal for equal servers.
///
/// Lower case, without `tcp:`, default port, brackets that no port needs and a last dot; an absolute path without `..`
/// where servers are folders. On SQL Server `.` and `(local)` are `localhost`, `MSSQLSERVER` is no instance, and a port
/// makes the instance's name superfluous, as it does for every client.
pub fn normal_server(platform: Platform, server: &str) -> String {
    let server = server.trim();
    let Some(default_port) = platform.default_port() else {
        return normal_folder(server);
    };
    if server.starts_with('/') {
        // The folder of a Unix socket: case counts, and there is no port to take off.
        return server.to_owned();
    }
    let lower = fold_case(server);
    let bare = lower.strip_prefix("tcp:").unwrap_or(&lower).trim();
    let (host, port) = split_port(bare);
    let host = normal_host(platform, host, port.is_some());
    match port {
        Some(port) if port != default_port && host.contains(':') => format!("[{host}]:{port}"),
        Some(port) if port != default_port => format!("{host}:{port}"),
        _ => host,
    }
}

/// Takes `,port` or `:port` off; the colons of an IPv6 address without brackets are no port.
fn split_port(server: &str) -> (&str, Option<u16>) {
    for separator in [',', ':'] {
        if let Some((host, port)) = server.rsplit_once(separator)
            && let Ok(port) = port.trim().parse()
            && (separator == ',' || !host.contains(':') || host.ends_with(']'))
        {
            return (host.trim(), Some(port));
        }
    }
    (server, None)
}

fn normal_host(platform: Platform, host: &str, has_port: bool) -> String {
    let host = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(address) = host.parse::<Ipv6Addr>() {
        return address.to_string();
    }
    if platform != Platform::SqlServer {
        return without_last_dot(host).to_owned();
    }
    let (machine, instance) = host.split_once('\\').unwrap_or((host, ""));
    let machine = match machine.trim() {
        "." | "(local)" => "localhost",
        machine => without_last_dot(machine),
    };
    match instance.trim() {
        "" | "mssqlserver" => machine.to_owned(),
        _ if has_port => machine.to_owned(),
        instance => format!("{machine}\\{instance}"),
    }
}

/// `host.example.com.` is `host.example.com`.
fn without_last_dot(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

fn normal_folder(folder: &str) -> String {
    let path = std::path::absolute(folder).unwrap_or_else(|_| Path::new(folder).to_path_buf());
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            component => normal.push(component),
        }
    }
    let text = normal.to_string_lossy();
    if FOLDS_PATHS {
        fold_case(&text).into_owned()
    } else {
        text.into_owned()
    }
}

/// Lower case, character by character: unlike `str::to_lowercase` it does not depend on a character's neighbours.
fn fold_case(name: &str) -> Cow<'_, str> {
    if name.is_ascii() {
        return if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(name)
        };
    }
    Cow::Owned(name.chars().flat_map(char::to_lowercase).collect())
}

/// Equality of folded names, without building them.
fn same_name(left: &str, right: &str) -> bool {
    if left.is_ascii() && right.is_ascii() {
        return left.eq_ignore_ascii_case(right);
    }
    left.chars()
        .flat_map(char::to_lowercase)
        .eq(right.chars().flat_map(char::to_lowercase))
}

/// A name inside a key. One that holds a key's own separators is quoted, so that no two targets share a key.
fn key_part(name: Cow<'_, str>) -> Cow<'_, str> {
    if name.contains([';', '|', '"']) {
        Cow::Owned(format!("\"{}\"", name.replace('"', "\"\"")))
    } else {
        name
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

    #[test]
    fn names_with_separators_do_not_make_two_targets_equal() {
        let key = |databases: &[&str]| TargetKey::new(Platform::PostgreSql, "h", databases);
        assert_ne!(key(&["a;b"]), key(&["a", "b"]));
        assert_ne!(key(&["\"a;b\""]), key(&["a;b"]));
        assert_eq!(key(&["b", "a"]).as_str(), "postgresql|h|a;b");
    }

    #[test]
    fn spellings_of_one_server_have_one_normal_form() {
        let cases: &[(Platform, &str, &[&str])] = &[
            (
                Platform::SqlServer,
                "localhost\\sqlexpress",
                &[
                    "(local)\\SQLEXPRESS",
                    ".\\SqlExpress",
                    "tcp:localhost\\SQLEXPRESS",
                ],
            ),
            (
                Platform::SqlServer,
                "host",
                &[
                    "host\\MSSQLSERVER",
                    "host.",
                    "tcp: host , 1433",
                    "host\\inst,1433",
                    "host:1433",
                ],
            ),
            (
                Platform::SqlServer,
                "host:1434",
                &["host,1434", "host:1434", "host\\inst,1434", "TCP:HOST,1434"],
            ),
            (
                Platform::SqlServer,
                "[::1]:1434",
                &["[::1]:1434", "[0:0:0:0:0:0:0:1],1434", "::1,1434"],
            ),
            (
                Platform::MySql,
                "::1",
                &["[::1]", "::1", "0::1", "[::1]:3306"],
            ),
            (Platform::PostgreSql, "/tmp/PG", &["/tmp/PG"]),
            (Platform::PostgreSql, "host,x", &["host,x"]),
            (Platform::PostgreSql, "", &["", " "]),
        ];
        for (platform, normal, spellings) in cases {
            for spelling in *spellings {
                assert_eq!(normal_server(*platform, spelling), *normal, "{spelling}");
            }
        }
        assert_ne!(
            normal_server(Platform::SqlServer, "host\\a"),
            normal_server(Platform::SqlServer, "host\\b")
        );
    }

    #[cfg(unix)]
    #[test]
    fn spellings_of_one_folder_have_one_normal_form() {
        for spelling in [
            "/srv/dbs",
            "/srv/dbs/",
            "/srv/./dbs",
            "/srv/x/../dbs",
            " /srv//dbs",
        ] {
            assert_eq!(
                normal_server(Platform::Sqlite, spelling),
                "/srv/dbs",
                "{spelling}"
            );
        }
        assert_eq!(normal_server(Platform::Sqlite, "/"), "/");
        assert_eq!(normal_server(Platform::Sqlite, "/../.."), "/");
        let here = normal_server(Platform::Sqlite, ".");
        assert_eq!(
            normal_server(Platform::Sqlite, "./dbs"),
            format!("{here}/dbs")
        );
        assert_eq!(
            normal_server(Platform::Sqlite, "dbs"),
            format!("{here}/dbs")
        );
    }

    #[test]
    fn groups_follow_the_concurrency_type() {
        let mut target = target(&[("", "a")]);
        target.server = "tcp:HOST,1433".into();
        let group = |target: &Target, kind| target.group(Platform::SqlServer, kind);
        assert_eq!(group(&target, ConcurrencyType::Count), None);
        assert_eq!(
            group(&target, ConcurrencyType::Server).as_deref(),
            Some("host")
        );
        assert_eq!(group(&target, ConcurrencyType::Tag).as_deref(), Some(""));
        target.tag = Some("Pool".into());
        assert_eq!(
            group(&target, ConcurrencyType::MaxPerTag).as_deref(),
            Some("Pool")
        );
    }

    #[test]
    fn case_of_every_script_counts_alike() {
        let greek = target(&[("ΣΑΣ", "x"), ("b", "y")]);
        assert_eq!(greek.database_for("σασ"), Ok("x"));
        assert_eq!(Pair::fold("ΣΑΣ"), Pair::fold("σασ"));
    }
}
