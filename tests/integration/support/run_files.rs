//! What a run leaves in its logging folder.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// A logging folder.
#[derive(Debug)]
pub(crate) struct RunFiles(pub(crate) PathBuf);

impl RunFiles {
    pub(crate) fn text(&self, name: &str) -> String {
        let path = self.0.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.text(name)).unwrap()
    }

    /// The lines of one of the three lists: `success`, `failure` or `unresolved`.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(&format!("{name}databases.cfg"));
        text.lines().map(str::to_owned).collect()
    }

    /// The path of a list.
    pub(crate) fn list_path(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}databases.cfg"))
    }

    /// Every target is in exactly one list.
    pub(crate) fn assert_partition(&self, targets: &[String]) {
        let lists = ["success", "failure", "unresolved"].map(|name| self.list(name));
        let count: usize = lists.iter().map(Vec::len).sum();
        assert_eq!(count, targets.len());
        let listed: BTreeSet<String> = lists.into_iter().flatten().collect();
        assert_eq!(listed, targets.iter().cloned().collect());
    }

    /// A target of the result's lists.
    pub(crate) fn target(&self, database: &str) -> Option<Value> {
        let result = self.json("result.json");
        let lists = ["failed", "unresolved", "warnings"].map(|list| result[list]["listed"].clone());
        let all = lists.iter().flat_map(|list| list.as_array().unwrap());
        let mut found = all.filter(|target| target["databases"][0] == database);
        let first = found.next().cloned();
        assert!(found.next().is_none(), "{database} is told twice");
        first
    }
}

/// Every file below `folder`.
pub(crate) fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

/// Writes a folder package of these files below `folder`.
pub(crate) fn write_package(folder: &Path, files: &[(&str, &str)]) -> PathBuf {
    let package = folder.join("package");
    for (name, content) in files {
        let path = package.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    package
}

/// Writes a target list into `folder`.
pub(crate) fn write_list(folder: &Path, name: &str, lines: &[String]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, lines.join("\n")).unwrap();
    path
}
