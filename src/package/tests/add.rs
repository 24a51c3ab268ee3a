//! Scripts that go into packages which exist.

use std::path::Path;

use super::{faults, folder, manifest, names_in, sample, write, zip};
use crate::package::{
    Error, Fault, Limits, Package, add_scripts, archive::Archive, commands::create_from_scripts,
};

/// A package as an older program leaves it: paths of Windows, orders with pinned scripts, builds, reviews, logs.
fn old_archive() -> Vec<u8> {
    let xml = manifest(
        "<Script FileName='Tables.SQL' BuildOrder='2.5' ScriptId='6f2f7b92-7ea8-4240-be14-327f443949d7' Colour='blue'/>\
         <Script FileName='last.prc' BuildOrder='1000'/><Script FileName='whenever.sql'/>",
    )
    .replace("<SqlSyncBuildData ", "<SqlSyncBuildData x:version='7' xmlns:x='urn:x' ")
    .replace(
        "<Builds />",
        "<Builds><Build Name='1' BuildId='c19f834f-bf7d-470f-8813-544a92835c69'><ScriptRun FileName='Tables.SQL'>\
         <FileHash>F</FileHash></ScriptRun></Build></Builds><CommittedScript ScriptId='1'/>",
    )
    .replace(
        "</SqlSyncBuildData>",
        "<CodeReview><ReviewBy>me</ReviewBy><Comment>a &lt; b</Comment></CodeReview></SqlSyncBuildData>",
    );
    zip(&[
        ("D:\\Builds\\tables.sql", b"select 1\r\nGO\r\nselect 2"),
        ("D:\\Builds\\LAST.PRC", b"select 3"),
        ("\\\\server\\share\\whenever.sql", b"select 4"),
        ("D:\\Builds\\sqlsyncbuildproject.XML", xml.as_bytes()),
        ("D:\\Builds\\SqlSyncBuildHistory.xml", b"<History />"),
        ("D:\\Builds\\LogFile-2011-03-28 15_37_00.log", b"a log"),
    ])
}

fn files(package: &Package) -> Vec<(&str, Option<f64>)> {
    let scripts = package.scripts.iter();
    scripts
        .map(|script| (script.file.as_str(), script.order))
        .collect()
}

/// The files of an archive that no script names, the manifest left out.
fn others(path: &Path) -> Vec<(String, Vec<u8>)> {
    let reader = std::fs::File::open(path).unwrap();
    let mut archive = Archive::new(reader, path, &Limits::default()).unwrap();
    let known = ["SqlSyncBuildProject.xml", "SqlSyncBuildHistory.xml"].map(str::to_owned);
    let files = archive.read_others(&known).unwrap().into_iter();
    files.filter(|(name, _)| name.ends_with(".log")).collect()
}

