//! Every option counts, and every fault is told.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Command, FromArgMatches};

use super::*;
use crate::protocol::ConcurrencyType;

pub(super) fn environment(name: &str) -> Option<String> {
    (name == "LOGS").then(|| "/var/log".to_owned())
}

/// A package, a target list and a certificate that exist.
pub(super) struct Files(tempfile::TempDir);

impl Files {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in ["a.sbm", "b.sbx", "a.cfg", "b.cfg", "ca.pem"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        std::fs::write(folder.path().join("f.json"), r#"{ "Concurrency": 7 }"#).unwrap();
        Self(folder)
    }

    pub(super) fn path(&self, file: &str) -> String {
        self.folder().join(file).to_str().unwrap().to_owned()
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }
}

pub(super) fn parse<T: Args + FromArgMatches>(words: &[String]) -> T {
    let command = T::augment_args(Command::new("sbm").no_binary_name(true));
    let matches = command.try_get_matches_from(words).unwrap();
    T::from_arg_matches(&matches).unwrap()
}

/// How the program sees `words`: settings, or the faults. Two answers differ when a word makes a difference.
fn understood(words: &[String]) -> String {
    match RunSettings::build(&parse(words), &environment) {
        Ok(settings) => {
            let password = settings.password.as_ref();
            let length =
                password.map(|password| secrecy::ExposeSecret::expose_secret(password).len());
            format!("{settings:?} {length:?}")
        }
        Err(faults) => faults.to_string(),
    }
}

/// An option's name and a value that differs from its default, or from the value in [`base`].
pub(super) fn other_values(files: &Files) -> Vec<(&'static str, String)> {
    let texts = [
        ("server", "other"),
        ("database", "other"),
        ("settingsfilekey", "used only with a file"),
        ("decrypted", "true"),
        ("keyvaultname", "no vault"),
        ("maxscriptsize", "1KiB"),
        ("maxpackagesize", "1KiB"),
        ("maxratio", "2"),
        ("platform", "SqlServer"),
        ("allowduplicates", "true"),
        ("username", "other"),
        ("password", "other"),
        ("authtype", "ManagedIdentity"),
        ("sslmode", "require"),
        ("trustservercertificate", "true"),
        ("connecttimeout", "1"),
        ("trial", "true"),
        ("transactional", "false"),
        ("description", "other"),
        ("buildrevision", "1.2"),
        ("logtodatabasename", "other"),
        ("timeoutretrycount", "3"),
        ("defaultscripttimeout", "1"),
        ("lockwait", "1"),
        ("ledgerschema", "other"),
        ("ledgerkeep", "1"),
        ("concurrency", "1"),
        ("concurrencytype", "Server"),
        ("maxslots", "1"),
        ("maxfailures", "5%"),
        ("draintimeout", "1"),
        ("resume", "last"),
        ("redo", "failed"),
        ("finish_partial", "true"),
        ("rootloggingpath", "%LOGS%/sbm"),
        ("output", "json"),
        ("platinumdacpac", "a.dacpac"),
        ("targetdacpac", "a.dacpac"),
        ("forcecustomdacpac", "true"),
        ("platinumdbsource", "other"),
        ("platinumserversource", "other"),
    ];
    let paths = [
        ("settingsfile", files.path("f.json")),
        ("packagename", files.path("b.sbx")),
        ("scriptsrcdir", files.path("")),
        ("override", files.path("b.cfg")),
        ("sslrootcert", files.path("ca.pem")),
    ];
    texts
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .chain(paths)
        .collect()
}

/// The least that `build` needs.
fn base(files: &Files, without: &str) -> Vec<String> {
    let all = [
        ("packagename", files.path("a.sbm")),
        ("server", "host".to_owned()),
        ("platform", "PostgreSQL".to_owned()),
        ("username", "me".to_owned()),
    ];
    all.into_iter()
        .filter(|(name, _)| *name != without)
        .flat_map(|(name, value)| [format!("--{name}"), value])
        .collect()
}

#[test]
fn every_option_makes_a_difference() {
    let files = Files::new();
    let values = other_values(&files);
    let command = BuildArguments::augment_args(Command::new("sbm"));
    let without_options = understood(&base(&files, ""));
    assert!(
        without_options.starts_with("RunSettings"),
        "{without_options}"
    );
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        let (_, value) = values
            .iter()
            .find(|(name, _)| *name == id)
            .unwrap_or_else(|| panic!("this test has no value for the option {id}"));
        let long = argument.get_long().unwrap();
        let words = [base(&files, id), vec![format!("--{long}"), value.clone()]].concat();
        assert_ne!(
            understood(&words),
            without_options,
            "--{long} has no effect"
        );
    }
}

