//! Archives that are damaged, crafted or large.

use super::{faults, folder, manifest, write, zip};
use crate::package::{Error, Fault, Limits, Package};

const ONE: &str = "<Script FileName='a.sql' BuildOrder='1'/>";

fn open(bytes: &[u8]) -> Result<Package, Error> {
    open_limited(bytes, &Limits::default())
}

fn open_limited(bytes: &[u8], limits: &Limits) -> Result<Package, Error> {
    let folder = folder();
    Package::open(&write(&folder, "p.sbm", bytes), limits)
}

#[test]
fn entries_behind_folders_and_windows_paths_are_found() {
    let manifest = manifest(ONE);
    for (script, xml) in [
        ("C:\\Temp\\x\\a.sql", "C:\\Temp\\x\\SqlSyncBuildProject.xml"),
        ("x/y/A.SQL", "x/sqlsyncbuildproject.xml"),
        ("a.sql", "other.XML"),
    ] {
        let bytes = zip(&[(script, b"select 1"), (xml, manifest.as_bytes())]);
        let package = open(&bytes).unwrap();
        assert_eq!(package.scripts[0].bytes, b"select 1", "{script}");
    }
}

#[test]
fn folders_and_files_that_no_script_names_are_ignored() {
    let bytes = zip(&[
        ("folder/", b""),
        ("SqlSyncBuildHistory.xml", b"<SqlSyncBuildHistory />"),
        ("run.log", b"x"),
        ("SqlSyncBuildProject.xml", manifest(ONE).as_bytes()),
        ("a.sql", b"select 1"),
    ]);
    assert_eq!(open(&bytes).unwrap().scripts.len(), 1);
}

#[test]
fn entries_that_leave_the_package_are_refused_by_name() {
    for entry in [
        "../a.sql",
        "x/../../a.sql",
        "x\\..\\a.sql",
        "/etc/a.sql",
        "..",
    ] {
        let bytes = zip(&[
            (entry, b"x"),
            ("SqlSyncBuildProject.xml", manifest("").as_bytes()),
        ]);
        let error = open(&bytes).unwrap_err().to_string();
        assert!(
            error.contains("p.sbm") && error.contains(&format!("`{entry}`")),
            "{error}"
        );
    }
}

#[test]
fn entries_with_one_base_name_are_refused() {
    let xml = manifest(ONE);
    for other in ["x/a.sql", "x\\A.SQL"] {
        let bytes = zip(&[
            ("a.sql", b"1"),
            (other, b"2"),
            ("SqlSyncBuildProject.xml", xml.as_bytes()),
        ]);
        let faults = faults(open(&bytes));
        assert!(
            matches!(&faults[..], [Fault::SameEntry { first, second, .. }] if first == "a.sql" && second == other),
            "{faults:?}"
        );
    }
}

#[test]
fn entries_with_one_full_name_are_refused() {
    let mut bytes = zip(&[
        ("a.sql", b"1"),
        ("b.sql", b"2"),
        ("SqlSyncBuildProject.xml", manifest(ONE).as_bytes()),
    ]);
    for at in 0..bytes.len() - 5 {
        if &bytes[at..at + 5] == b"b.sql" {
            bytes[at] = b'a';
        }
    }
    let error = open(&bytes).unwrap_err().to_string();
    assert!(error.contains("`a.sql` and `a.sql`"), "{error}");
}

#[test]
fn an_archive_without_manifest_or_script_is_refused() {
    assert_eq!(faults(open(&zip(&[("a.sql", b"1")]))), [Fault::NoManifest]);
    let two = manifest(&format!("{ONE}<Script FileName='b.sql'/>"));
    let bytes = zip(&[("SqlSyncBuildProject.xml", two.as_bytes())]);
    let missing = |script: &str| Fault::MissingScript {
        script: script.into(),
    };
    assert_eq!(faults(open(&bytes)), [missing("a.sql"), missing("b.sql")]);
}

#[test]
fn an_archive_that_is_cut_off_is_refused_at_every_length() {
    let bytes = zip(&[
        ("a.sql", b"select 1"),
        ("SqlSyncBuildProject.xml", manifest(ONE).as_bytes()),
    ]);
    for length in (0..bytes.len()).step_by(7) {
        let error = open(&bytes[..length]).unwrap_err();
        assert!(matches!(error, Error::Broken { .. }), "{length}: {error}");
    }
}

#[test]
fn a_damaged_entry_is_refused_by_name() {
    let mut bytes = zip(&[
        ("a.sql", &b"select 1 from somewhere".repeat(9)),
        ("SqlSyncBuildProject.xml", manifest(ONE).as_bytes()),
    ]);
    // Behind the local header and the name.
    bytes[30 + 5 + 8] ^= 0xFF;
    let error = open(&bytes).unwrap_err();
    assert!(
        matches!(&error, Error::Broken { entry: Some(entry), .. } if entry == "a.sql"),
        "{error}"
    );
}

#[test]
fn encrypted_entries_and_unknown_packing_are_refused_by_name() {
    let plain = zip(&[
        ("a.sql", b"select 1"),
        ("SqlSyncBuildProject.xml", manifest(ONE).as_bytes()),
    ]);
    let header = plain
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
        .unwrap();
    let mut encrypted = plain.clone();
    encrypted[6] |= 1;
    encrypted[header + 8] |= 1;
    assert_eq!(
        faults(open(&encrypted)),
        [Fault::EncryptedEntry {
            entry: "a.sql".into()
        }]
    );
    let mut packed = plain;
    packed[8] = 12;
    packed[header + 10] = 12;
    let faults = faults(open(&packed));
    assert!(
        matches!(&faults[..], [Fault::PackingMethod { entry, .. }] if entry == "a.sql"),
        "{faults:?}"
    );
}

