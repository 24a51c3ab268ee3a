//! The build lock of a SQLite database: an operating-system lock on a file beside it.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// A lock that is held until it is dropped, or until the process ends in any way.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock when nobody has it. The file stays: removing it would let two builds lock two files of one name.
    pub(super) fn try_take(database: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(lock_path(database)?)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// `<database>.sbm-lock`, beside the real file, so that a link to a database takes the same lock.
fn lock_path(database: &Path) -> io::Result<PathBuf> {
    let mut name: OsString = database.canonicalize()?.into_os_string();
    name.push(".sbm-lock");
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        std::fs::write(&database, "").unwrap();
        let first = Lock::try_take(&database).unwrap();
        assert!(first.is_some());
        assert!(Lock::try_take(&database).unwrap().is_none());
        drop(first);
        assert!(Lock::try_take(&database).unwrap().is_some());
    }
}
