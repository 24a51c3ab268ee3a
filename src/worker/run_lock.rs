//! One process at a time works in the folder of a run.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

/// Held while a process works for a run; it ends with the process.
#[derive(Debug)]
pub struct RunLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl RunLock {
    /// Takes the lock of the run in `folder`; `None` when another process works for the run.
    pub fn try_take(folder: &Path) -> io::Result<Option<Self>> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunLock::try_take(folder.path()).unwrap();
        assert!(first.is_some());
        assert!(RunLock::try_take(folder.path()).unwrap().is_none());
        drop(first);
        assert!(RunLock::try_take(folder.path()).unwrap().is_some());
    }
}
