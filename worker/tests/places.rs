//! What a worker process needs to begin: its run, its job, its package, its secrets.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy lets tests unwrap, but not the functions that they share"
)]

mod support;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use sbm::protocol::{Control, Phase};
use support::{World, eventually};
use uuid::Uuid;

/// Runs a worker that cannot begin; what it says.
fn refusal(world: &World) -> String {
    let output = world.command("w").stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let errors = text.lines().filter(|line| line.contains("ERROR")).count();
    assert_eq!(errors, 1, "{text}");
    text
}

#[test]
fn a_job_that_cannot_be_read_is_one_error() {
    let world = World::new();
    let good = String::from_utf8(world.job.to_json()).unwrap();
    let mut other = world.job.clone();
    other.package.sha256 = "0".into();
    let mut foreign = world.job.clone();
    foreign.run_id = Uuid::from_u128(9);
    for (job, part) in [
        ("{".to_owned(), "the job is not what it should be"),
        (
            good.replace("\"version\": 1", "\"version\": 9"),
            "version 9",
        ),
        (String::from_utf8(other.to_json()).unwrap(), "SHA-256"),
        (
            String::from_utf8(foreign.to_json()).unwrap(),
            "is that of run",
        ),
    ] {
        world.put(&world.paths().job(), job.into_bytes());
        let text = refusal(&world);
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_control_document_that_cannot_be_read_is_one_error() {
    let world = World::new();
    let control = String::from_utf8(world.control.to_json()).unwrap();
    let foreign = Control::new(Uuid::from_u128(9));
    for (control, part) in [
        (
            "[]".to_owned(),
            "the control document is not what it should be",
        ),
        (
            control.replace("\"version\": 1", "\"version\": 2"),
            "version 2",
        ),
        (
            String::from_utf8(foreign.to_json()).unwrap(),
            "is that of run",
        ),
    ] {
        world.put(&world.paths().control(), control.into_bytes());
        let text = refusal(&world);
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let world = World::new();
    let mut command = world.command("w");
    command.env("SBM_RUN", Uuid::from_u128(9).to_string());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("has no run 00000000-0000-0000-0000-000000000009"),
        "{text}"
    );

    let output = Command::new(env!("CARGO_BIN_EXE_sbm-worker"))
        .stdin(Stdio::null())
        .env_remove("SBM_STORE")
        .env("SBM_RUN", "x")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    for name in ["SBM_STORE", "SBM_JOB", "SBM_RUN"] {
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn secrets_come_on_standard_input_and_stay_there() {
    const CANARY: &str = "geheim-4711";
    let mut world = World::with("SELECT 1;", |job| {
        job.secrets = vec!["password".into()];
    });
    let text = refusal(&world);
    assert!(
        text.contains("the job needs the secrets password"),
        "{text}"
    );
    world.send_each(&["a"]);
    let (given, mut giver) = std::io::pipe().unwrap();
    let worker = world.start_with("w", given.into());
    writeln!(giver, "{{\"password\": \"{CANARY}\"}}").unwrap();
    // Whoever started it need not close the pipe.
    eventually("it is built", || world.has_final("a"));
    world.phase(Phase::Closed);
    let said = worker.end_well();
    assert!(!said.contains(CANARY));
    for file in walk(&world.container()) {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes
            .windows(CANARY.len())
            .any(|part| part == CANARY.as_bytes());
        assert!(!found, "{}", file.display());
    }
}

#[test]
fn a_job_without_secrets_waits_for_none() {
    let mut world = World::new();
    world.send_each(&["a"]);
    let (given, giver) = std::io::pipe().unwrap();
    let worker = world.start_with("w", given.into());
    eventually("it is built", || world.has_final("a"));
    world.phase(Phase::Closed);
    worker.end_well();
    drop(giver);
}

#[test]
fn a_worker_that_waits_for_secrets_ends_at_a_signal() {
    let world = World::with("SELECT 1;", |job| {
        job.secrets = vec!["password".into()];
    });
    let (given, giver) = std::io::pipe().unwrap();
    let worker = world.start_with("w", given.into());
    worker.says("the secrets of the job are waited for");
    worker.signal("TERM");
    let said = worker.end_well();
    assert!(said.contains("the work had not begun"), "{said}");
    drop(giver);
}

#[test]
fn secrets_are_not_waited_for_for_ever() {
    let world = World::with("SELECT 1;", |job| {
        job.secrets = vec!["password".into()];
    });
    let (given, giver) = std::io::pipe().unwrap();
    let worker = world.start_with("w", given.into());
    worker.says("needs the secrets password, and standard input has given nothing");
    assert_eq!(worker.end().code(), Some(1));
    drop(giver);
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn an_attached_worker_drains_when_its_parent_is_gone() {
    let world = World::new();
    let (given, giver) = std::io::pipe().unwrap();
    let mut command = world.command("w");
    command.env("SBM_ATTACHED", "1").stdin(given);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    // The pipe's other end is in the command, too.
    drop(command);
    world.send_each(&["a"]);
    let mut giver = giver;
    writeln!(giver).unwrap();
    eventually("it is built", || world.has_final("a"));
    assert!(child.try_wait().unwrap().is_none());
    drop(giver);
    eventually("it ends", || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_run_that_is_closed_needs_no_worker() {
    let mut world = World::new();
    world.send_each(&["a"]);
    world.phase(Phase::Closed);
    world.start("w").end_well();
    assert_eq!((world.starts("a"), world.left()), (0, (1, 0)));
}