#[test]
fn each_limit_names_the_entry_that_goes_over_it() {
    let content = vec![b'x'; 100_000];
    let bytes = zip(&[
        ("a.sql", &content),
        ("SqlSyncBuildProject.xml", manifest(ONE).as_bytes()),
    ]);
    let open_with = |change: fn(&mut Limits)| {
        let mut limits = Limits {
            ratio: 10_000,
            ..Limits::default()
        };
        change(&mut limits);
        match open_limited(&bytes, &limits) {
            Err(Error::TooLarge { limit, entry, .. }) => {
                assert_eq!(entry, "a.sql");
                limit
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        open_with(|limits| limits.script_bytes = 99_999),
        "the size of one file"
    );
    assert_eq!(
        open_with(|limits| limits.package_bytes = 100_001),
        "the size of a package"
    );
    assert_eq!(
        open_with(|limits| limits.ratio = 200),
        "the ratio of unpacked to packed size"
    );
}

#[test]
fn headers_that_lie_about_sizes_are_refused() {
    let content = vec![b'x'; 100_000];
    let honest = zip(&[
        ("a.sql", &content),
        ("SqlSyncBuildProject.xml", manifest(ONE).as_bytes()),
    ]);
    let header = honest
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
        .unwrap();
    // The local header and the directory both hold the size, and the packed size before it.
    for (local, central) in [(22, 24), (18, 20)] {
        for claimed in [4, u32::MAX - 1] {
            let mut bytes = honest.clone();
            for at in [local, header + central] {
                bytes[at..at + 4].copy_from_slice(&claimed.to_le_bytes());
            }
            let limits = Limits {
                script_bytes: 50_000,
                ..Limits::default()
            };
            let error = open_limited(&bytes, &limits).unwrap_err();
            assert!(
                matches!(error, Error::Broken { .. } | Error::TooLarge { .. }),
                "{error}"
            );
        }
    }
}

#[test]
fn what_is_just_within_the_limits_is_read() {
    let content = vec![b'x'; 1000];
    let xml = manifest(ONE);
    let bytes = zip(&[
        ("a.sql", &content),
        ("SqlSyncBuildProject.xml", xml.as_bytes()),
    ]);
    let total = u64::try_from(content.len() + xml.len()).unwrap();
    let limits = Limits {
        script_bytes: 1000,
        package_bytes: total,
        ratio: 200,
    };
    assert!(open_limited(&bytes, &limits).is_ok());
    let limits = Limits {
        package_bytes: total - 1,
        ..limits
    };
    assert!(open_limited(&bytes, &limits).is_err());
}

#[test]
fn zip64_is_refused_before_its_numbers_are_believed() {
    let mut bytes = zip(&[("SqlSyncBuildProject.xml", manifest("").as_bytes())]);
    let end = bytes.len() - 22;
    let mut locator = b"PK\x06\x07".to_vec();
    locator.extend([0; 16]);
    bytes.splice(end..end, locator);
    assert!(matches!(open(&bytes).unwrap_err(), Error::Broken { .. }));
}

#[test]
fn other_files_are_no_packages() {
    let folder = folder();
    let limits = Limits::default();
    let text = write(&folder, "x.txt", "x");
    assert!(matches!(
        Package::open(&text, &limits),
        Err(Error::NotAPackage { .. })
    ));
    let absent = folder.path().join("absent.sbm");
    assert!(matches!(
        Package::open(&absent, &limits),
        Err(Error::Read { .. })
    ));
    assert!(matches!(open(b""), Err(Error::Broken { .. })));
}

#[test]
fn an_archive_named_sbx_is_read_as_archive() {
    let folder = folder();
    let bytes = zip(&[
        ("a.sql", b"select 1"),
        ("SqlSyncBuildProject.xml", manifest(ONE).as_bytes()),
    ]);
    let path = write(&folder, "p.sbx", bytes);
    let package = Package::open(&path, &Limits::default()).unwrap();
    assert_eq!(package.scripts[0].bytes, b"select 1");
}

#[test]
fn a_script_that_packs_too_well_is_still_readable_after_writing() {
    let folder = folder();
    let path = folder.path().join("p.sbm");
    let script = crate::package::Script::new("a.sql", vec![b' '; 1 << 20]);
    let package = Package {
        scripts: vec![script],
        ..Package::default()
    };
    package.write_sbm(&path).unwrap();
    let again = Package::open(&path, &Limits::default()).unwrap();
    assert_eq!(again.sha256(), package.sha256());
}

#[test]
fn writing_replaces_the_package_and_leaves_nothing_else() {
    let folder = folder();
    let path = write(&folder, "p.sbm", "old");
    let package = Package::default();
    package.write_sbm(&path).unwrap();
    assert!(
        Package::open(&path, &Limits::default())
            .unwrap()
            .scripts
            .is_empty()
    );
    assert_eq!(super::names_in(folder.path()), ["p.sbm"]);
    let absent = folder.path().join("absent/p.sbm");
    assert!(matches!(
        package.write_sbm(&absent),
        Err(Error::Write { .. })
    ));
}