fn manifest_text(path: &Path) -> String {
    let reader = std::fs::File::open(path).unwrap();
    let mut archive = Archive::new(reader, path, &Limits::default()).unwrap();
    let bytes = archive.read("SqlSyncBuildProject.xml").unwrap().unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn an_old_archive_keeps_everything_and_gets_the_new_scripts() {
    let folder = folder();
    let path = write(&folder, "old.sbm", old_archive());
    let before = Package::open(&path, &Limits::default()).unwrap();
    let new = [
        write(&folder, "in/z.sql", "select 'z'"),
        write(&folder, "in/a.sql", "select 'a'"),
    ];
    let added = add_scripts(&path, &new, &Limits::default()).unwrap();
    let after = Package::open(&path, &Limits::default()).unwrap();
    assert_eq!(after.sha256(), added.sha256());
    assert_eq!(
        files(&after),
        [
            ("Tables.SQL", Some(2.5)),
            ("z.sql", Some(3.5)),
            ("a.sql", Some(4.5)),
            ("last.prc", Some(1000.0)),
            ("whenever.sql", None),
        ]
    );
    let rewritten = before.to_sbm().unwrap();
    let rewritten = Package::from_sbm(&rewritten, "old.sbm", &Limits::default()).unwrap();
    assert_eq!(after.record, rewritten.record);
    assert_eq!(after.record.history, Some(b"<History />".to_vec()));
    let text = manifest_text(&path);
    for kept in [
        "x:version=\"7\"",
        "BuildId=\"c19f834f-bf7d-470f-8813-544a92835c69\"",
        "<FileHash>F</FileHash>",
        "<CommittedScript ScriptId=\"1\" />",
        "<ReviewBy>me</ReviewBy>",
        "<Comment>a &lt; b</Comment>",
        "Colour=\"blue\"",
    ] {
        assert!(text.contains(kept), "{kept} is not in {text}");
    }
    let log = (
        "LogFile-2011-03-28 15_37_00.log".to_owned(),
        b"a log".to_vec(),
    );
    assert_eq!(others(&path), [log]);
    let by_name = |package: &Package, name: &str| {
        let mut scripts = package.scripts.iter();
        scripts.find(|script| script.file == name).unwrap().clone()
    };
    for old in &before.scripts {
        let kept = by_name(&after, &old.file);
        assert_eq!(format!("{kept:?}"), format!("{old:?}"));
        assert_eq!(kept.build_hash(), old.build_hash());
    }
    let z = by_name(&after, "z.sql");
    assert_eq!(
        (z.database.as_str(), z.bytes.as_slice()),
        ("client", &b"select 'z'"[..])
    );
}

#[test]
fn every_sample_takes_in_a_script_and_keeps_its_others() {
    for name in [
        "SimpleSelect.sbm",
        "SimpleSelect_DoubleClient.sbm",
        "InsertForThreadedTest.sbm",
        "PG_InsertForThreadedTest.sbm",
        "MySQL_SimpleSelect.sbm",
    ] {
        let folder = folder();
        let path = folder.path().join(name);
        std::fs::copy(sample(name), &path).unwrap();
        let before = Package::open(&path, &Limits::default()).unwrap();
        let new = write(&folder, "new.sql", "select 1");
        add_scripts(&path, &[new], &Limits::default()).unwrap();
        let mut after = Package::open(&path, &Limits::default()).unwrap();
        assert_eq!(after.record, before.record, "{name}");
        assert_eq!(after.scripts.pop().unwrap().file, "new.sql");
        assert_eq!(after.sha256(), before.sha256(), "{name}");
        assert_eq!(after.build_hash(), before.build_hash(), "{name}");
    }
}

#[test]
fn what_was_added_one_by_one_is_what_is_created_at_once() {
    let folder = folder();
    let [a, b, c] = ["a", "b", "c"]
        .map(|name| write(&folder, &format!("{name}.sql"), format!("select '{name}'")));
    let (once, stepwise) = (folder.path().join("1.sbm"), folder.path().join("2.sbm"));
    let whole = create_from_scripts(&once, &[a.clone(), b.clone(), c.clone()]).unwrap();
    create_from_scripts(&stepwise, &[a]).unwrap();
    add_scripts(&stepwise, &[b], &Limits::default()).unwrap();
    let added = add_scripts(&stepwise, &[c], &Limits::default()).unwrap();
    assert_eq!(files(&added), files(&whole));
    assert_eq!(added.build_hash(), whole.build_hash());
}

#[test]
fn a_sbx_gets_new_scripts_beside_it_and_keeps_its_own() {
    let folder = folder();
    write(&folder, "a.sql", "select 1");
    let xml = manifest("<Script FileName='A.sql' BuildOrder='1' Path='sub/a.sql'/>");
    let path = write(&folder, "p.sbx", xml);
    let here = write(&folder, "here.sql", "select 2");
    let there = write(&folder, "in/there.sql", "select 3");
    add_scripts(&path, &[here, there], &Limits::default()).unwrap();
    let package = Package::open(&path, &Limits::default()).unwrap();
    assert_eq!(
        files(&package),
        [
            ("sub/a.sql", Some(1.0)),
            ("here.sql", Some(2.0)),
            ("there.sql", Some(3.0))
        ]
    );
    assert_eq!(
        names_in(folder.path()),
        ["a.sql", "here.sql", "in", "p.sbx", "there.sql"]
    );
}

#[test]
fn a_sbx_that_is_an_archive_stays_one() {
    let folder = folder();
    let path = write(&folder, "p.sbx", old_archive());
    let new = write(&folder, "in/new.sql", "select 1");
    add_scripts(&path, &[new], &Limits::default()).unwrap();
    assert!(std::fs::read(&path).unwrap().starts_with(b"PK"));
    assert_eq!(names_in(folder.path()), ["in", "p.sbx"]);
}

#[test]
fn scripts_go_behind_all_others_when_the_pinned_range_has_no_gap() {
    let folder = folder();
    for name in ["a", "b", "c"] {
        write(&folder, &format!("{name}.sql"), "select 1");
    }
    let xml = manifest(
        "<Script FileName='a.sql' BuildOrder='998'/><Script FileName='b.sql' BuildOrder='1200'/>",
    );
    let path = write(&folder, "p.sbx", xml);
    let new = [write(&folder, "d.sql", ""), write(&folder, "e.sql", "")];
    let added = add_scripts(&path, &new[..1], &Limits::default()).unwrap();
    assert_eq!(files(&added)[1], ("d.sql", Some(999.0)));
    let added = add_scripts(&path, &new[1..], &Limits::default()).unwrap();
    assert_eq!(files(&added)[3], ("e.sql", Some(1201.0)));
}

#[test]
fn all_faults_are_reported_together_and_nothing_is_written() {
    let folder = folder();
    let path = write(&folder, "p.sbm", old_archive());
    let before = std::fs::read(&path).unwrap();
    let found = faults(add_scripts(
        &path,
        &[
            write(&folder, "in/TABLES.sql", ""),
            write(&folder, "in/LogFile-2011-03-28 15_37_00.log", ""),
            folder.path().join("gone.sql"),
        ],
        &Limits::default(),
    ));
    assert!(
        matches!(
            &found[..],
            [
                Fault::Unreadable { .. },
                Fault::SameFileName { .. },
                Fault::SameFileName { .. },
            ]
        ),
        "{found:?}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let found = faults(add_scripts(&path, &[], &Limits::default()));
    assert_eq!(found, [Fault::NoScripts]);
    let new = write(&folder, "in/new.sql", "select 1");
    let found = faults(add_scripts(
        folder.path(),
        std::slice::from_ref(&new),
        &Limits::default(),
    ));
    assert_eq!(found, [Fault::IsFolder]);
    let gone = add_scripts(&folder.path().join("gone.sbm"), &[new], &Limits::default());
    assert!(matches!(gone, Err(Error::Read { .. })), "{gone:?}");
    assert_eq!(names_in(folder.path()), ["in", "p.sbm"]);
}

#[test]
fn a_script_that_would_make_the_package_too_large_is_refused() {
    let folder = folder();
    let path = write(&folder, "p.sbm", old_archive());
    let limits = Limits {
        package_bytes: 2000,
        ..Limits::default()
    };
    let new = write(&folder, "in/new.sql", "x".repeat(1990));
    let found = faults(add_scripts(&path, &[new], &limits));
    assert!(
        matches!(&found[..], [Fault::Unreadable { .. }]),
        "{found:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_a_private_package_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let path = write(&folder, "real/p.sbm", old_archive());
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    let link = folder.path().join("link.sbm");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let new = write(&folder, "new.sql", "select 1");
    add_scripts(&link, &[new], &Limits::default()).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let package = Package::open(&path, &Limits::default()).unwrap();
    assert_eq!(package.scripts.len(), 4);
}
