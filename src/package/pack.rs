//! `package`: makes an archive of every manifest in a folder.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use super::{
    Error, Fault, Limits, Package, files, names,
    names::natural_order,
    open::{base_name, files_beside, read_limited},
};

/// What became of the manifests in a folder.
#[derive(Debug, Default)]
pub struct Packed {
    /// The archives that were made, in the order of their names.
    pub made: Vec<PathBuf>,
    /// The manifests and folders that could not be used, each with the reason. Their old archives are as they were.
    pub failed: Vec<(PathBuf, Error)>,
}

/// Makes `<name>.sbm` beside each `<name>.sbx` in `directory` and in the folders inside it, in place of an older one.
///
/// A build history that lies beside the only `.sbx` of its folder goes along. Folders whose names begin with a dot are
/// left out, and links to folders are not followed. What is wrong with one manifest does not keep others from being packed.
pub fn pack_folder(directory: &Path, limits: &Limits) -> Result<Packed, Error> {
    std::fs::read_dir(directory).map_err(Error::read(directory))?;
    let mut packed = Packed::default();
    let mut manifests = Vec::new();
    find(directory, &mut manifests, &mut packed);
    if manifests.is_empty() && packed.failed.is_empty() {
        return Err(Error::Invalid {
            package: directory.to_owned(),
            faults: vec![Fault::NothingToPack],
        });
    }
    let mut outputs = HashSet::new();
    for manifest in manifests {
        let output = manifest.with_extension("sbm");
        let made = match outputs.insert(output.clone()) {
            true => pack(&manifest, &output, limits),
            false => Err(Error::AlreadyExists {
                paths: vec![output.clone()],
            }),
        };
        match made {
            Ok(()) => packed.made.push(output),
            Err(error) => packed.failed.push((manifest, error)),
        }
    }
    Ok(packed)
}

/// Gathers the manifests in natural order, those of a folder before those of the folders inside it.
fn find(directory: &Path, manifests: &mut Vec<PathBuf>, packed: &mut Packed) {
    let entries = match read_names(directory) {
        Ok(names) => names,
        Err(error) => return packed.failed.push((directory.to_owned(), error)),
    };
    for (name, is_folder) in &entries {
        if !is_folder && names::has_extension(name, "sbx") {
            manifests.push(directory.join(name));
        }
    }
    for (name, is_folder) in &entries {
        if *is_folder && !name.starts_with('.') {
            find(&directory.join(name), manifests, packed);
        }
    }
}

/// The names in a folder, and which of them are folders.
fn read_names(directory: &Path) -> Result<Vec<(String, bool)>, Error> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(Error::read(directory))? {
        let entry = entry.map_err(Error::read(directory))?;
        let kind = entry.file_type().map_err(Error::read(directory))?;
        // What is not Unicode cannot be the name of a package, nor can what is no file.
        if let Ok(name) = entry.file_name().into_string()
            && (kind.is_dir() || entry.path().is_file())
        {
            names.push((name, kind.is_dir()));
        }
    }
    names.sort_by(|(one, _), (other, _)| natural_order(one, other));
    Ok(names)
}

fn pack(manifest: &Path, output: &Path, limits: &Limits) -> Result<(), Error> {
    let mut package = Package::open(manifest, limits)?;
    if package.record.history.is_none() {
        package.record.history = history_beside(manifest, limits)?;
    }
    package.write_sbm(output)
}

/// The history in the folder of a manifest; none when it may be that of another manifest.
fn history_beside(manifest: &Path, limits: &Limits) -> Result<Option<Vec<u8>>, Error> {
    let present = files_beside(manifest)?;
    let Some(name) = present
        .iter()
        .find(|name| names::same(name, names::HISTORY))
    else {
        return Ok(None);
    };
    let path = files::folder_of(manifest).join(name);
    let manifests = present
        .iter()
        .filter(|name| names::has_extension(name, "sbx"));
    if manifests.count() > 1 {
        log::warn!(
            "{} is not packed, because it does not say to which of several packages it belongs",
            path.display()
        );
        return Ok(None);
    }
    let mut budget = limits.package_bytes;
    read_limited(&path, &base_name(&path), manifest, (limits, &mut budget)).map(Some)
}
