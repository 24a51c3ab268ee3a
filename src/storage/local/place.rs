//! The folder itself, and where in it what stands.

use std::{
    error, fmt,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{Error, new_file};

/// The folder for everything that is no object. No name of an object begins with a dot.
const INSIDE: &str = ".sbm-store";

/// Its presence makes the folder a store.
const MARKER: &str = "store";

/// Told to whoever looks into it.
const ABOUT: &[u8] = b"sbm keeps objects in the folder above: its files. Here are their locks and leases, and files that \
are not yet complete.\nThis folder may be deleted together with all files of sbm, while no sbm runs.\n";

/// What the marker stands beside.
const FOLDERS: [&str; 3] = [Place::LOCKS, Place::LEASES, Place::NEW];

/// A folder that is a store, or is to become one.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
}

impl Place {
    pub(super) const LOCKS: &str = "locks";
    pub(super) const LEASES: &str = "leases";
    pub(super) const NEW: &str = "new";

    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The file of an object, or of a folder of objects.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        let mut path = self.root.clone();
        path.extend(name.split('/').filter(|part| !part.is_empty()));
        path
    }

    /// A folder beside the objects.
    pub(super) fn inside(&self, folder: &str) -> PathBuf {
        self.root.join(INSIDE).join(folder)
    }

    pub(super) fn exists(&self) -> io::Result<bool> {
        self.inside(MARKER).try_exists()
    }

    /// Makes the folder a store; whether it was none. Files that a process left when it was killed are removed.
    pub(super) fn create(&self) -> io::Result<bool> {
        fs::create_dir_all(&self.root)?;
        for folder in FOLDERS {
            fs::create_dir_all(self.inside(folder))?;
        }
        new_file::sweep(&self.inside(Self::NEW))?;
        match File::create_new(self.inside(MARKER)) {
            Ok(mut marker) => io::Write::write_all(&mut marker, ABOUT).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes the folders of an object, but not the one of the store.
    pub(super) fn make_folders(&self, name: &str) -> io::Result<()> {
        let Some((folders, _)) = name.rsplit_once('/') else {
            return Ok(());
        };
        let mut path = self.root.clone();
        for part in folders.split('/') {
            path.push(part);
            match fs::create_dir(&path) {
                Ok(()) => sync_folder(&super::folder_of(&path))?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Does something in the folder of an object, which somebody may remove at any moment because it has become empty.
    pub(super) fn in_folder<T>(
        &self,
        name: &str,
        mut work: impl FnMut(&Path) -> io::Result<T>,
    ) -> io::Result<T> {
        const TRIES: u32 = 100;
        let path = self.path(name);
        let mut tries = 0;
        loop {
            let result = self.make_folders(name).and_then(|()| work(&path));
            tries += 1;
            match result {
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound
                        && tries < TRIES
                        && self.exists()? => {}
                result => return result,
            }
        }
    }

    /// Removes the folders that have become empty because an object is gone.
    pub(super) fn remove_empty_folders(&self, name: &str) {
        let mut folders = name;
        while let Some((above, _)) = folders.rsplit_once('/') {
            // It is not empty, or somebody else was faster.
            if fs::remove_dir(self.path(above)).is_err() {
                return;
            }
            folders = above;
        }
    }

    /// The error of an operation on an object: what the operating system says, or that there is no store at all.
    pub(super) fn error(&self, action: &'static str, name: &str, error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::NotFound && matches!(self.exists(), Ok(false)) {
            return self.missing();
        }
        self.failed(action, name, error.into())
    }

    pub(super) fn failed(
        &self,
        action: &'static str,
        name: &str,
        source: Box<dyn error::Error + Send + Sync>,
    ) -> Error {
        Error::Failed {
            place: self.to_string(),
            name: name.to_owned(),
            action,
            source,
        }
    }

    pub(super) fn missing(&self) -> Error {
        Error::NoPlace {
            place: self.to_string(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "folder {}", self.root.display())
    }
}

/// A new name in a folder outlives a loss of power only when the folder is written, too.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
