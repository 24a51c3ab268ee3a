//! Creating, listing, hashing and unpacking.

use std::{path::PathBuf, time::Duration};

use super::{faults, folder, manifest, names_in, sample, write};
use crate::package::{
    Error, Fault, Limits, Package,
    commands::{build_hash_of, create_from_scripts, list, unpack},
};

#[test]
fn a_created_archive_holds_the_scripts_in_the_given_order_and_nothing_else() {
    let folder = folder();
    write(&folder, "out/SqlSyncBuildProject.xml", "mine");
    write(&folder, "out/b.sql", "another b");
    let scripts = [
        write(&folder, "in/b.sql", "select 1"),
        write(&folder, "in/a.sql", "select 2"),
    ];
    let output = folder.path().join("out/p.sbm");
    let created = create_from_scripts(&output, &scripts).unwrap();
    let package = Package::open(&output, &Limits::default()).unwrap();
    assert_eq!(package.sha256(), created.sha256());
    assert_eq!(package.name, "p.sbm");
    let [b, a] = &package.scripts[..] else {
        panic!()
    };
    assert_eq!((b.file.as_str(), b.order), ("b.sql", Some(1.0)));
    assert_eq!((a.file.as_str(), a.order), ("a.sql", Some(2.0)));
    assert_eq!(b.bytes, b"select 1");
    assert_eq!(b.database, "client");
    assert_eq!(b.timeout, Some(Duration::from_secs(500)));
    assert!(b.roll_back_on_error && b.causes_build_failure && b.allow_multiple_runs);
    assert!(!b.strip_transaction_text);
    assert!(b.provenance.date_added.is_some() && b.provenance.date_modified.is_none());
    assert_ne!(a.id, b.id);
    let kept = std::fs::read_to_string(folder.path().join("out/SqlSyncBuildProject.xml")).unwrap();
    assert_eq!(kept, "mine");
}

#[test]
fn a_created_sbx_has_its_scripts_beside_it() {
    let folder = folder();
    let scripts = [
        write(&folder, "out/here.sql", "select 1"),
        write(&folder, "in/there.sql", "select 2"),
    ];
    let output = folder.path().join("out/p.sbx");
    let created = create_from_scripts(&output, &scripts).unwrap();
    let package = Package::open(&output, &Limits::default()).unwrap();
    assert_eq!(package.sha256(), created.sha256());
    assert_eq!(
        names_in(&folder.path().join("out")),
        ["here.sql", "p.sbx", "there.sql"]
    );
}

#[test]
fn all_faults_of_a_creation_are_reported_together_and_nothing_is_written() {
    let folder = folder();
    let output = write(&folder, "p.sbm", "old");
    let found = faults(create_from_scripts(
        &output,
        &[
            write(&folder, "in/a.sql", ""),
            write(&folder, "other/A.sql", ""),
            folder.path().join("gone.sql"),
            write(&folder, "in/SqlSyncBuildProject.xml", ""),
        ],
    ));
    assert!(
        matches!(
            &found[..],
            [
                Fault::OutputExists,
                Fault::SameFileName { .. },
                Fault::Unreadable { .. },
                Fault::FileName { .. },
            ]
        ),
        "{found:?}"
    );
    assert_eq!(std::fs::read(&output).unwrap(), b"old");
    let none: [PathBuf; 0] = [];
    let found = faults(create_from_scripts(&folder.path().join("p.zip"), &none));
    assert!(
        matches!(&found[..], [Fault::OutputEnding { .. }, Fault::NoScripts]),
        "{found:?}"
    );
    assert_eq!(names_in(folder.path()), ["in", "other", "p.sbm"]);
}

#[test]
fn a_created_sbx_never_overwrites_another_script() {
    let folder = folder();
    write(&folder, "out/a.sql", "mine");
    let script = write(&folder, "in/a.sql", "select 1");
    let output = folder.path().join("out/p.sbx");
    let found = faults(create_from_scripts(&output, &[script]));
    assert!(matches!(&found[..], [Fault::InTheWay { .. }]), "{found:?}");
    assert_eq!(names_in(&folder.path().join("out")), ["a.sql"]);
}

