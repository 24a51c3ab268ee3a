//! What holds for every file that is read.

use std::io::{Cursor, Write};

use sbm::{
    package::{Limits, Package},
    targets::{
        Listed, MultiDbForm, format_cfg, format_multi_db, parse_cfg, parse_inline, parse_multi_db,
        parse_multi_db_query,
    },
};
use zip::{ZipWriter, write::SimpleFileOptions};

/// Small, so that much is tried in little time.
const LIMITS: Limits = Limits {
    script_bytes: 1 << 20,
    package_bytes: 4 << 20,
    ratio: 200,
};

/// What can be read is the same after a rewrite, and a second rewrite changes nothing at all.
pub(crate) fn check_package(data: &[u8]) {
    let bytes = match data.starts_with(b"PK") {
        true => data.to_vec(),
        false => archive_of(data),
    };
    let Ok(package) = Package::from_sbm(&bytes, "fuzz.sbm", &LIMITS) else {
        return;
    };
    let written = package.to_sbm().expect("what was read can be written");
    let again = Package::from_sbm(&written, "fuzz.sbm", &Limits::default())
        .expect("what was written can be read");
    assert_eq!(again.sha256(), package.sha256());
    assert_eq!(again.build_hash(), package.build_hash());
    let twice = again.to_sbm().expect("what was read can be written");
    assert_eq!(twice, written, "a second rewrite changes nothing");
}

/// An archive with this manifest and a few scripts.
fn archive_of(manifest: &[u8]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let files: [(&str, &[u8]); 4] = [
        ("a.sql", b"select 1"),
        ("C:\\Temp\\b.SQL", b"select 2\r\nGO\r\nselect 3"),
        ("Simple Select.sql", b""),
        ("SqlSyncBuildProject.xml", manifest),
    ];
    for (name, bytes) in files {
        writer
            .start_file(name, SimpleFileOptions::default())
            .and_then(|()| Ok(writer.write_all(bytes)?))
            .expect("memory takes everything");
    }
    writer
        .finish()
        .expect("memory takes everything")
        .into_inner()
}

/// What can be read is written to the same targets; nothing is read with half of its faults.
pub(crate) fn check_cfg(text: &str) {
    drop(parse_inline(text, None).map_err(|faults| faults.to_string()));
    drop(parse_inline(text, Some("server")).map_err(|faults| faults.to_string()));
    match parse_cfg(text) {
        Ok(listed) => check_listed(&listed),
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
}

/// What can be read is written to the same targets, in every form.
pub(crate) fn check_multi_db(text: &str) {
    match parse_multi_db(text) {
        Ok(listed) => check_listed(&listed),
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
}

/// What can be read is complete.
pub(crate) fn check_multi_db_query(text: &str) {
    match parse_multi_db_query(text) {
        Ok(query) => {
            for part in [&query.source_server, &query.database, &query.query] {
                assert!(!part.trim().is_empty());
            }
        }
        Err(faults) => assert!(!faults.to_string().is_empty()),
    }
}

fn check_listed(listed: &[Listed]) {
    let targets: Vec<_> = listed.iter().map(|each| each.target.clone()).collect();
    for target in &targets {
        assert!(
            !target.server.trim().is_empty(),
            "every target has a server"
        );
        assert!(!target.pairs.is_empty(), "every target has a pair");
        let mut names = target.pairs.iter().map(|pair| &pair.database);
        assert!(names.all(|name| !name.trim().is_empty()));
    }
    let again = parse_cfg(&format_cfg(&targets)).expect("what was written can be read");
    let again: Vec<_> = again.into_iter().map(|each| each.target).collect();
    assert_eq!(again, targets, "as .cfg");
    for form in [MultiDbForm::Xml, MultiDbForm::Json] {
        // Some characters cannot stand in XML, which is said then.
        let Ok(text) = format_multi_db(listed, form) else {
            assert_eq!(form, MultiDbForm::Xml);
            continue;
        };
        let again = parse_multi_db(&text).expect("what was written can be read");
        assert_eq!(again.len(), listed.len());
        for (one, other) in again.iter().zip(listed) {
            assert_eq!(one.target, other.target, "as {form:?}");
            assert_eq!(one.row_data, other.row_data, "as {form:?}");
        }
    }
}
