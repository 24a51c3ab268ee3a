//! Reports beside the runs that they are of: the files for people and other tools, at the root of the place.

use std::{fs, io, path::Path};

use super::{Condition, Error, Storage, check_name};

/// Stores every file that stands in `folder` itself as a whole object of the same name, in place of an earlier one. The names, in
/// order. However often it is done, the result is the same.
///
/// Objects of another kind make way: the reference program appends to its consolidated files, and what can be appended to cannot be
/// written as a whole everywhere.
pub async fn consolidate(storage: &dyn Storage, folder: &Path) -> Result<Vec<String>, Error> {
    let unreadable = |source| Error::File {
        path: folder.to_owned(),
        source,
    };
    let names = files(folder).map_err(unreadable)?;
    for name in &names {
        let from = folder.join(name);
        match storage.put_file(name, &from, Condition::Any).await {
            Err(Error::OtherKind { .. }) => {
                storage.delete(name, None).await?;
                storage.put_file(name, &from, Condition::Any).await?;
            }
            done => {
                done?;
            }
        }
    }
    Ok(names)
}

/// The files that objects can be named after.
fn files(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok();
        let name = name.filter(|name| check_name(name).is_ok());
        if entry.file_type()?.is_file() {
            names.extend(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
