//! What the command line does with packages. Texts are returned, not printed.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::{
    Error, Fault, Limits, Moment, Package, Script, digest,
    files::{self, Existing, Output},
    names,
    open::{Missing, Opened, base_name, open, read_limited},
    table,
    write::Parts,
};

/// Makes a package of script files, in the order in which they are given.
///
/// The ending of `output` decides between `.sbm` and `.sbx`; with `.sbx` the scripts are copied beside it, unless they lie
/// there already. Nothing else gets into the package, nothing is overwritten, and all faults are reported together.
pub fn create_from_scripts(output: &Path, scripts: &[PathBuf]) -> Result<Package, Error> {
    let mut faults = Vec::new();
    let name = output.to_string_lossy();
    let is_xml = names::has_extension(&name, "sbx");
    if !is_xml && !names::has_extension(&name, "sbm") {
        faults.push(Fault::OutputEnding {
            value: name.clone().into_owned(),
        });
    }
    if output.symlink_metadata().is_ok() {
        faults.push(Fault::OutputExists);
    }
    let limits = Limits::default();
    let package = Package {
        name: base_name(output),
        scripts: read_scripts(scripts, &limits, &mut faults),
        ..Package::default()
    };
    if is_xml {
        faults.extend(files_in_the_way(output, scripts, &package.scripts));
    }
    Error::unless_empty(output, faults)?;
    if is_xml {
        write_beside(output, scripts, &package)?;
    } else {
        package.write_archive(output, Existing::Keep)?;
    }
    Ok(package)
}

/// The scripts of a package as a table, with an empty line before it; the last line has no line end.
///
/// Dates are those of this machine's clock. With `with_hash` the reference program's hashes are shown, and `File Missing`
/// for a script of a `.sbx` that has no file.
pub fn list(path: &Path, with_hash: bool, limits: &Limits) -> Result<String, Error> {
    let opened = open(path, limits, Missing::Keep)?;
    let full = std::path::absolute(path).map_err(Error::read(path))?;
    let hashes = with_hash.then(|| hashes(&opened));
    let mut title = full.display().to_string();
    if with_hash {
        title.push_str(&format!(" (Package Hash: {})", hash_of(&opened)));
    }
    let table = table::of_scripts(&opened.package, hashes.as_deref(), &TimeZone::system());
    Ok(format!("\n{title}\n{table}\n"))
}

/// The hash by which the reference program knows a package, as [`Package::build_hash`]. A script of a `.sbx` that has no
/// file enters it as `File Missing`.
pub fn build_hash_of(path: &Path, limits: &Limits) -> Result<String, Error> {
    open(path, limits, Missing::Keep).map(|opened| hash_of(&opened))
}

/// Writes the scripts of a package and `<package name>.sbx` into `directory`, and gives back all files written.
///
/// Nothing is overwritten: every file that is in the way is named, and nothing is written.
pub fn unpack(package: &Path, directory: &Path, limits: &Limits) -> Result<Vec<PathBuf>, Error> {
    let opened = Package::open(package, limits)?;
    let parts = Parts::of(&opened, package)?;
    let stem = if package.is_dir() {
        opened.name.clone()
    } else {
        let stem = package.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    };
    let manifest_name = format!("{stem}.sbx");
    let twin = parts
        .file_names
        .iter()
        .find(|name| names::same(name, &manifest_name))
        .map(|name| Fault::SameFileName {
            first: name.clone(),
            second: manifest_name.clone(),
        });
    Error::unless_empty(package, twin.into_iter().collect())?;
    let files = parts.scripts_then_manifest(&opened, &manifest_name);
    let outputs: Vec<Output<'_>> = files
        .into_iter()
        .map(|(name, bytes)| Output {
            path: directory.join(name),
            bytes,
        })
        .collect();
    write_into(directory, &outputs)?;
    Ok(outputs.into_iter().map(|output| output.path).collect())
}

/// New scripts with these files, in orders from 1.
pub(super) fn read_scripts(
    files: &[PathBuf],
    limits: &Limits,
    faults: &mut Vec<Fault>,
) -> Vec<Script> {
    if files.is_empty() {
        faults.push(Fault::NoScripts);
    }
    let mut budget = limits.package_bytes;
    let mut seen: HashMap<String, &Path> = HashMap::new();
    let mut scripts = Vec::with_capacity(files.len());
    for (position, file) in (1_u32..).zip(files) {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if let Some(reason) = names::file_name_fault(&name) {
            faults.push(Fault::FileName {
                position: scripts.len() + 1,
                value: file.display().to_string(),
                reason,
            });
        }
        if let Some(first) = seen.insert(names::folded(&name), file) {
            faults.push(Fault::SameFileName {
                first: first.display().to_string(),
                second: file.display().to_string(),
            });
        }
        // What is not readable afterwards is not packed either.
        let bytes =
            read_limited(file, &name, file, (limits, &mut budget)).unwrap_or_else(|error| {
                faults.push(Fault::Unreadable {
                    file: file.display().to_string(),
                    reason: reason(&error),
                });
                Vec::new()
            });
        scripts.push(new_script(&name, bytes, position));
    }
    scripts
}

