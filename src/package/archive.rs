//! Reading zip archives that nobody vouches for.

use std::{
    collections::{HashMap, HashSet},
    io::{Read, Seek},
    path::{Path, PathBuf},
};

use zip::{CompressionMethod, ZipArchive, result::ZipError};

use super::{Error, Fault, Limits, directory, names};

/// An archive whose entries are known by their base names.
pub(super) struct Archive<R> {
    package: PathBuf,
    zip: ZipArchive<R>,
    /// In the order of the archive, without folders.
    entries: Vec<Entry>,
    /// Positions in `entries` by the base name as systems compare it that ignore case.
    by_name: HashMap<String, usize>,
    limits: Limits,
    /// How many bytes may still be unpacked.
    budget: u64,
    /// What is wrong with the entries.
    pub faults: Vec<Fault>,
}

struct Entry {
    index: usize,
    full: String,
    base: String,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the directory of the archive and judges the names in it. Only a damaged archive is an error at once.
    pub(super) fn new(mut reader: R, package: &Path, limits: &Limits) -> Result<Self, Error> {
        let failed = |source| broken(package, None, source);
        let repeated = directory::repeated_names(&mut reader).map_err(failed)?;
        let zip = ZipArchive::new(reader).map_err(failed)?;
        let mut archive = Self {
            package: package.to_owned(),
            zip,
            entries: Vec::new(),
            by_name: HashMap::new(),
            limits: *limits,
            budget: limits.package_bytes,
            faults: Vec::new(),
        };
        archive.read_directory()?;
        archive.index_names();
        archive.refuse_repeated(repeated);
        Ok(archive)
    }

    /// Whether a file of this base name is in it.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The name of the manifest: the right one, else the first XML file that is no history.
    pub(super) fn manifest_name(&self) -> Option<String> {
        let named = self.find(names::MANIFEST);
        let any = || {
            self.entries.iter().find(|entry| {
                names::has_extension(&entry.base, "xml")
                    && !names::same(&entry.base, names::HISTORY)
            })
        };
        named.or_else(any).map(|entry| entry.base.clone())
    }

    /// Unpacks the file of this base name; none when there is none. Every byte counts against the limits, whatever the
    /// headers say.
    pub(super) fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some((index, full)) = self
            .find(name)
            .map(|entry| (entry.index, entry.full.clone()))
        else {
            return Ok(None);
        };
        let failed = |source| broken(&self.package, Some(&full), source);
        let mut file = self.zip.by_index(index).map_err(failed)?;
        let ratio_bytes = file.compressed_size().saturating_mul(self.limits.ratio);
        let (limit, accepted) = [
            ("the size of one file", self.limits.script_bytes),
            ("the size of a package", self.budget),
            ("the ratio of unpacked to packed size", ratio_bytes),
        ]
        .into_iter()
        .min_by_key(|(_, bytes)| *bytes)
        .unwrap_or_default();
        let mut bytes = Vec::new();
        (&mut file)
            .take(accepted.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|source| failed(ZipError::Io(source)))?;
        let length = super::files::length(&bytes);
        if length > accepted {
            return Err(Error::TooLarge {
                package: self.package.clone(),
                entry: full,
                limit,
                accepted,
            });
        }
        self.budget = self.budget.saturating_sub(length);
        Ok(Some(bytes))
    }

    /// Unpacks every file that is none of `known`, with its base name.
    pub(super) fn read_others(
        &mut self,
        known: &[String],
    ) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let known: HashSet<String> = known.iter().map(|name| names::folded(name)).collect();
        let others: Vec<String> = self
            .entries
            .iter()
            .filter(|entry| !known.contains(&names::folded(&entry.base)))
            .map(|entry| entry.base.clone())
            .collect();
        let mut files = Vec::with_capacity(others.len());
        for name in others {
            if let Some(bytes) = self.read(&name)? {
                files.push((name, bytes));
            }
        }
        Ok(files)
    }

    fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.get(*self.by_name.get(&names::folded(name))?)
    }

    fn read_directory(&mut self) -> Result<(), Error> {
        for index in 0..self.zip.len() {
            let failed = |source| broken(&self.package, None, source);
            let entry = self.zip.by_index_data(index).map_err(failed)?;
            let full = entry.name().map_err(failed)?.into_owned();
            if let Some(reason) = names::entry_fault(&full) {
                self.faults.push(Fault::UnsafeEntry {
                    entry: full.clone(),
                    reason,
                });
            }
            if entry.encrypted() {
                self.faults.push(Fault::EncryptedEntry {
                    entry: full.clone(),
                });
            }
            let method = entry.compression();
            if ![CompressionMethod::Stored, CompressionMethod::Deflated].contains(&method) {
                self.faults.push(Fault::PackingMethod {
                    entry: full.clone(),
                    method: method.to_string(),
                });
            }
            let base = names::base_name(&full).to_owned();
            if !base.is_empty() {
                self.entries.push(Entry { index, full, base });
            }
        }
        Ok(())
    }

    /// The zip reader shows only one of several entries with one full name, so these are found beforehand.
    fn refuse_repeated(&mut self, mut repeated: Vec<String>) {
        if repeated.is_empty() && self.zip.has_duplicate_names() {
            repeated.push(String::from("?"));
        }
        self.faults
            .extend(repeated.into_iter().map(|full| Fault::SameEntry {
                first: full.clone(),
                name: names::base_name(&full).to_owned(),
                second: full,
            }));
    }

    /// Remembers where each name is, and finds entries that would become one file.
    fn index_names(&mut self) {
        for (position, entry) in self.entries.iter().enumerate() {
            let first = *self
                .by_name
                .entry(names::folded(&entry.base))
                .or_insert(position);
            if let Some(first) = self.entries.get(first)
                && first.index != entry.index
            {
                self.faults.push(Fault::SameEntry {
                    first: first.full.clone(),
                    second: entry.full.clone(),
                    name: entry.base.clone(),
                });
            }
        }
    }
}

fn broken(package: &Path, entry: Option<&str>, source: ZipError) -> Error {
    Error::Broken {
        package: package.to_owned(),
        entry: entry.map(str::to_owned),
        source,
    }
}
