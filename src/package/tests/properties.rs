//! Any package survives writing and reading; no bytes make a reader panic.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::{manifest, sample};
use crate::package::{
    Error, Limits, Moment, Package, Script, folder_settings, manifest as reader, names,
};

fn read(bytes: &[u8]) -> Result<Package, Error> {
    Package::from_sbm(bytes, "p.sbm", &Limits::default())
}

/// Text without the characters that XML cannot hold.
fn text() -> impl Strategy<Value = String> {
    "([^\\x00-\\x08\\x0B\\x0C\\x0E-\\x1F\u{FFFE}\u{FFFF}]|[<>&\"'\r\n\t ]){0,12}"
}

fn script() -> impl Strategy<Value = Script> {
    let file = "([a-c]/)?[^\\x00-\\x1F\\x7F-\\x9F/\\\\:\u{FFFE}\u{FFFF}]{1,8}\\.(sql|PRC)";
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let numbers = (
        proptest::option::of(-1e6_f64..1e6),
        proptest::option::of(1_u64..1_000_000),
        any::<u128>(),
    );
    let texts = (text(), text(), text(), text());
    (file, any::<Vec<u8>>(), flags, numbers, texts).prop_map(
        |(file, bytes, flags, (order, timeout, id), texts)| {
            let mut script = Script::new(file, bytes);
            (
                script.roll_back_on_error,
                script.causes_build_failure,
                script.strip_transaction_text,
                script.allow_multiple_runs,
            ) = flags;
            script.order = order;
            script.timeout = timeout.map(Duration::from_secs);
            script.id = uuid::Uuid::from_u128(id);
            (
                script.database,
                script.description,
                script.tag,
                script.provenance.added_by,
            ) = texts;
            script.provenance.date_modified = Moment::parse("2026-02-18T12:00:00.1234567+01:00");
            script
        },
    )
}

fn package() -> impl Strategy<Value = Package> {
    proptest::collection::vec(script(), 0..6).prop_map(|scripts| {
        let mut seen = BTreeSet::new();
        let mut package = Package {
            scripts: scripts
                .into_iter()
                .filter(|script| seen.insert(names::folded(&script.file)))
                .filter(|script| names::path_fault(&script.file).is_none())
                .collect(),
            ..Package::default()
        };
        package.sort();
        package
    })
}

/// Everything of a script but what is private to this module.
fn seen(package: &Package) -> Vec<String> {
    package
        .scripts
        .iter()
        .map(|script| format!("{script:?}"))
        .collect()
}

/// Changes some bytes, and cuts off the end.
fn mutated(mut bytes: Vec<u8>, changes: &[(usize, u8)], cut: usize) -> Vec<u8> {
    for (at, value) in changes {
        let length = bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(at % length) {
            *byte = *value;
        }
    }
    let length = bytes.len();
    bytes.truncate(length - cut.min(length));
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_package_survives_writing_and_reading(package in package()) {
        let folder = super::folder();
        let path = folder.path().join("p.sbm");
        package.write_sbm(&path).unwrap();
        let again = Package::open(&path, &Limits::default()).unwrap();
        prop_assert_eq!(seen(&again), seen(&package));
        prop_assert_eq!(again.sha256(), package.sha256());
        prop_assert_eq!(again.build_hash(), package.build_hash());
    }
}

proptest! {
    #[test]
    fn no_archive_makes_the_reader_panic(
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..12),
        cut in prop_oneof![Just(0_usize), 0_usize..2000],
    ) {
        let bytes = std::fs::read(sample("SimpleSelect.sbm")).unwrap();
        if let Err(error) = read(&mutated(bytes, &changes, cut)) {
            prop_assert!(error.to_string().contains("p.sbm"), "{error}");
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in any::<Vec<u8>>()) {
        prop_assert!(read(&bytes).is_err());
        reader::read(&bytes);
        folder_settings::read(&bytes, &mut Vec::new());
    }

    #[test]
    fn no_manifest_makes_the_reader_panic(
        changes in proptest::collection::vec((any::<usize>(), prop_oneof![Just(b'<'), Just(b'>'), Just(b'&'), Just(b'"'), Just(b'/'), any::<u8>()]), 0..12),
        cut in prop_oneof![Just(0_usize), 0_usize..400],
    ) {
        let xml = manifest("<Script FileName='a.sql' BuildOrder='1' DateAdded='2026-02-18T12:00:00Z' x='&amp;'>y</Script>");
        reader::read(&mutated(xml.into_bytes(), &changes, cut));
    }

    #[test]
    fn no_settings_make_the_reader_panic(text in "(scripts|rest|timeout|tag|: |\\- |\n|  |\\{|\\}|\\[|\\]|&a|\\*a|!x|'|\\PC){0,20}") {
        folder_settings::read(text.as_bytes(), &mut Vec::new());
    }

    #[test]
    fn no_date_or_number_makes_the_reader_panic(text in "[-+0-9TZ:.,eé ]{0,30}") {
        if let Some(moment) = Moment::parse(&text) {
            prop_assert!(moment.civil.year() > 1);
        }
        if let Some(number) = crate::package::values::number(&text) {
            prop_assert!(number.is_finite());
        }
    }
}