fn reason(error: &Error) -> String {
    match error {
        Error::Read { source, .. } => source.to_string(),
        Error::TooLarge {
            limit, accepted, ..
        } => format!("more than the {accepted} bytes that the limit on {limit} accepts"),
        other => other.to_string(),
    }
}

/// A script with the settings that the reference program gives new ones.
fn new_script(name: &str, bytes: Vec<u8>, position: u32) -> Script {
    let mut script = Script::new(name, bytes);
    script.id = Uuid::new_v4();
    script.order = Some(f64::from(position));
    script.database = "client".into();
    script.timeout = Some(Duration::from_secs(500));
    script.provenance.date_added = Some(Moment::now());
    script.provenance.added_by = ["USER", "USERNAME", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_default();
    script
}

/// The files that lie where scripts are to be copied to and are not the scripts themselves.
pub(super) fn files_in_the_way(
    output: &Path,
    sources: &[PathBuf],
    scripts: &[Script],
) -> Vec<Fault> {
    let folder = files::folder_of(output);
    sources
        .iter()
        .zip(scripts)
        .map(|(source, script)| (source, folder.join(&script.file)))
        .filter(|(source, place)| place.symlink_metadata().is_ok() && !is_same_file(source, place))
        .map(|(_, place)| Fault::InTheWay {
            file: place.display().to_string(),
        })
        .collect()
}

fn is_same_file(left: &Path, right: &Path) -> bool {
    match (left.canonicalize(), right.canonicalize()) {
        (Ok(left), Ok(right)) => left == right,
        _ => false,
    }
}

/// Writes a `.sbx` and copies scripts beside it that do not lie there yet.
fn write_beside(output: &Path, sources: &[PathBuf], package: &Package) -> Result<(), Error> {
    let parts = Parts::of(package, output)?;
    let mut outputs = copies(output, sources, &package.scripts);
    outputs.push(Output {
        path: output.to_owned(),
        bytes: parts.manifest.as_bytes(),
    });
    files::write_all(&outputs, Existing::Keep)
}

/// What is to be written beside `output` so that all scripts lie there.
pub(super) fn copies<'a>(
    output: &Path,
    sources: &[PathBuf],
    scripts: &'a [Script],
) -> Vec<Output<'a>> {
    let folder = files::folder_of(output);
    sources
        .iter()
        .zip(scripts)
        .map(|(source, script)| (source, folder.join(&script.file), script))
        .filter(|(source, place, _)| !is_same_file(source, place))
        .map(|(_, path, script)| Output {
            path,
            bytes: &script.bytes,
        })
        .collect()
}

/// Writes new files into a folder that need not exist; after a failure it is as it was.
fn write_into(directory: &Path, outputs: &[Output<'_>]) -> Result<(), Error> {
    let in_the_way: Vec<PathBuf> = outputs
        .iter()
        .filter(|output| output.path.symlink_metadata().is_ok())
        .map(|output| output.path.clone())
        .collect();
    if !in_the_way.is_empty() {
        return Err(Error::AlreadyExists { paths: in_the_way });
    }
    let is_new = !directory.exists();
    std::fs::create_dir_all(directory).map_err(Error::write(directory))?;
    let written = files::write_all(outputs, Existing::Keep);
    if written.is_err()
        && is_new
        && let Err(error) = std::fs::remove_dir(directory)
    {
        log::warn!("cannot remove {} again: {error}", directory.display());
    }
    written
}

/// The hashes of the scripts in their order.
fn hashes(opened: &Opened) -> Vec<String> {
    let hash = |script: &Script| {
        if opened.missing.contains(&script.id) {
            digest::FILE_MISSING.to_owned()
        } else {
            script.build_hash()
        }
    };
    opened.package.scripts.iter().map(hash).collect()
}

fn hash_of(opened: &Opened) -> String {
    let mut scripts: Vec<(bool, String)> = opened
        .package
        .scripts
        .iter()
        .map(|script| script.order.is_some())
        .zip(hashes(opened))
        .collect();
    // As in `Package::build_hash`: scripts without an order come first here.
    scripts.sort_by_key(|(has_order, _)| *has_order);
    digest::package_hash(scripts.into_iter().map(|(_, hash)| hash))
}