#[test]
fn a_list_shows_path_hashes_and_ids() {
    let path = sample("SimpleSelect_DoubleClient.sbm");
    let limits = Limits::default();
    let with_hash = list(&path, true, &limits).unwrap();
    let lines: Vec<&str> = with_hash.lines().collect();
    assert_eq!(lines[0], "");
    assert_eq!(
        lines[1],
        format!(
            "{} (Package Hash: 1A80F260D7F383096C8B71A32AF0C24358714E87)",
            path.display()
        )
    );
    assert!(lines[3].contains("| SHA1 Hash "));
    assert!(lines[5].contains("| Select_db1_name.sql "));
    assert!(lines[5].contains("| D11EC16B42974E9B412281A63B8911C49084BEC8 | "));
    assert!(lines[7].contains("5d59f45d-84c1-4f84-89a8-c1e2043cd7b5"));
    let without = list(&path, false, &limits).unwrap();
    assert!(!without.contains("Hash"));
    let missing = list(&sample("sbx_package_tester.sbx"), true, &limits).unwrap();
    assert_eq!(missing.matches("| File Missing |").count(), 2);
}

#[test]
fn packages_of_every_form_have_a_hash() {
    let limits = Limits::default();
    let path = sample("SimpleSelect.sbm");
    let hash = build_hash_of(&path, &limits).unwrap();
    assert_eq!(hash, "447736ACEEE796A92353A1F2B4C2E134EB1B1DBF");
    let text = Package::open(&path, &limits).unwrap().scripts[0]
        .bytes
        .clone();
    let folder = folder();
    write(&folder, "x.sql", text);
    assert_eq!(build_hash_of(folder.path(), &limits).unwrap(), hash);
    let empty = write(&folder, "empty.sbx", manifest(""));
    assert_eq!(
        build_hash_of(&empty, &limits).unwrap(),
        "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709"
    );
}

#[test]
fn an_unpacked_package_is_the_same_package() {
    let folder = folder();
    let directory = folder.path().join("a/b");
    let limits = Limits::default();
    let path = sample("SimpleSelect_DoubleClient.sbm");
    let written = unpack(&path, &directory, &limits).unwrap();
    assert_eq!(written.len(), 5);
    assert!(written.iter().all(|path| path.is_file()));
    let sbx = directory.join("SimpleSelect_DoubleClient.sbx");
    assert!(written.contains(&sbx));
    let package = Package::open(&path, &limits).unwrap();
    let unpacked = Package::open(&sbx, &limits).unwrap();
    assert_eq!(unpacked.sha256(), package.sha256());
}

#[test]
fn unpacking_overwrites_nothing_and_names_everything_in_the_way() {
    let folder = folder();
    write(&folder, "Select_db2_name.sql", "mine");
    write(&folder, "SimpleSelect_DoubleClient.sbx", "mine");
    let path = sample("SimpleSelect_DoubleClient.sbm");
    let error = unpack(&path, folder.path(), &Limits::default()).unwrap_err();
    let Error::AlreadyExists { paths } = &error else {
        panic!("{error}")
    };
    assert_eq!(paths.len(), 2);
    assert!(error.to_string().contains("Select_db2_name.sql"));
    assert_eq!(
        names_in(folder.path()),
        ["Select_db2_name.sql", "SimpleSelect_DoubleClient.sbx"]
    );
}

#[test]
fn unpacking_a_bad_package_makes_no_folder() {
    let folder = folder();
    let bad = write(&folder, "bad.sbm", "PK");
    let directory = folder.path().join("out");
    assert!(unpack(&bad, &directory, &Limits::default()).is_err());
    assert!(!directory.exists());
}
