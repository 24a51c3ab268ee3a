//! Folders whose manifests become archives.

use std::path::{Path, PathBuf};

use super::{faults, folder, manifest, names_in, sample, write};
use crate::package::{Error, Fault, Limits, Package, commands::unpack, pack_folder};

fn open(path: &Path) -> Package {
    Package::open(path, &Limits::default()).unwrap()
}

#[test]
fn every_manifest_in_a_folder_becomes_an_archive_beside_it() {
    let folder = folder();
    for place in ["", "x/", "x/y/", ".hidden/"] {
        write(&folder, &format!("{place}a.sql"), "select 1");
        write(
            &folder,
            &format!("{place}p.SBX"),
            manifest("<Script FileName='A.SQL'/>"),
        );
    }
    write(
        &folder,
        "x/other.sbx",
        manifest("<Script FileName='a.sql'/>"),
    );
    write(&folder, "p.sbm", "an older one");
    let packed = pack_folder(folder.path(), &Limits::default()).unwrap();
    assert!(packed.failed.is_empty(), "{packed:?}");
    let expected: Vec<PathBuf> = ["p.sbm", "x/other.sbm", "x/p.sbm", "x/y/p.sbm"]
        .iter()
        .map(|name| folder.path().join(name))
        .collect();
    assert_eq!(packed.made, expected);
    for path in expected {
        assert_eq!(open(&path).scripts[0].bytes, b"select 1");
    }
    assert_eq!(names_in(&folder.path().join(".hidden")), ["a.sql", "p.SBX"]);
    assert_eq!(
        names_in(folder.path()),
        [".hidden", "a.sql", "p.SBX", "p.sbm", "x"]
    );
}

#[test]
fn an_unpacked_package_is_packed_to_the_same_package() {
    let folder = folder();
    for name in ["SimpleSelect_DoubleClient.sbm", "InsertForThreadedTest.sbm"] {
        let directory = folder.path().join(name);
        unpack(&sample(name), &directory, &Limits::default()).unwrap();
    }
    let packed = pack_folder(folder.path(), &Limits::default()).unwrap();
    assert_eq!(packed.made.len(), 2, "{packed:?}");
    for path in packed.made {
        let name = path.file_name().unwrap().to_str().unwrap();
        let (again, original) = (open(&path), open(&sample(name)));
        assert_eq!(again.sha256(), original.sha256());
        assert_eq!(again.build_hash(), original.build_hash());
        assert_eq!(again.record, original.record);
    }
}

#[test]
fn a_history_that_may_be_another_packages_is_left_out() {
    let folder = folder();
    write(&folder, "a.sql", "select 1");
    write(&folder, "sqlsyncbuildhistory.XML", "<History />");
    write(&folder, "p.sbx", manifest("<Script FileName='a.sql'/>"));
    let history = |name: &str| {
        pack_folder(folder.path(), &Limits::default()).unwrap();
        open(&folder.path().join(name)).record.history
    };
    assert_eq!(history("p.sbm"), Some(b"<History />".to_vec()));
    write(&folder, "q.sbx", manifest("<Script FileName='a.sql'/>"));
    assert_eq!((history("p.sbm"), history("q.sbm")), (None, None));
}

#[test]
fn one_bad_manifest_keeps_its_old_archive_and_the_others_are_packed() {
    let folder = folder();
    write(&folder, "a.sql", "select 1");
    write(&folder, "good.sbx", manifest("<Script FileName='a.sql'/>"));
    write(
        &folder,
        "incomplete.sbx",
        manifest("<Script FileName='gone.sql'/>"),
    );
    write(&folder, "incomplete.sbm", "an older one");
    write(&folder, "broken.sbx", "<x");
    let packed = pack_folder(folder.path(), &Limits::default()).unwrap();
    assert_eq!(packed.made, [folder.path().join("good.sbm")]);
    let failed: Vec<String> = packed
        .failed
        .iter()
        .map(|(path, error)| {
            let name = path.file_name().unwrap().to_string_lossy();
            format!("{name}: {error}")
        })
        .collect();
    assert_eq!(failed.len(), 2);
    assert!(failed[0].starts_with("broken.sbx: "), "{failed:?}");
    assert!(failed[1].contains("`gone.sql` has no file"), "{failed:?}");
    let old = std::fs::read(folder.path().join("incomplete.sbm")).unwrap();
    assert_eq!(old, b"an older one");
}

#[test]
fn a_folder_without_a_manifest_is_refused() {
    let folder = folder();
    write(&folder, "a.sql", "select 1");
    let found = faults(pack_folder(folder.path(), &Limits::default()));
    assert_eq!(found, [Fault::NothingToPack]);
    let gone = pack_folder(&folder.path().join("gone"), &Limits::default());
    assert!(matches!(gone, Err(Error::Read { .. })), "{gone:?}");
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_back_is_not_followed() {
    let folder = folder();
    write(&folder, "x/a.sql", "select 1");
    write(&folder, "x/p.sbx", manifest("<Script FileName='a.sql'/>"));
    std::os::unix::fs::symlink(folder.path(), folder.path().join("x/again")).unwrap();
    let packed = pack_folder(folder.path(), &Limits::default()).unwrap();
    assert_eq!(packed.made.len(), 1, "{packed:?}");
}
