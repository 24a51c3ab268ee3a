//! Opening packages, whatever form they have.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    io::{BufReader, Cursor, Read},
    path::Path,
};

use uuid::Uuid;

use super::{
    Error, Fault, Package,
    archive::Archive,
    files, folder,
    manifest::{self, Listed, Manifest},
    names,
};

/// How much a package may hold, so that a crafted one cannot fill the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The bytes of one script, or of another file of the package.
    pub script_bytes: u64,
    /// The bytes of all files together, unpacked.
    pub package_bytes: u64,
    /// How many times larger than its packed form an entry of an archive may be.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            script_bytes: 64 << 20,
            package_bytes: 256 << 20,
            ratio: 200,
        }
    }
}

/// What becomes of a script of a `.sbx` whose file does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The package is refused.
    Refuse,
    /// The script is kept, without text, for those who only look.
    Keep,
}

/// An opened package, and what only its present form has.
#[derive(Debug, Default)]
pub(super) struct Opened {
    pub package: Package,
    /// The scripts that have no file.
    pub missing: Vec<Uuid>,
    /// The file names of the scripts in the manifest; none for a folder.
    pub file_names: HashMap<Uuid, String>,
    /// Whether it is an archive.
    pub is_archive: bool,
    /// The files of an archive that no build needs, when they were asked for.
    pub others: Vec<(String, Vec<u8>)>,
}

/// Whether files of an archive that no build needs are read, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// For those who only build.
    Leave,
    /// For those who write the archive anew.
    Read,
}

impl Package {
    /// Reads a folder, a `.sbm` or a `.sbx`.
    ///
    /// Scripts come in the order in which they run. A package that holds no scripts is read, except that a folder needs
    /// at least one. All faults of the content are reported together.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        open(path, limits, Missing::Refuse).map(|opened| opened.package)
    }

    /// Reads a `.sbm` that is in memory; `name` is the base name of its file.
    pub fn from_sbm(bytes: &[u8], name: &str, limits: &Limits) -> Result<Self, Error> {
        let path = Path::new(name);
        let archive = Archive::new(Cursor::new(bytes), path, limits)?;
        let mut package = read_archive(archive, path, Others::Leave)?.package;
        package.name = name.to_owned();
        package.sort();
        Ok(package)
    }

    /// Reads the `*.sql` files of one folder as the reference program does for `--scriptsrcdir`.
    ///
    /// Folders inside are not looked into and settings not read. The order is that of the names, byte by byte; orders
    /// count from 0; scripts are run-once, have a time-out of 20 seconds and name no database.
    pub fn from_script_folder(directory: &Path, limits: &Limits) -> Result<Self, Error> {
        folder::open_flat(directory, limits)
    }
}

/// Reads a package, with a say in what happens to missing files.
pub(super) fn open(path: &Path, limits: &Limits, missing: Missing) -> Result<Opened, Error> {
    if path.is_dir() {
        return Ok(Opened {
            package: folder::open(path, limits)?,
            ..Opened::default()
        });
    }
    open_file(path, limits, missing, Others::Leave)
}

/// Reads a `.sbm` or `.sbx` with everything that a rewrite of it has to keep.
pub(super) fn open_to_rewrite(path: &Path, limits: &Limits) -> Result<Opened, Error> {
    open_file(path, limits, Missing::Refuse, Others::Read)
}

/// The last part of a path, also of `.` and the like.
pub(super) fn base_name(path: &Path) -> String {
    let whole = std::fs::canonicalize(path);
    let name = path
        .file_name()
        .or_else(|| whole.as_deref().ok().and_then(Path::file_name));
    name.unwrap_or_else(|| OsStr::new(""))
        .to_string_lossy()
        .into_owned()
}

/// Reads a file that counts against the limits.
pub(super) fn read_limited(
    path: &Path,
    name: &str,
    package: &Path,
    (limits, budget): (&Limits, &mut u64),
) -> Result<Vec<u8>, Error> {
    let (limit, accepted) = if limits.script_bytes <= *budget {
        ("the size of one file", limits.script_bytes)
    } else {
        ("the size of a package", *budget)
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| {
            file.take(accepted.saturating_add(1))
                .read_to_end(&mut bytes)
        })
        .map_err(Error::read(path))?;
    let length = files::length(&bytes);
    if length > accepted {
        return Err(Error::TooLarge {
            package: package.to_owned(),
            entry: name.to_owned(),
            limit,
            accepted,
        });
    }
    *budget -= length;
    Ok(bytes)
}

fn open_file(
    path: &Path,
    limits: &Limits,
    missing: Missing,
    others: Others,
) -> Result<Opened, Error> {
    let mut opened = open_unsorted(path, limits, missing, others)?;
    opened.package.name = base_name(path);
    opened.package.sort();
    Ok(opened)
}

