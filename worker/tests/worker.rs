//! The worker's program, on the folder of a run.

#![expect(
    clippy::unwrap_used,
    reason = "clippy lets tests unwrap, but not the functions that they share"
)]

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use rusqlite::Connection;
use sbm::{
    package::{Limits, Package},
    protocol::{ResultLine, State},
};
use serde_json::json;

/// A run of one script on two SQLite databases.
fn run_folder(root: &Path) {
    let (server, scripts) = (root.join("server"), root.join("scripts"));
    fs::create_dir(&server).unwrap();
    fs::create_dir(&scripts).unwrap();
    fs::write(scripts.join("1.sql"), "CREATE TABLE t (id int);").unwrap();
    for name in ["a", "b"] {
        fs::write(server.join(name), "").unwrap();
    }
    let package = Package::open(&scripts, &Limits::default()).unwrap();
    package.write_sbm(&root.join("package.sbm")).unwrap();
    let target = |name: &str| json!({"server": server, "pairs": [{"database": name}]});
    let plan = json!({"version": 1, "targets": [target("a"), target("b")]});
    fs::write(root.join("plan.json"), plan.to_string()).unwrap();
    fs::write(root.join("job.json"), job(&package).to_string()).unwrap();
}

fn job(package: &Package) -> serde_json::Value {
    json!({
        "version": 1,
        "runId": "0f8fad5b-d9cb-469f-a165-70867728950e",
        "package": {"name": package.name, "buildHash": package.build_hash(), "sha256": package.sha256()},
        "platform": "SQLite",
        "connection": {"sslMode": "auto", "connectTimeout": 20.0},
        "build": {
            "transactional": true, "trial": false, "description": "", "ledgerKeepDays": 90,
            "defaultScriptTimeout": 60.0, "timeoutRetryCount": 0, "lockWait": 60.0, "finishPartial": false,
            "redoInterrupted": false, "redoFailed": false, "requestedBy": "me"
        },
        "concurrency": {"kind": "Count", "limit": 2, "maxSlots": 2},
        "created": "2026-01-01T00:00:00Z"
    })
}

fn worker(folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sbm-worker"))
        .arg(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn states(folder: &Path) -> Vec<State> {
    let mut states = Vec::new();
    for file in fs::read_dir(folder.join("results")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        states.extend(
            text.lines()
                .map(|line| serde_json::from_str::<ResultLine>(line).unwrap().state),
        );
    }
    states
}

#[test]
fn builds_the_targets_of_a_run_once() {
    let folder = tempfile::tempdir().unwrap();
    run_folder(folder.path());
    for _ in 0..2 {
        let output = worker(folder.path());
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let states = states(folder.path());
    let count = |wanted| states.iter().filter(|state| **state == wanted).count();
    assert_eq!(
        (count(State::Committed), count(State::AlreadyCommitted)),
        (2, 2),
        "{states:?}"
    );
    for name in ["a", "b"] {
        let database = Connection::open(folder.path().join("server").join(name)).unwrap();
        let rows: i64 = database
            .query_row("SELECT count(*) FROM SqlBuild_Ledger", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 1);
    }
}

#[test]
fn refuses_another_package_and_another_version() {
    let folder = tempfile::tempdir().unwrap();
    run_folder(folder.path());
    let path = folder.path().join("job.json");
    let good = fs::read_to_string(&path).unwrap();
    let mut other: serde_json::Value = serde_json::from_str(&good).unwrap();
    other["package"]["sha256"] = "0".into();
    for (job, reason) in [
        (other.to_string(), "SHA-256"),
        (good.replace("\"version\":1", "\"version\":9"), "version 9"),
    ] {
        fs::write(&path, job).unwrap();
        let output = worker(folder.path());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1));
        assert!(text.contains(reason), "{text}");
    }
    let database = Connection::open(folder.path().join("server/a")).unwrap();
    let tables: i64 = database
        .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 0);
}

#[test]
fn says_how_it_is_called() {
    let output = Command::new(env!("CARGO_BIN_EXE_sbm-worker"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage: sbm-worker"));
}
