//! Whole objects are written to a new file, which takes the place of the old one under the lock of the object.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    path::Path,
};

use super::{
    Condition, Error, InStore, LeaseId, Version,
    lease::{forget, permit},
    lock::lock,
    new_file::{NewFile, version},
    place::Place,
};

/// Writes what `content` gives.
pub(super) fn put(
    place: &Place,
    name: &str,
    condition: &Condition,
    content: &mut dyn Read,
) -> Result<Version, Error> {
    let mut new = NewFile::make(place).at(place, "write", name)?;
    io::copy(content, new.file()).at(place, "write", name)?;
    publish(place, name, condition, new)
}

/// Writes the content of a file.
pub(super) fn put_file(
    place: &Place,
    name: &str,
    condition: &Condition,
    from: &Path,
) -> Result<Version, Error> {
    let unreadable = |source| Error::File {
        path: from.to_owned(),
        source,
    };
    let mut content = File::open(from).map_err(unreadable)?;
    if content.metadata().map_err(unreadable)?.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    let mut new = NewFile::make(place).at(place, "write", name)?;
    // Between two files the system copies by itself.
    io::copy(&mut content, new.file()).at(place, "write", name)?;
    publish(place, name, condition, new)
}

fn publish(
    place: &Place,
    name: &str,
    condition: &Condition,
    mut new: NewFile,
) -> Result<Version, Error> {
    new.file().sync_all().at(place, "write", name)?;
    let _lock = lock(place, name).at(place, "lock", name)?;
    let old = metadata(place, name)?;
    check(place, name, condition, old.as_ref())?;
    let holder = permit(place, name, condition.lease())?;
    forget(place, name, holder).at(place, "write", name)?;
    new.publish(place, name, old.as_ref())
        .at(place, "write", name)
}

fn check(
    place: &Place,
    name: &str,
    condition: &Condition,
    old: Option<&Metadata>,
) -> Result<(), Error> {
    let holds = match (condition, old) {
        (Condition::Any | Condition::Leased(_), _) | (Condition::Absent, None) => true,
        (Condition::Absent, Some(_)) | (Condition::Unchanged(_), None) => false,
        (Condition::Unchanged(expected), Some(old)) => {
            version(old).at(place, "read", name)? == *expected
        }
    };
    if holds {
        return Ok(());
    }
    Err(Error::Changed {
        place: place.to_string(),
        name: name.to_owned(),
    })
}

/// Of an object, if there is one.
pub(super) fn metadata(place: &Place, name: &str) -> Result<Option<Metadata>, Error> {
    match fs::metadata(place.path(name)) {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata)),
        Ok(_) => Err(place.failed("write", name, "it is a folder of objects".into())),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(place.error("read", name, error)),
    }
}

/// Whether there is no such file; below another file there is none either.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Deletes an object; whether there was one.
pub(super) fn delete(place: &Place, name: &str, lease: Option<&LeaseId>) -> Result<bool, Error> {
    let _lock = lock(place, name).at(place, "lock", name)?;
    if metadata(place, name)?.is_none() {
        return Ok(false);
    }
    permit(place, name, lease)?;
    fs::remove_file(place.path(name)).at(place, "delete", name)?;
    forget(place, name, false).at(place, "delete", name)?;
    place.remove_empty_folders(name);
    Ok(true)
}
