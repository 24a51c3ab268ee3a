//! Files on their way to become objects: they get their name when they are complete and on the disk.

use std::{
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use uuid::Uuid;

use super::{
    Version,
    place::{Place, sync_folder},
};

/// A file that is removed when it is dropped. It is locked as long as its writer lives.
#[derive(Debug)]
pub(super) struct NewFile {
    path: PathBuf,
    file: File,
}

impl NewFile {
    pub(super) fn make(place: &Place) -> io::Result<Self> {
        const TRIES: u32 = 100;
        for _ in 0..TRIES {
            let path = place.inside(Place::NEW).join(Uuid::new_v4().to_string());
            let file = File::create_new(&path)?;
            let new = Self { path, file };
            // Before it was locked it may have looked like one that was left behind.
            if new.file.try_lock().is_ok() && new.path.try_exists()? {
                return Ok(new);
            }
        }
        Err(io::Error::other("new files are removed by somebody else"))
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives it the name of an object in place of the `old` one; the version of the object.
    pub(super) fn publish(
        self,
        place: &Place,
        name: &str,
        old: Option<&Metadata>,
    ) -> io::Result<Version> {
        if let Some(old) = old {
            make_newer(&self.file, old.modified()?)?;
        }
        let version = version(&self.file.metadata()?)?;
        place.in_folder(name, |path| fs::rename(&self.path, path))?;
        sync_folder(&super::folder_of(&place.path(name)))?;
        Ok(version)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // When it has got its name there is nothing here any more.
        fs::remove_file(&self.path).ok();
    }
}

/// The version of an object: it grows with the time of each write, and with each byte that is appended.
pub(super) fn version(metadata: &Metadata) -> io::Result<Version> {
    let time = metadata.modified()?.duration_since(UNIX_EPOCH);
    let time = time.map_or(0, |time| time.as_nanos());
    Ok(Version(format!("{time:x}-{:x}", metadata.len())))
}

/// Clocks stand still for milliseconds and are set back, and some file systems know seconds only.
fn make_newer(file: &File, old: SystemTime) -> io::Result<()> {
    let steps = [1, 1_000, 1_000_000, 2_000_000].map(Duration::from_micros);
    for step in steps {
        if file.metadata()?.modified()? > old {
            return Ok(());
        }
        file.set_modified(old + step)?;
    }
    Ok(())
}

/// Removes what processes left that were killed; what is being written is locked.
pub(super) fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let abandoned = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
        if abandoned {
            // Somebody else may sweep, too.
            fs::remove_file(&path).ok();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_newer_than_the_one_before_whatever_the_clock_says() {
        let file = tempfile::tempfile().unwrap();
        let written = file.metadata().unwrap().modified().unwrap();
        for old in [
            written - Duration::from_secs(1),
            written,
            written + Duration::from_secs(3600),
        ] {
            make_newer(&file, old).unwrap();
            assert!(file.metadata().unwrap().modified().unwrap() > old);
        }
    }
}
