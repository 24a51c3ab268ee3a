//! The program as its users start it: what it prints, where, and how it ends.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// A secret that no output may show.
const CANARY: &str = "canary-7f3a";

/// `sbm` in a folder of its own, with none of the caller's variables that it would read.
fn sbm(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sbm"));
    command.current_dir(folder).stdin(Stdio::null());
    for variable in ["SBM_USERNAME", "SBM_PASSWORD", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let output = sbm(folder.path()).args(arguments).output().unwrap();
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{arguments:?} wrote {left:?}");
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Bad input: exit code 2, nothing on standard output, and the answer is what standard error says.
fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    let error = text(&output.stderr).to_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
    assert_eq!(text(&output.stdout), "", "{arguments:?}");
    assert!(error.starts_with("error: "), "{error}");
    assert_eq!(error.matches("error:").count(), 1, "{error}");
    error
}

#[test]
fn version_and_help_go_to_standard_output() {
    let output = run(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    let version = format!("sbm {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&output.stdout), version);
    for arguments in [
        &["--help"][..],
        &["-?"],
        &["threaded", "run", "--help"],
        &["build", "-h"],
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(text(&output.stdout).contains("Usage: sbm"), "{arguments:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
}

#[test]
fn a_wrong_option_ends_with_two_and_a_suggestion() {
    let error = refused(&["threaded", "run", "--concurency", "5"]);
    assert!(error.contains("--concurency"), "{error}");
    assert!(error.contains("'--concurrency'"), "{error}");
    assert!(refused(&["bild"]).contains("'build'"));
    assert!(refused(&["threaded", "run", "--Trial"]).contains("'--trial'"));
}

#[test]
fn commands_of_later_versions_are_not_there() {
    for command in ["containerapp", "batch", "k8s", "aci"] {
        refused(&[command, "run"]);
    }
    for command in ["dacpac", "createbackout"] {
        refused(&[command]);
    }
    refused(&["threaded", "query"]);
}

/// The commands of `local` that people type.
const LOCAL: [&str; 8] = [
    "run", "prep", "enqueue", "deploy", "monitor", "dequeue", "query", "cleanup",
];

#[test]
fn every_step_of_a_local_run_explains_itself() {
    let output = run(&["local", "--help"]);
    let list = text(&output.stdout);
    for command in LOCAL {
        assert!(list.contains(&format!("\n  {command} ")), "{list}");
        let output = run(&["local", command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let help = text(&output.stdout);
        let usage = format!("Usage: sbm local {command} --");
        let example = format!("Example:\n  sbm local {command} --");
        assert!(help.contains(&usage) && help.contains(&example), "{help}");
        // Logs are in the store; a query has none.
        assert_eq!(
            help.contains("--rootloggingpath"),
            command == "query",
            "{help}"
        );
        assert_eq!(help.contains("--store"), command != "query", "{help}");
    }
    // Nobody types this one.
    assert!(!list.contains("\n  worker "), "{list}");
}

#[test]
fn all_faults_of_a_local_run_are_told_at_once_and_nothing_is_made() {
    for command in ["run", "prep"] {
        let error = refused(&[
            "local",
            command,
            "-P",
            "none.sbm",
            "--override",
            "none.cfg",
            "--platform",
            "SQLite",
            "--rootloggingpath:logs",
            "--jobname",
            "../up",
            "--force",
            "--resume",
            "--workers=0",
            "--waves",
            "10%,5%",
            "--monitor",
            "false",
            "--probe",
            "DELETE FROM t",
        ]);
        for part in [
            "9 things need to be changed",
            "--packagename `none.sbm`",
            "--override `none.cfg`",
            "--rootloggingpath `logs`",
            "--jobname `../up`",
            "--workers `0`",
            "--waves `10%,5%`: `5%` is not more than `10%` before it",
            "--probe: is not one query that only reads",
            "--force: not used with --resume",
            "--monitor `false`: not used with --waves",
        ] {
            assert!(error.contains(part), "{part} is missing in {error}");
        }
    }
}

#[test]
fn a_step_needs_the_name_of_its_job() {
    for command in ["enqueue", "deploy", "monitor", "dequeue", "cleanup"] {
        let error = refused(&["local", command]);
        assert!(error.contains("--jobname: needed"), "{command}: {error}");
        let error = refused(&["local", command, "--jobname", "queues"]);
        assert!(error.contains("--jobname `queues`"), "{command}: {error}");
    }
    // What has no meaning for a step is no option of it.
    for words in [
        &["local", "enqueue", "--jobname", "j", "--workers", "3"][..],
        &["local", "cleanup", "--jobname", "j", "--password", CANARY],
        &["local", "monitor", "--jobname", "j", "--deletelogs"],
    ] {
        let error = refused(words);
        assert!(error.contains("unexpected argument '--"), "{error}");
        assert!(!error.contains(CANARY), "{error}");
    }
}

#[test]
fn all_faults_are_told_at_once_and_nothing_is_made() {
    let error = refused(&[
        "threaded",
        "run",
        "-P",
        "none.sbm",
        "--override",
        "none.cfg",
        "--platform",
        "PostgreSQL",
        "--trial",
        "--transactional",
        "false",
        "--concurrency",
        "-5",
        "--maxfailures=200%",
        "--authtype",
        "Windows",
        "-pd",
        "x.dacpac",
        "--rootloggingpath",
        "made",
    ]);
    for part in [
        "8 things need to be changed",
        "--packagename `none.sbm`",
        "--override `none.cfg`",
        "--username",
        "--authtype `Windows`",
        "--trial",
        "--concurrency `-5`",
        "--maxfailures `200%`",
        "--platinumdacpac `x.dacpac`",
    ] {
        assert!(error.contains(part), "{part} is missing in {error}");
    }
}

#[test]
fn no_error_ever_shows_the_password() {
    let attached = format!("--password={CANARY}");
    let colon = format!("-p:{CANARY}");
    let misspelt = format!("--passwort={CANARY}");
    let in_words = format!("x {CANARY}");
    for words in [
        vec!["--password", CANARY, "--nonsense"],
        vec!["-p", CANARY, "--platform", "Oracle"],
        vec![&attached, "--platform", "SQLite"],
        vec![&colon],
        vec![&misspelt],
        vec!["-p", "two", CANARY],
        vec!["--password", &in_words, "--password", &in_words],
        vec!["--password", CANARY, "--loglevel", "trace"],
    ] {
        let error = refused(&[&["threaded", "run"], words.as_slice()].concat());
        assert!(!error.contains(CANARY), "{words:?}: {error}");
    }

    for command in ["deploy", "monitor"] {
        let error = refused(&[
            "local",
            command,
            "--password",
            CANARY,
            "--loglevel",
            "trace",
        ]);
        assert!(!error.contains(CANARY), "{error}");
    }

    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["threaded", "run", "--loglevel", "trace"][..],
        &["local", "monitor", "--loglevel", "trace"],
        &["build", "--help"],
    ] {
        let output = sbm(folder.path())
            .args(arguments)
            .env("SBM_PASSWORD", CANARY)
            .output()
            .unwrap();
        assert!(!text(&output.stdout).contains(CANARY), "{arguments:?}");
        assert!(!text(&output.stderr).contains(CANARY), "{arguments:?}");
    }
}

#[test]
fn flags_are_understood_in_every_form() {
    for flag in [
        &["--trial"][..],
        &["--trial", "true"],
        &["--trial=TRUE"],
        &["--trial:true"],
    ] {
        let arguments = [&["threaded", "run", "--transactional:false"], flag].concat();
        let error = refused(&arguments);
        assert!(
            error.contains("a trial is rolled back"),
            "{flag:?}: {error}"
        );
    }
    for flag in [&["--trial", "false"][..], &["--trial=False"]] {
        let arguments = [&["threaded", "run", "--transactional=false"], flag].concat();
        let error = refused(&arguments);
        assert!(!error.contains("--trial"), "{flag:?}: {error}");
    }
    assert!(refused(&["threaded", "run", "--trial", "maybe"]).contains("--trial `maybe`"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["ledger", "script", "--platform", "PostgreSQL"][..],
        &["threaded", "run", "--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = sbm(folder.path())
            .args(arguments)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
}
