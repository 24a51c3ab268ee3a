//! Reading needs no lock: a file that has a name is complete, except that it may grow.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    time::SystemTime,
};

use bytes::Bytes;

use super::{
    Error, InStore, Object, folder_of, new_file::version, place::Place, write::is_missing,
};

/// The whole object.
pub(super) fn whole(place: &Place, name: &str) -> Result<Option<Object>, Error> {
    let Some(file) = open(place, name)? else {
        return Ok(None);
    };
    read_whole(file).map(Some).at(place, "read", name)
}

fn read_whole(file: File) -> io::Result<Object> {
    let metadata = file.metadata()?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // What is appended from now on belongs to another version.
    file.take(metadata.len()).read_to_end(&mut bytes)?;
    let age = SystemTime::now().duration_since(metadata.modified()?);
    Ok(Object {
        bytes: bytes.into(),
        version: version(&metadata)?,
        age: age.unwrap_or_default(),
    })
}

/// A part of the object.
pub(super) fn range(
    place: &Place,
    name: &str,
    from: u64,
    at_most: usize,
) -> Result<Option<Bytes>, Error> {
    let Some(mut file) = open(place, name)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))
        .and_then(|_| file.take(at_most as u64).read_to_end(&mut bytes))
        .at(place, "read", name)?;
    Ok(Some(bytes.into()))
}

/// Copies the object into a file, which is replaced.
pub(super) fn file(place: &Place, name: &str, to: &Path) -> Result<Option<u64>, Error> {
    let Some(mut object) = open(place, name)? else {
        return Ok(None);
    };
    let unwritable = |source| Error::File {
        path: to.to_owned(),
        source,
    };
    let mut new = tempfile::NamedTempFile::new_in(folder_of(to)).map_err(unwritable)?;
    let size = io::copy(&mut object, new.as_file_mut()).map_err(unwritable)?;
    new.persist(to).map_err(|error| unwritable(error.error))?;
    Ok(Some(size))
}

fn open(place: &Place, name: &str) -> Result<Option<File>, Error> {
    let opened = File::open(place.path(name));
    match opened {
        Ok(file) if file.metadata().at(place, "read", name)?.is_file() => Ok(Some(file)),
        Ok(_) => Ok(None),
        Err(error) if is_missing(&error) => {
            if place.exists().at(place, "read", name)? {
                Ok(None)
            } else {
                Err(place.missing())
            }
        }
        Err(error) => Err(place.error("read", name, error)),
    }
}
