//! The reference program's own packages.

use std::time::Duration;

use super::sample;
use crate::package::{Fault, Limits, Package, commands::build_hash_of};

/// File, package hash, and the scripts: order, name, id, database, time-out, hash.
type Sample = (
    &'static str,
    &'static str,
    &'static [(
        f64,
        &'static str,
        &'static str,
        &'static str,
        u64,
        &'static str,
    )],
);

const SAMPLES: [Sample; 6] = [
    (
        "SimpleSelect.sbm",
        "447736ACEEE796A92353A1F2B4C2E134EB1B1DBF",
        &[(
            1.0,
            "Simple Select.sql",
            "6f2f7b92-7ea8-4240-be14-327f443949d7",
            "SqlBuildTest",
            500,
            "C8EC3C7C74804DA8BCEF8C3A762349045BA7521C",
        )],
    ),
    (
        "SimpleSelect_DoubleClient.sbm",
        "1A80F260D7F383096C8B71A32AF0C24358714E87",
        &[
            (
                1.0,
                "Select_db1_name.sql",
                "14b75381-1df2-4484-b17b-d2ad06c478f9",
                "Client",
                500,
                "D11EC16B42974E9B412281A63B8911C49084BEC8",
            ),
            (
                2.0,
                "Select_db2_name.sql",
                "6b9b18c1-dade-4c05-b0aa-3f18a143162e",
                "Client2",
                500,
                "D11EC16B42974E9B412281A63B8911C49084BEC8",
            ),
            (
                3.0,
                "Add dbo.MyTable.ColumnA Column.sql",
                "5d59f45d-84c1-4f84-89a8-c1e2043cd7b5",
                "Client",
                500,
                "95FCAEB4F8A85A34C0E7CB4A2EFF8F20323E8B16",
            ),
        ],
    ),
    (
        "InsertForThreadedTest.sbm",
        "858A82489791551A8C67C8914560147CF11D8853",
        &[(
            1.0,
            "Insert Threaded Test.sql",
            "af50818d-b632-408b-a509-34d9aa5a7470",
            "SqlBuildTest",
            2,
            "7CE7E1B1F2BA5BC638CD7CD9F28EEA7849AC7EFE",
        )],
    ),
    (
        "PG_InsertForThreadedTest.sbm",
        "157DA8232F8201F4BFB27D5C201628A147E21026",
        &[(
            1.0,
            "Insert Threaded Test.sql",
            "af50818d-b632-408b-a509-34d9aa5a7470",
            "sbm_pg_test",
            20,
            "0D503F679DC669F428669A72562CF82D20A85257",
        )],
    ),
    (
        "PG_SimpleSelect_DoubleClient.sbm",
        "F8272A8625D1753EE5C87C7586AA1075553D0FED",
        &[
            (
                1.0,
                "Select_db1_name.sql",
                "14b75381-1df2-4484-b17b-d2ad06c478f9",
                "Client",
                500,
                "0DEF075E618AD8F112A1B3B38AFE8EB99D74E484",
            ),
            (
                2.0,
                "Select_db2_name.sql",
                "6b9b18c1-dade-4c05-b0aa-3f18a143162e",
                "Client2",
                500,
                "0DEF075E618AD8F112A1B3B38AFE8EB99D74E484",
            ),
        ],
    ),
    (
        "MySQL_SimpleSelect.sbm",
        "CEF07A0C4CE19AD311B8B9B8AFBA245DE6053CE5",
        &[(
            1.0,
            "Simple Select.sql",
            "6f2f7b92-7ea8-4240-be14-327f443949d7",
            "sbm_mysql_test",
            500,
            "AA92D5EDA56E71419703A48C6D8723CFE273EF00",
        )],
    ),
];

#[test]
fn every_sample_is_read_and_hashed_as_by_the_reference_program() {
    for (file, package_hash, scripts) in SAMPLES {
        let package = Package::open(&sample(file), &Limits::default()).unwrap();
        assert_eq!(package.name, file);
        assert_eq!(package.build_hash(), package_hash, "{file}");
        assert_eq!(package.scripts.len(), scripts.len(), "{file}");
        for (script, expected) in package.scripts.iter().zip(scripts) {
            let (order, name, id, database, timeout, hash) = *expected;
            assert_eq!(script.order, Some(order));
            assert_eq!(script.file, name);
            assert_eq!(script.id.to_string(), id);
            assert_eq!(script.database, database);
            assert_eq!(script.timeout, Some(Duration::from_secs(timeout)));
            assert_eq!(script.build_hash(), hash, "{file}: {name}");
            assert!(script.roll_back_on_error && script.causes_build_failure);
            assert!(script.allow_multiple_runs && script.strip_transaction_text);
        }
    }
}

#[test]
fn every_sample_survives_a_rewrite() {
    let folder = super::folder();
    for (file, package_hash, _) in SAMPLES {
        let read = Package::open(&sample(file), &Limits::default()).unwrap();
        let path = folder.path().join(file);
        read.write_sbm(&path).unwrap();
        let again = Package::open(&path, &Limits::default()).unwrap();
        assert_eq!(again.build_hash(), package_hash);
        assert_eq!(again.sha256(), read.sha256());
        assert_eq!(again.record, read.record, "{file}");
        for (one, other) in again.scripts.iter().zip(&read.scripts) {
            assert_eq!(one.provenance, other.provenance);
        }
    }
}

#[test]
fn the_history_of_a_sample_is_kept() {
    let package = Package::open(&sample("SimpleSelect.sbm"), &Limits::default()).unwrap();
    let history = String::from_utf8(package.record.history.unwrap()).unwrap();
    assert!(history.contains("FinalStatus=\"TrialRolledBack\""));
}

#[test]
fn a_sample_without_its_scripts_has_a_hash_but_cannot_be_opened() {
    let path = sample("sbx_package_tester.sbx");
    let missing = |script: &str| Fault::MissingScript {
        script: script.into(),
    };
    assert_eq!(
        super::faults(Package::open(&path, &Limits::default())),
        [
            missing("CreateTestTablesScript.sql"),
            missing("LoggingTable.sql")
        ]
    );
    // SHA-1 of the two lines `File Missing`.
    assert_eq!(
        build_hash_of(&path, &Limits::default()).unwrap(),
        crate::package::digest::package_hash([
            "File Missing".to_owned(),
            "File Missing".to_owned()
        ])
    );
}