#[test]
fn every_option_that_takes_no_free_text_is_checked() {
    let files = Files::new();
    let free = [
        "server",
        "database",
        "username",
        "password",
        "settingsfilekey",
        "description",
        "buildrevision",
        "logtodatabasename",
        "ledgerschema",
        "rootloggingpath",
    ];
    let command = BuildArguments::augment_args(Command::new("sbm"));
    for argument in command.get_arguments() {
        let (id, long) = (argument.get_id().as_str(), argument.get_long().unwrap());
        if free.contains(&id) {
            continue;
        }
        let words = [
            base(&files, id),
            vec![format!("--{long}"), "no such".into()],
        ]
        .concat();
        let answer = understood(&words);
        assert!(answer.contains(&format!("--{long}")), "--{long}: {answer}");
        assert!(answer.contains("no such"), "--{long}: {answer}");
    }
}

#[test]
fn all_faults_are_told_together() {
    let words = [
        "--platform",
        "Oracle",
        "--concurrency",
        "0",
        "--trial",
        "maybe",
    ];
    let typed: RunArguments = parse(&words.map(str::to_owned));
    let faults = RunSettings::threaded(&typed, &environment).unwrap_err();
    let options: Vec<&str> = faults
        .list()
        .iter()
        .map(|fault| fault.option.as_str())
        .collect();
    assert_eq!(
        options,
        [
            "--packagename",
            "--override",
            "--platform",
            "--trial",
            "--concurrency"
        ]
    );
}

#[test]
fn nothing_typed_means_the_documented_defaults() {
    let files = Files::new();
    let list = files.path("a.cfg");
    let package = files.path("a.sbm");
    let words = ["-P", &package, "--override", &list, "--platform", "sqlite"].map(str::to_owned);
    let settings = RunSettings::threaded(&parse(&words), &environment).unwrap();
    assert_eq!(settings.concurrency.limit, 10);
    assert_eq!(settings.concurrency.kind, ConcurrencyType::Count);
    assert_eq!(settings.concurrency.max_slots, 32);
    assert_eq!(settings.drain_timeout, Duration::from_secs(60));
    assert_eq!(settings.connection.connect_timeout, Duration::from_secs(20));
    assert_eq!(settings.root_logging_path, PathBuf::from("logs"));
    assert_eq!(settings.output, crate::report::Output::Text);
    assert_eq!((settings.lock_wait, settings.max_failures), (None, None));
    assert_eq!(settings.resume, Resume::No);
    assert!(!settings.allow_duplicates);
}

#[test]
fn flags_may_stand_alone_and_take_a_value() {
    let files = Files::new();
    for (words, expected) in [
        (vec!["--trial"], true),
        (vec!["--trial", "TRUE"], true),
        (vec!["--trial=false"], false),
    ] {
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let words = [base(&files, ""), words].concat();
        let settings = RunSettings::build(&parse(&words), &environment).unwrap();
        assert_eq!(settings.build.trial, expected, "{words:?}");
    }
}

#[test]
fn every_option_is_documented() {
    let page = include_str!("../../docs/settings.md");
    let commands = [
        BuildArguments::augment_args(Command::new("build")),
        LedgerArguments::augment_args(Command::new("ledger")),
        DemoArguments::augment_args(Command::new("demo")),
        QueryArguments::augment_args(Command::new("query")),
        ShowArguments::augment_args(Command::new("show")),
        SaveArguments::<Batch>::augment_args(Command::new("savesettings")),
        LocalRunArguments::augment_args(Command::new("run")),
        LocalEnqueueArguments::augment_args(Command::new("enqueue")),
        LocalDeployArguments::augment_args(Command::new("deploy")),
        LocalMonitorArguments::augment_args(Command::new("monitor")),
        LocalDequeueArguments::augment_args(Command::new("dequeue")),
        LocalCleanupArguments::augment_args(Command::new("cleanup")),
    ];
    for argument in commands.iter().flat_map(Command::get_arguments) {
        let aliases = argument.get_all_aliases().unwrap_or_default();
        for name in argument.get_long().into_iter().chain(aliases) {
            // An alias that only leaves out a hyphen needs no words.
            let known = page.contains(&format!("`--{name}`")) || name == "finishpartial";
            assert!(known, "docs/settings.md does not name --{name}");
        }
    }
}
