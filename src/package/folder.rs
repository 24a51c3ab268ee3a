//! A folder of `.sql` files as a package.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Error, Fault, Limits, Package, Script,
    folder_settings::{self, FolderSettings, Overrides, Rest},
    names,
    open::{base_name, read_limited},
    script::derived_id,
};

/// The name of the optional settings file.
pub(super) const SETTINGS: &str = "sbm.yaml";

/// Reads a folder with the folders in it. Scripts come in natural order, or as `sbm.yaml` lists them.
pub(super) fn open(folder: &Path, limits: &Limits) -> Result<Package, Error> {
    let mut budget = limits.package_bytes;
    let mut walk = Walk::default();
    walk.visit(folder, "")?;
    let Walk {
        mut files,
        mut faults,
        ..
    } = walk;
    files.sort_by(|left, right| names::natural_order(&left.name, &right.name));
    let settings = if files.iter().any(|file| file.name == SETTINGS) {
        let path = folder.join(SETTINGS);
        let bytes = read_limited(&path, SETTINGS, folder, (limits, &mut budget))?;
        folder_settings::read(&bytes, &mut faults)
    } else {
        FolderSettings::default()
    };
    faults.extend(misnamed_settings(&files));
    let chosen = choose(&files, &settings, &mut faults);
    if chosen.is_empty() && faults.is_empty() {
        faults.push(Fault::NoScripts);
    }
    Error::unless_empty(folder, faults)?;
    let mut package = Package {
        name: base_name(folder),
        ..Package::default()
    };
    for (position, (file, overrides)) in (1_u32..).zip(chosen) {
        let bytes = read_limited(&file.path, &file.name, folder, (limits, &mut budget))?;
        let mut script = Script::new(file.name.clone(), bytes);
        script.order = Some(f64::from(position));
        settings.defaults.apply(&mut script);
        if let Some(overrides) = overrides {
            overrides.apply(&mut script);
        }
        package.scripts.push(script);
    }
    Ok(package)
}

/// Reads only the `*.sql` files of one folder, with the settings that the reference program gives them.
pub(super) fn open_flat(folder: &Path, limits: &Limits) -> Result<Package, Error> {
    let mut budget = limits.package_bytes;
    let mut walk = Walk {
        flat: true,
        ..Walk::default()
    };
    walk.visit(folder, "")?;
    let Walk {
        mut files,
        mut faults,
        ..
    } = walk;
    files.retain(|file| is_script(&file.name));
    files.sort_by(|left, right| left.name.cmp(&right.name));
    faults.extend(files.iter().filter_map(name_fault));
    if files.is_empty() && faults.is_empty() {
        faults.push(Fault::NoScripts);
    }
    Error::unless_empty(folder, faults)?;
    let mut package = Package {
        name: base_name(folder),
        ..Package::default()
    };
    for (position, file) in (0_u32..).zip(files) {
        let bytes = read_limited(&file.path, &file.name, folder, (limits, &mut budget))?;
        let mut script = Script::new(file.name, bytes);
        // All scripts run once. The text is part of the identity, so that a script of another folder, or a changed one, is
        // not taken for one that has run.
        script.id = derived_id(&[script.file.as_bytes(), &script.bytes]);
        script.order = Some(f64::from(position));
        script.allow_multiple_runs = false;
        script.timeout = Some(Duration::from_secs(20));
        package.scripts.push(script);
    }
    Ok(package)
}

/// A file of the folder.
#[derive(Debug)]
struct FolderFile {
    /// Its path in the folder, with `/` between the parts.
    name: String,
    path: PathBuf,
}

/// Finds the files of a folder; those with a leading dot are hidden.
#[derive(Debug, Default)]
struct Walk {
    /// Leave out the folders inside.
    flat: bool,
    files: Vec<FolderFile>,
    faults: Vec<Fault>,
    /// The real paths of the folders around the current one, to notice links that lead back.
    around: Vec<PathBuf>,
}

impl Walk {
    fn visit(&mut self, folder: &Path, prefix: &str) -> Result<(), Error> {
        let real = folder.canonicalize().map_err(Error::read(folder))?;
        if self.around.contains(&real) {
            self.faults.push(Fault::Loop {
                folder: prefix.trim_end_matches('/').to_owned(),
            });
            return Ok(());
        }
        self.around.push(real);
        for entry in std::fs::read_dir(folder).map_err(Error::read(folder))? {
            let entry = entry.map_err(Error::read(folder))?;
            self.entry(&entry, prefix)?;
        }
        self.around.pop();
        Ok(())
    }

    fn entry(&mut self, entry: &std::fs::DirEntry, prefix: &str) -> Result<(), Error> {
        let os_name = entry.file_name();
        let text = os_name.to_string_lossy();
        if text.starts_with('.') {
            return Ok(());
        }
        let name = format!("{prefix}{text}");
        let path = entry.path();
        if path.is_dir() {
            if self.flat {
                return Ok(());
            }
            return self.visit(&path, &format!("{name}/"));
        }
        if os_name.to_str().is_some() {
            self.files.push(FolderFile { name, path });
        } else if is_script(&name) {
            self.faults.push(Fault::FolderName {
                file: name,
                reason: "is not in Unicode",
            });
        }
        Ok(())
    }
}

fn is_script(name: &str) -> bool {
    names::has_extension(name, "sql")
}

fn misnamed_settings(files: &[FolderFile]) -> impl Iterator<Item = Fault> {
    files
        .iter()
        .filter(|file| {
            ["sbm.yaml", "sbm.yml"]
                .iter()
                .any(|name| names::same(&file.name, name))
                && file.name != SETTINGS
        })
        .map(|file| Fault::SettingsName {
            file: file.name.clone(),
        })
}

fn name_fault(file: &FolderFile) -> Option<Fault> {
    names::path_fault(&file.name).map(|reason| Fault::FolderName {
        file: file.name.clone(),
        reason,
    })
}

/// The files to run in their order, with the settings of their own that they have.
fn choose<'a>(
    files: &'a [FolderFile],
    settings: &'a FolderSettings,
    faults: &mut Vec<Fault>,
) -> Vec<(&'a FolderFile, Option<&'a Overrides>)> {
    let scripts = files.iter().filter(|file| is_script(&file.name));
    let mut chosen: Vec<(&FolderFile, Option<&Overrides>)> = Vec::new();
    if let Some(listed) = &settings.scripts {
        let by_name: HashMap<&str, &FolderFile> = files
            .iter()
            .map(|file| (file.name.as_str(), file))
            .collect();
        let mut seen = HashSet::new();
        for (name, overrides) in listed {
            if !seen.insert(name.as_str()) {
                faults.push(Fault::ListedTwice { file: name.clone() });
            } else if let Some(file) = by_name.get(name.as_str()) {
                chosen.push((file, Some(overrides)));
            } else {
                faults.push(Fault::ListedMissing { file: name.clone() });
            }
        }
        let rest = scripts.filter(|file| !seen.contains(file.name.as_str()));
        match settings.rest {
            Rest::Append => chosen.extend(rest.map(|file| (file, None))),
            Rest::Ignore => {}
            Rest::Refuse => faults.extend(rest.map(|file| Fault::NotListed {
                file: file.name.clone(),
            })),
        }
    } else {
        chosen.extend(scripts.map(|file| (file, None)));
    }
    faults.extend(chosen.iter().filter_map(|(file, _)| name_fault(file)));
    chosen
}
