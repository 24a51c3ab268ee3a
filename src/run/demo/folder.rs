//! The folder of a demo.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use crate::Error;

/// How the folders of demos begin.
const PREFIX: &str = "sbm-demo-";

/// Marks a folder that the next demo removes; locked while its demo runs.
const MARKER: &str = "the-next-demo-removes-this-folder";

/// A folder for everything that a demo makes.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _marker: Option<File>,
}

impl Folder {
    /// A new folder among the temporary files. Folders of earlier demos that were not to be kept are removed.
    ///
    /// A folder outlives its demo, so that the commands which a demo suggests can be tried.
    pub(super) fn new(keep: bool) -> Result<Self, Error> {
        let parent = std::env::temp_dir();
        remove_old(&parent);
        let made = || -> io::Result<Self> {
            let path = tempfile::Builder::new()
                .prefix(PREFIX)
                .tempdir_in(&parent)?
                .keep();
            let marker = if keep {
                None
            } else {
                Some(File::create(path.join(MARKER))?)
            };
            if let Some(marker) = &marker {
                marker.lock()?;
            }
            Ok(Self {
                path,
                _marker: marker,
            })
        };
        made().map_err(|error| Error::file(&parent, error))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// What cannot be removed, because it belongs to another user or is in use, stays.
fn remove_old(parent: &Path) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX)) {
        let Ok(marker) = File::open(entry.path().join(MARKER)) else {
            continue;
        };
        if marker.try_lock().is_ok()
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            log::debug!("{} stays: {error}", entry.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_marked_folders_that_nobody_uses_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let make = |name: &str, marked: bool| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            if marked {
                fs::write(path.join(MARKER), "").unwrap();
            }
            path
        };
        let old = make("sbm-demo-old", true);
        let kept = make("sbm-demo-kept", false);
        let other = make("other", true);
        let used = make("sbm-demo-used", true);
        let lock = File::open(used.join(MARKER)).unwrap();
        lock.lock().unwrap();
        remove_old(parent.path());
        assert!(!old.exists());
        assert!(kept.exists() && other.exists() && used.exists());
    }
}