fn open_unsorted(
    path: &Path,
    limits: &Limits,
    missing: Missing,
    others: Others,
) -> Result<Opened, Error> {
    let name = path.to_string_lossy();
    let is_archive = names::has_extension(&name, "sbm");
    if !is_archive && !names::has_extension(&name, "sbx") {
        // A name that is wrong and a file that is not there are different mistakes.
        File::open(path).map_err(Error::read(path))?;
        return Err(Error::NotAPackage {
            path: path.to_owned(),
        });
    }
    let mut file = File::open(path).map_err(Error::read(path))?;
    let mut start = [0; 2];
    let is_zip = file.read_exact(&mut start).is_ok() && &start == b"PK";
    if is_archive || is_zip {
        let archive = Archive::new(BufReader::new(file), path, limits)?;
        return read_archive(archive, path, others);
    }
    read_beside(path, limits, missing)
}

/// Reads an archive: first the faults of its entries are reported together, then those of its manifest.
pub(super) fn read_archive<R: Read + std::io::Seek>(
    mut archive: Archive<R>,
    path: &Path,
    others: Others,
) -> Result<Opened, Error> {
    let mut faults = std::mem::take(&mut archive.faults);
    let Some(name) = archive.manifest_name() else {
        faults.push(Fault::NoManifest);
        return Err(Error::Invalid {
            package: path.to_owned(),
            faults,
        });
    };
    // An entry that is itself at fault cannot be read, or might be the wrong one.
    Error::unless_empty(path, faults)?;
    let bytes = archive.read(&name)?.unwrap_or_default();
    let (manifest, mut faults) = manifest::read(&bytes);
    for listed in &manifest.scripts {
        if !archive.contains(&listed.file_name)
            && names::file_name_fault(&listed.file_name).is_none()
        {
            faults.push(missing_script(&listed.file_name));
        }
    }
    Error::unless_empty(path, faults)?;
    let mut opened = Opened {
        package: Package {
            record: manifest.record,
            ..Package::default()
        },
        is_archive: true,
        ..Opened::default()
    };
    let mut known = vec![name, names::HISTORY.to_owned()];
    for listed in manifest.scripts {
        let bytes = archive.read(&listed.file_name)?.unwrap_or_default();
        known.push(listed.file_name.clone());
        opened.push(listed, bytes);
    }
    opened.package.record.history = archive.read(names::HISTORY)?;
    if others == Others::Read {
        opened.others = archive.read_others(&known)?;
    }
    Ok(opened)
}

impl Opened {
    /// Adds a script, and gives its id.
    fn push(&mut self, listed: Listed, bytes: Vec<u8>) -> Uuid {
        let file_name = listed.file_name.clone();
        let script = listed.with_bytes(bytes);
        let id = script.id;
        self.file_names.insert(id, file_name);
        self.package.scripts.push(script);
        id
    }
}

/// Reads a manifest whose scripts lie beside it.
fn read_beside(path: &Path, limits: &Limits, missing: Missing) -> Result<Opened, Error> {
    let mut budget = limits.package_bytes;
    let name = base_name(path);
    let bytes = read_limited(path, &name, path, (limits, &mut budget))?;
    let (manifest, mut faults) = manifest::read(&bytes);
    let present = files_beside(path)?;
    let found = |name: &str| file_named(&present, name);
    if missing == Missing::Refuse {
        let absent = manifest.scripts.iter().filter(|listed| {
            names::file_name_fault(&listed.file_name).is_none()
                && found(&listed.file_name).is_none()
        });
        faults.extend(absent.map(|listed| missing_script(&listed.file_name)));
    }
    Error::unless_empty(path, faults)?;
    let Manifest { scripts, record } = manifest;
    let mut opened = Opened {
        package: Package {
            record,
            ..Package::default()
        },
        ..Opened::default()
    };
    for listed in scripts {
        let file = found(&listed.file_name);
        let bytes = file.map(|file| {
            let script = files::folder_of(path).join(file);
            read_limited(&script, file, path, (limits, &mut budget))
        });
        let is_missing = file.is_none();
        let id = opened.push(listed, bytes.transpose()?.unwrap_or_default());
        if is_missing {
            opened.missing.push(id);
        }
    }
    Ok(opened)
}

/// The file of this name, else one that differs only in case.
fn file_named<'a>(present: &'a [String], name: &str) -> Option<&'a String> {
    let exact = present.iter().find(|file| *file == name);
    exact.or_else(|| present.iter().find(|file| names::same(file, name)))
}

fn missing_script(name: &str) -> Fault {
    Fault::MissingScript {
        script: name.to_owned(),
    }
}

/// The names of the files in the folder of `path`.
pub(super) fn files_beside(path: &Path) -> Result<Vec<String>, Error> {
    let folder = files::folder_of(path);
    let mut present = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::read(folder))? {
        let entry = entry.map_err(Error::read(folder))?;
        if let Ok(name) = entry.file_name().into_string()
            && entry.path().is_file()
        {
            present.push(name);
        }
    }
    Ok(present)
}
