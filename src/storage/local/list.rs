//! Objects in the order of their names, folder by folder, so that a long list is never in memory as a whole.

use std::{fs, path::Path};

use futures::{Stream, stream};

use super::{Error, InStore, Listed, LocalFolder, Store, names, place::Place, write::is_missing};

/// A file, or a folder whose turn has not come.
#[derive(Debug)]
struct Entry {
    /// The name of the object; that of a folder ends with `/`.
    name: String,
    size: u64,
}

/// The objects whose names begin with `prefix`.
pub(super) fn list(
    folder: &LocalFolder,
    prefix: String,
) -> impl Stream<Item = Result<Listed, Error>> + Send + '_ {
    // What comes next stands at the end.
    let first = (Some(prefix), Vec::new());
    stream::try_unfold(first, move |(prefix, mut waiting)| async move {
        if let Some(prefix) = prefix {
            names::check_prefix(&prefix)?;
            waiting = folder.run(&prefix, first_folder).await?;
        }
        while let Some(Entry { name, size }) = waiting.pop() {
            if !name.ends_with('/') {
                return Ok(Some((Listed { name, size }, (None, waiting))));
            }
            let inner = folder.run(&name, |store, folder| entries(&store.place, folder, ""));
            waiting.extend(inner.await?);
        }
        Ok(None)
    })
}

fn first_folder(store: &Store, prefix: &str) -> Result<Vec<Entry>, Error> {
    let place = &store.place;
    if !place.exists().at(place, "list", prefix)? {
        return Err(place.missing());
    }
    let (folder, rest) = match prefix.rfind('/') {
        Some(slash) => prefix.split_at(slash + 1),
        None => ("", prefix),
    };
    entries(place, folder, rest)
}

/// What stands in a folder and begins with `start`, the last one first.
fn entries(place: &Place, folder: &str, start: &str) -> Result<Vec<Entry>, Error> {
    let files = match fs::read_dir(place.path(folder)) {
        Ok(files) => files,
        // It has been removed meanwhile, or there was none.
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(place.error("list", folder, error)),
    };
    let mut found = Vec::new();
    for file in files {
        let file = file.at(place, "list", folder)?;
        let Ok(part) = file.file_name().into_string() else {
            continue;
        };
        if part.starts_with(start) && names::is_part(&part) {
            found.extend(entry(&file.path(), format!("{folder}{part}")));
        }
    }
    // A folder stands where its objects stand: `a-b`, `a.b`, `a/b`.
    found.sort_unstable_by(|left, right| right.name.cmp(&left.name));
    Ok(found)
}

/// `None` for what has gone meanwhile, and for what is neither file nor folder.
fn entry(path: &Path, mut name: String) -> Option<Entry> {
    let metadata = fs::metadata(path).ok()?;
    if metadata.is_dir() {
        name.push('/');
    } else if !metadata.is_file() {
        return None;
    }
    let size = metadata.len();
    Some(Entry { name, size })
}
