//! SQLite: a server is a folder, a database is a file in it.

mod lock;
mod read;
mod session;

use std::{
    fmt,
    path::{Component, Path, PathBuf},
};

use async_trait::async_trait;

use super::{Engine, Error, Session};
use crate::protocol::Platform;

/// Database files on this machine.
#[derive(Debug, Default)]
pub struct Sqlite(());

impl Sqlite {
    /// The engine; it has no settings.
    pub fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SQLite")
    }
}

#[async_trait]
impl Engine for Sqlite {
    fn platform(&self) -> Platform {
        Platform::Sqlite
    }

    async fn connect(&self, server: &str, database: &str) -> Result<Box<dyn Session>, Error> {
        let path = path(server, database).map_err(|message| Error::Connect {
            place: format!("{server}:{database}"),
            message,
            code: None,
            transient: false,
        })?;
        Ok(Box::new(session::SqliteSession::open(path).await?))
    }
}

/// The file of a database. A list of targets never leads out of the folder that it names, and never makes a file.
fn path(server: &str, database: &str) -> Result<PathBuf, String> {
    let mut parts = Path::new(database).components();
    let plain = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    );
    if !plain || database.contains(['/', '\\']) {
        return Err(format!(
            "`{database}` is not the name of a file in a folder"
        ));
    }
    let folder = Path::new(server);
    let path = folder.join(database);
    if path.is_file() {
        return Ok(path);
    }
    Err(match (folder.is_dir(), path.exists()) {
        (false, _) => format!("there is no folder `{server}`"),
        (true, false) => format!("there is no file `{database}` in `{server}`"),
        (true, true) => format!("`{database}` in `{server}` is not a file"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_files_in_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let server = folder.path().to_str().unwrap();
        std::fs::write(folder.path().join("a.db"), "").unwrap();
        assert_eq!(path(server, "a.db"), Ok(folder.path().join("a.db")));
        assert!(path(server, "b.db").unwrap_err().contains("no file `b.db`"));
        assert!(path("/no/such", "a.db").unwrap_err().contains("no folder"));
        for outside in ["../a.db", "..", ".", "", "/etc/passwd", "x/a.db", "x\\a.db"] {
            assert!(path(server, outside).is_err(), "{outside}");
        }
    }
}
