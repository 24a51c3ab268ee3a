//! Writing files so that nobody ever sees half of one.

use std::{
    collections::BTreeSet,
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::Error;

/// What to do when the file is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// Put the new one in its place.
    Replace,
    /// Leave it and fail.
    Keep,
}

/// A file that is to be written.
#[derive(Debug)]
pub(super) struct Output<'a> {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub bytes: &'a [u8],
}

/// Writes all files or none: each is complete beside its place before the first is put there.
pub(super) fn write_all(outputs: &[Output<'_>], existing: Existing) -> Result<(), Error> {
    let mut staged = Vec::with_capacity(outputs.len());
    for output in outputs {
        staged.push(stage(output, existing)?);
    }
    let mut placed: Vec<&Path> = Vec::with_capacity(outputs.len());
    for (output, file) in outputs.iter().zip(staged) {
        let persisted = match existing {
            Existing::Replace => file.persist(&output.path),
            Existing::Keep => file.persist_noclobber(&output.path),
        };
        if let Err(error) = persisted {
            if existing == Existing::Keep {
                remove(&placed);
            }
            return Err(placing_failed(&output.path, error.error));
        }
        placed.push(&output.path);
    }
    Ok(())
}

/// An archive of `files` in that order, flat, packed quickly.
///
/// A file that packs to less than a `ratio`th is stored as it is: a reader would take it for a zip bomb.
pub(super) fn zipped(
    files: &[(String, &[u8])],
    ratio: u64,
) -> Result<Vec<u8>, zip::result::ZipError> {
    let packed = zip_with(files, &BTreeSet::new())?;
    let mut archive = zip::ZipArchive::new(Cursor::new(&packed))?;
    let mut stored = BTreeSet::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index)?;
        if entry.size() > entry.compressed_size().saturating_mul(ratio) {
            stored.insert(index);
        }
    }
    if stored.is_empty() {
        return Ok(packed);
    }
    zip_with(files, &stored)
}

/// The number of bytes, as limits count them.
pub(super) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The folder in which `path` lies.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => path,
    }
}

fn stage(output: &Output<'_>, existing: Existing) -> Result<NamedTempFile, Error> {
    let mut builder = tempfile::Builder::new();
    // Temporary files are private unless said otherwise, which a package need not be; the umask still applies.
    #[cfg(unix)]
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(permissions);
    let mut write = || {
        let mut file = builder
            .prefix(".sbm-")
            .tempfile_in(folder_of(&output.path))?;
        file.write_all(output.bytes)?;
        // What replaces a file is as private as that file was.
        if existing == Existing::Replace
            && let Ok(old) = std::fs::metadata(&output.path)
        {
            file.as_file().set_permissions(old.permissions())?;
        }
        file.as_file().sync_all()?;
        Ok(file)
    };
    write().map_err(Error::write(&output.path))
}

fn placing_failed(path: &Path, error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        return Error::AlreadyExists {
            paths: vec![path.to_owned()],
        };
    }
    Error::write(path)(error)
}

/// Takes back what was placed before a failure.
pub(super) fn remove(placed: &[&Path]) {
    for path in placed {
        if let Err(error) = std::fs::remove_file(path) {
            log::warn!("cannot remove {} again: {error}", path.display());
        }
    }
}

fn zip_with(
    files: &[(String, &[u8])],
    stored: &BTreeSet<usize>,
) -> Result<Vec<u8>, zip::result::ZipError> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (index, (name, bytes)) in files.iter().enumerate() {
        let options = SimpleFileOptions::default();
        let options = if stored.contains(&index) {
            options.compression_method(CompressionMethod::Stored)
        } else {
            options
                .compression_method(CompressionMethod::Deflated)
                .compression_level(Some(1))
        };
        writer.start_file(name, options)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}
