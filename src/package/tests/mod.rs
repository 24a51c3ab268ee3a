//! Tests that need more than one file of this module.

mod add;
mod archives;
mod commands;
mod folders;
mod manifests;
mod packs;
mod properties;
mod samples;

use std::{
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{Error, Fault};

fn folder() -> TempDir {
    TempDir::new().unwrap()
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/samples")
        .join(name)
}

/// A manifest with these elements in its `Scripts`.
fn manifest(scripts: &str) -> String {
    format!(
        "<?xml version=\"1.0\" standalone=\"yes\"?><SqlSyncBuildData \
         xmlns=\"http://schemas.mckechney.com/SqlSyncBuildProject.xsd\"><SqlSyncBuildProject>\
         <Scripts>{scripts}</Scripts><Builds /></SqlSyncBuildProject></SqlSyncBuildData>"
    )
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn write(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The names in a folder, sorted.
fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn faults<T>(result: Result<T, Error>) -> Vec<Fault> {
    match result {
        Err(Error::Invalid { faults, .. }) => faults,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("no error"),
    }
}
