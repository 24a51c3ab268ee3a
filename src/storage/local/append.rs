//! Objects that grow at their end.

use std::{
    fs::File,
    io::{self, Write},
};

use super::{
    Error, InStore, folder_of,
    lease::{forget, permit},
    lock::lock,
    place::{Place, sync_folder},
    write::metadata,
};

/// Makes an empty object; whether there was none.
pub(super) fn begin(place: &Place, name: &str) -> Result<bool, Error> {
    let _lock = lock(place, name).at(place, "lock", name)?;
    if metadata(place, name)?.is_some() {
        return Ok(false);
    }
    place
        .in_folder(name, |path| File::create_new(path))
        .and_then(|_| sync_folder(&folder_of(&place.path(name))))
        .at(place, "write", name)?;
    Ok(true)
}

/// Appends a piece; when it fails, none of it stays.
pub(super) fn append(place: &Place, name: &str, piece: &[u8]) -> Result<(), Error> {
    let _lock = lock(place, name).at(place, "lock", name)?;
    let old = metadata(place, name)?;
    let holder = permit(place, name, None)?;
    forget(place, name, holder).at(place, "append to", name)?;
    place
        .in_folder(name, |path| {
            File::options().create(true).append(true).open(path)
        })
        .and_then(|file| grow(&file, piece))
        .at(place, "append to", name)?;
    if old.is_none() {
        sync_folder(&folder_of(&place.path(name))).at(place, "append to", name)?;
    }
    Ok(())
}

fn grow(mut file: &File, piece: &[u8]) -> io::Result<()> {
    let length = file.metadata()?.len();
    let result = file.write_all(piece).and_then(|()| file.sync_data());
    if result.is_err() {
        // Nobody else writes. If this fails as well, readers skip what is no line.
        file.set_len(length).ok();
    }
    result
}
