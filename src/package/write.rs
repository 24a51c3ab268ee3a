//! Writing packages.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use super::{
    Error, Fault, Limits, Package,
    files::{self, Existing, Output},
    manifest, manifest_write, names,
};

impl Package {
    /// Writes a `.sbm` in place of what is at `path`; a reader sees the old archive or the new one, never a part.
    ///
    /// The scripts of a folder package lie flat in it, and their paths in the manifest, so that reading it gives the same
    /// [`Package::sha256`].
    pub fn write_sbm(&self, path: &Path) -> Result<(), Error> {
        self.write_archive(path, Existing::Replace)
    }

    /// The bytes of a `.sbm`, as [`Package::write_sbm`] writes it to a file of the package's name.
    pub fn to_sbm(&self) -> Result<Vec<u8>, Error> {
        let path = Path::new(&self.name);
        zipped(&Parts::of(self, path)?, self, &[], path)
    }

    pub(super) fn write_archive(&self, path: &Path, existing: Existing) -> Result<(), Error> {
        let bytes = zipped(&Parts::of(self, path)?, self, &[], path)?;
        files::write_all(
            &[Output {
                path: path.to_owned(),
                bytes: &bytes,
            }],
            existing,
        )
    }
}

/// An archive of all files of a package and `others` behind them.
pub(super) fn zipped(
    parts: &Parts,
    package: &Package,
    others: &[(String, Vec<u8>)],
    path: &Path,
) -> Result<Vec<u8>, Error> {
    let mut files = parts.scripts_then_manifest(package, names::MANIFEST);
    let others = others.iter();
    files.extend(others.map(|(name, bytes)| (name.clone(), bytes.as_slice())));
    files::zipped(&files, Limits::default().ratio)
        .map_err(|error| Error::write(path)(std::io::Error::other(error)))
}

/// A package cut into the files that hold it.
#[derive(Debug)]
pub(super) struct Parts {
    /// The file names of the scripts, in their order.
    pub file_names: Vec<String>,
    /// The manifest.
    pub manifest: String,
}

impl Parts {
    /// Names the files of `package` and writes its manifest; refuses what a reader would refuse.
    pub(super) fn of(package: &Package, path: &Path) -> Result<Self, Error> {
        Self::named(package, path, flat_names(package))
    }

    /// Writes the manifest of `package`, whose scripts have these file names.
    pub(super) fn named(
        package: &Package,
        path: &Path,
        file_names: Vec<String>,
    ) -> Result<Self, Error> {
        let faults = (1..)
            .zip(&package.scripts)
            .filter_map(|(position, script)| {
                names::path_fault(&script.file).map(|reason| Fault::FileName {
                    position,
                    value: script.file.clone(),
                    reason,
                })
            })
            .collect();
        Error::unless_empty(path, faults)?;
        let manifest = manifest_write::write(package, &file_names);
        let (_, faults) = manifest::read(manifest.as_bytes());
        Error::unless_empty(path, faults)?;
        Ok(Self {
            file_names,
            manifest,
        })
    }

    /// All files in the order in which archives hold them.
    pub(super) fn scripts_then_manifest<'a>(
        &'a self,
        package: &'a Package,
        manifest_name: &str,
    ) -> Vec<(String, &'a [u8])> {
        let scripts = self
            .file_names
            .iter()
            .zip(&package.scripts)
            .map(|(name, script)| (name.clone(), script.bytes.as_slice()));
        let manifest = (manifest_name.to_owned(), self.manifest.as_bytes());
        let history = package
            .record
            .history
            .iter()
            .map(|history| (names::HISTORY.to_owned(), history.as_slice()));
        scripts
            .chain(std::iter::once(manifest))
            .chain(history)
            .collect()
    }
}

/// A plain file name for each script: the last part of its path, or the whole path when others have that part, too.
fn flat_names(package: &Package) -> Vec<String> {
    let base = |file: &str| names::base_name(file).to_owned();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for script in &package.scripts {
        *counts
            .entry(names::folded(&base(&script.file)))
            .or_default() += 1;
    }
    let is_unique = |file: &str| counts.get(&names::folded(&base(file))) == Some(&1);
    let mut used: HashSet<String> = package
        .scripts
        .iter()
        .filter(|script| is_unique(&script.file))
        .map(|script| names::folded(&base(&script.file)))
        .collect();
    let mut name = |file: &str| {
        if is_unique(file) {
            return base(file);
        }
        let mut name = file.replace('/', "-");
        while !used.insert(names::folded(&name)) {
            name.insert(0, '~');
        }
        name
    };
    package
        .scripts
        .iter()
        .map(|script| name(&script.file))
        .collect()
}
