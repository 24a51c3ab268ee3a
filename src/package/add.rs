//! `add`: puts scripts into a package that exists.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    Error, Fault, Limits, Package, Script,
    commands::{copies, files_in_the_way, read_scripts},
    files::{self, Existing, Output},
    names,
    open::{Opened, open_to_rewrite},
    write::{Parts, zipped},
};

/// The orders from here on are for scripts that stay last, whatever is added.
const PINNED: f64 = 1000.0;

/// Puts script files behind the scripts of a `.sbm` or `.sbx`, in the order in which they are given.
///
/// Everything else stays: the other scripts and their ids, past builds, the history, code reviews and whatever is unknown
/// in the manifest, and files of an archive that no script names. The files beside a `.sbx` are new copies. The old
/// package stays in place until the new one is complete; all faults are reported together.
pub fn add_scripts(package: &Path, scripts: &[PathBuf], limits: &Limits) -> Result<Package, Error> {
    if package.is_dir() {
        return Err(Error::Invalid {
            package: package.to_owned(),
            faults: vec![Fault::IsFolder],
        });
    }
    // A link stays a link: the file behind it is replaced.
    let path = package.canonicalize().map_err(Error::read(package))?;
    let mut opened = open_to_rewrite(&path, limits)?;
    let left = Limits {
        package_bytes: limits.package_bytes.saturating_sub(size(&opened)),
        ..*limits
    };
    let mut faults = Vec::new();
    let mut new = read_scripts(scripts, &left, &mut faults);
    faults.extend(taken_names(&opened, &new));
    if !opened.is_archive {
        faults.extend(files_in_the_way(&path, scripts, &new));
    }
    Error::unless_empty(package, faults)?;
    let orders = orders(&opened.package.scripts, new.len());
    for (script, order) in new.iter_mut().zip(orders) {
        script.order = Some(order);
    }
    for script in &new {
        opened.file_names.insert(script.id, script.file.clone());
    }
    opened.package.scripts.extend(new.iter().cloned());
    opened.package.sort();
    let names = file_names(&opened);
    let parts = Parts::named(&opened.package, &path, names)?;
    match opened.is_archive {
        true => write_archive(&path, &parts, &opened)?,
        false => write_beside(&path, &parts, &copies(&path, scripts, &new))?,
    }
    Ok(opened.package)
}

/// The bytes that count against the limit on a package.
fn size(opened: &Opened) -> u64 {
    let scripts = opened.package.scripts.iter().map(|script| &script.bytes);
    let others = opened.others.iter().map(|(_, bytes)| bytes);
    let files = scripts.chain(others).chain(&opened.package.record.history);
    files.map(|bytes| files::length(bytes)).sum()
}

/// The new scripts whose names other files of the package have.
fn taken_names(opened: &Opened, new: &[Script]) -> Vec<Fault> {
    let paths = opened.package.scripts.iter().map(|script| &script.file);
    let others = opened.others.iter().map(|(name, _)| name);
    let taken: HashMap<String, &String> = paths
        .chain(opened.file_names.values())
        .chain(others)
        .map(|name| (names::folded(name), name))
        .collect();
    new.iter()
        .filter_map(|script| {
            let first = taken.get(&names::folded(&script.file))?;
            Some(Fault::SameFileName {
                first: (*first).clone(),
                second: script.file.clone(),
            })
        })
        .collect()
}

/// The orders of `count` new scripts: behind the last one below the pinned range, or behind all when that has no room.
fn orders(scripts: &[Script], count: usize) -> impl Iterator<Item = f64> {
    let orders = || scripts.iter().filter_map(|script| script.order);
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    let below = orders().filter(|order| *order < PINNED).fold(0.0, f64::max);
    let last = match below + f64::from(count) < PINNED {
        true => below,
        false => orders().fold(below, f64::max),
    };
    (1..=count).map(move |place| last + f64::from(place))
}

fn file_names(opened: &Opened) -> Vec<String> {
    let scripts = opened.package.scripts.iter();
    scripts
        .map(|script| {
            let name = opened.file_names.get(&script.id);
            name.unwrap_or(&script.file).clone()
        })
        .collect()
}

fn write_archive(path: &Path, parts: &Parts, opened: &Opened) -> Result<(), Error> {
    let bytes = zipped(parts, &opened.package, &opened.others, path)?;
    replace(path, &bytes)
}

/// Copies the scripts first, so that the manifest never names a file that is not there.
fn write_beside(path: &Path, parts: &Parts, copies: &[Output<'_>]) -> Result<(), Error> {
    files::write_all(copies, Existing::Keep)?;
    let written = replace(path, parts.manifest.as_bytes());
    if written.is_err() {
        let places: Vec<&Path> = copies.iter().map(|copy| copy.path.as_path()).collect();
        files::remove(&places);
    }
    written
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let output = Output {
        path: path.to_owned(),
        bytes,
    };
    files::write_all(&[output], Existing::Replace)
}
