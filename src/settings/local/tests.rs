//! Every option counts, and every fault is told.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Command, FromArgMatches};
use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::settings::{
    Environment, Faults, Resume,
    tests::{Files, environment, other_values, parse},
};

type Words = Vec<String>;

fn words(options: &[(&str, &str)]) -> Words {
    options
        .iter()
        .flat_map(|(name, value)| [format!("--{name}"), (*value).to_owned()])
        .collect()
}

/// The least that `local run` needs, but for one option.
fn base(files: &Files, without: &str) -> Words {
    let (package, list) = (files.path("a.sbm"), files.path("a.cfg"));
    let all = [
        ("packagename", package.as_str()),
        ("override", &list),
        ("platform", "PostgreSQL"),
        ("username", "me"),
    ];
    let kept: Vec<_> = all
        .into_iter()
        .filter(|(name, _)| *name != without)
        .collect();
    words(&kept)
}

fn run(words: &[String]) -> Result<LocalRunSettings, String> {
    LocalRunSettings::new(&parse(words), &environment).map_err(|faults| faults.to_string())
}

/// The settings of a run with more than the least.
fn with(files: &Files, more: &[(&str, &str)]) -> Result<LocalRunSettings, String> {
    run(&[base(files, ""), words(more)].concat())
}

fn length(secret: Option<&SecretString>) -> Option<usize> {
    secret.map(|secret| secret.expose_secret().len())
}

/// How the program sees `words`. Two answers differ when a word makes a difference.
fn understood(words: &[String]) -> String {
    run(words).map_or_else(
        |faults| faults,
        |settings| format!("{settings:?} {:?}", length(settings.run.password.as_ref())),
    )
}

/// The id and the name of each option.
fn options<T: Args>() -> Vec<(String, String)> {
    let command = T::augment_args(Command::new("sbm"));
    command
        .get_arguments()
        .map(|argument| {
            let long = argument.get_long().unwrap();
            (argument.get_id().to_string(), long.to_owned())
        })
        .collect()
}

#[test]
fn every_option_makes_a_difference() {
    let files = Files::new();
    let mut values = other_values(&files);
    for (name, value) in [
        ("jobname", "other"),
        ("store", "other"),
        ("force", "true"),
        ("monitor", "false"),
        ("stalltimeout", "7"),
        ("deadline", "7"),
        ("workers", "7"),
        ("waves", "1,10%"),
        ("soak", "7"),
        ("probe", "SELECT 1"),
    ] {
        values.push((name, value.to_owned()));
    }
    let least = understood(&base(&files, ""));
    assert!(least.starts_with("LocalRunSettings"), "{least}");
    for (id, long) in options::<LocalRunArguments>() {
        let value = values.iter().find(|(name, _)| *name == id);
        let (_, value) = value.unwrap_or_else(|| panic!("no value for the option {id}"));
        let words = [base(&files, &id), words(&[(&long, value)])].concat();
        assert_ne!(understood(&words), least, "--{long} has no effect");
    }
}

#[test]
fn every_option_that_takes_no_free_text_is_checked() {
    let files = Files::new();
    let checked = [
        "jobname",
        "force",
        "monitor",
        "stalltimeout",
        "deadline",
        "workers",
        "waves",
        "soak",
    ];
    for name in checked {
        let told = with(&files, &[(name, "no such")]).unwrap_err();
        let expected = format!("--{name} `no such`: ");
        assert!(told.contains(&expected), "{told}");
    }
    for (name, good, bad) in [
        ("workers", ["1", "64"], ["0", "65"]),
        ("deadline", ["1", "2592000"], ["0", "2592001"]),
        ("stalltimeout", ["1", "2592000"], ["0", "2592001"]),
    ] {
        assert!(
            good.iter()
                .all(|value| with(&files, &[(name, value)]).is_ok())
        );
        assert!(
            bad.iter()
                .all(|value| with(&files, &[(name, value)]).is_err())
        );
    }
}

#[test]
fn nothing_typed_means_the_documented_defaults() {
    let settings = with(&Files::new(), &[]).unwrap();
    assert_eq!((settings.workers, settings.job_name), (4, None));
    assert_eq!(settings.store, PathBuf::from("sbm-store"));
    assert_eq!(settings.run.root_logging_path, settings.store);
    assert!(settings.monitor && !settings.force);
    assert_eq!((settings.waves, settings.probe), (None, None));
    assert_eq!(settings.soak, Duration::ZERO);
    assert_eq!(settings.stall_timeout, None);
    assert_eq!(settings.deadline, Duration::from_secs(86_400));
    assert_eq!(settings.run.resume, Resume::No);
}

#[test]
fn waves_come_with_a_pause_and_a_query() {
    let probe = "SELECT 1 FROM t WHERE broken";
    let more = [("waves", "1, 2.5%"), ("soak", "30"), ("probe", probe)];
    let settings = with(&Files::new(), &more).unwrap();
    assert_eq!(settings.waves.unwrap().sizes(1_000), [1, 24, 975]);
    assert_eq!(settings.soak, Duration::from_secs(30));
    assert_eq!(settings.probe.as_deref(), Some(probe));
}

#[test]
fn what_cannot_be_together_is_refused_with_the_reason() {
    let files = Files::new();
    for (more, option, reason) in [
        (
            &[("resume", "last")][..],
            "--jobname",
            "needed with --resume",
        ),
        (
            &[("resume", "last"), ("jobname", "j"), ("force", "true")],
            "--force",
            "leave one of the two out",
        ),
        (
            &[("waves", "1"), ("monitor", "false")],
            "--monitor `false`",
            "not used with --waves",
        ),
        (&[("soak", "1")], "--soak `1`", "used only with --waves"),
        (
            &[("probe", "SELECT 1")],
            "--probe",
            "used only with --waves",
        ),
        (
            &[("waves", "1"), ("probe", "DELETE FROM t")],
            "--probe",
            "it starts with `DELETE`",
        ),
        (
            &[("waves", "1"), ("probe", "SELECT 1; SELECT 2")],
            "--probe",
            "not one query that only reads",
        ),
        (&[("waves", "1"), ("probe", " ")], "--probe", "only reads"),
        (
            &[("rootloggingpath", "logs")],
            "--rootloggingpath `logs`",
            "--store",
        ),
    ] {
        let told = with(&files, more).unwrap_err();
        assert!(told.starts_with(&format!("{option}: ")), "{told}");
        assert!(told.contains(reason), "{told}");
    }
    // What is wrong by itself hides nothing.
    for (more, count) in [
        (&[("soak", "x"), ("probe", "DROP TABLE t")][..], 4),
        (&[("waves", "x"), ("monitor", "false")], 2),
        (&[("resume", "x"), ("force", "true")], 3),
    ] {
        let told = with(&files, more).unwrap_err();
        assert!(told.starts_with(&format!("{count} things")), "{told}");
    }
    for more in [
        &[("resume", "last"), ("jobname", "j"), ("force", "false")][..],
        &[("soak", "0")],
        &[("monitor", "false")],
        &[("waves", "1"), ("monitor", "true")],
    ] {
        assert!(with(&files, more).is_ok(), "{more:?}");
    }
}

#[test]
fn all_faults_are_told_together_and_in_the_order_of_the_help() {
    let typed = words(&[
        ("probe", "DROP TABLE t"),
        ("waves", "10,5"),
        ("workers", "65"),
        ("deadline", "0"),
        ("stalltimeout", "0"),
        ("monitor", "maybe"),
        ("force", "maybe"),
        ("jobname", "queues"),
        ("store", "%NONE%"),
        ("rootloggingpath", "logs"),
        ("concurrency", "0"),
        ("platform", "SQLite"),
    ]);
    let faults = LocalRunSettings::new(&parse(&typed), &environment).unwrap_err();
    let told: Vec<&str> = faults
        .list()
        .iter()
        .map(|fault| fault.option.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "--packagename",
            "--override",
            "--concurrency",
            "--rootloggingpath",
            "--store",
            "--jobname",
            "--force",
            "--monitor",
            "--stalltimeout",
            "--deadline",
            "--workers",
            "--waves",
            "--probe",
        ]
    );
}

#[test]
fn a_folder_for_logs_counts_only_where_it_was_typed() {
    let files = Files::new();
    let file = files.path("g.json");
    std::fs::write(&file, r#"{ "RootLoggingPath": "%NONE%/logs" }"#).unwrap();
    let typed = parse(&[base(&files, ""), words(&[("settingsfile", &file)])].concat());
    let variable = |name: &str| (name == "SBM_ROOTLOGGINGPATH").then(|| "logs".to_owned());
    for environment in [&environment as Environment<'_>, &variable] {
        let settings = LocalRunSettings::new(&typed, environment).unwrap();
        assert_eq!(settings.run.root_logging_path, PathBuf::from("sbm-store"));
    }
}

/// How one of the other commands sees `words`.
type Read<T> = fn(&T, Environment<'_>) -> Result<LocalJobSettings, Faults>;

fn job<T: Args + FromArgMatches>(read: Read<T>, words: &[String]) -> String {
    match read(&parse(words), &environment) {
        Ok(settings) => format!("{settings:?} {:?}", length(settings.password.as_ref())),
        Err(faults) => faults.to_string(),
    }
}

/// Every option of a command makes a difference; the name of the job is needed; faults are told together.
fn check<T: Args + FromArgMatches>(read: Read<T>, expected: &[&str]) {
    let files = Files::new();
    let file = files.path("g.json");
    std::fs::write(&file, r#"{ "AuthenticationArgs": { "Password": "x" } }"#).unwrap();
    let least = job(read, &words(&[("jobname", "j")]));
    assert!(least.starts_with("LocalJobSettings"), "{least}");
    let names: Vec<String> = options::<T>().into_iter().map(|(_, long)| long).collect();
    assert_eq!(names, expected);
    for name in &names {
        let value = match name.as_str() {
            "settingsfile" => &file,
            "decrypted" | "deletelogs" => "true",
            "draintimeout" | "workers" => "7",
            "output" => "json",
            "keyvaultname" => "no vault",
            _ => "other",
        };
        let mut typed = words(&[(name, value)]);
        if name != "jobname" {
            typed.extend(words(&[("jobname", "j")]));
        }
        assert_ne!(job(read, &typed), least, "--{name} has no effect");
    }
    let faults = job(read, &words(&[("store", "%NONE%")]));
    for part in ["2 things", "--jobname: needed", "NONE is not set"] {
        assert!(faults.contains(part), "{faults}");
    }
}

const JOB: [&str; 2] = ["jobname", "store"];
const SECRETS: [&str; 5] = [
    "settingsfile",
    "settingsfilekey",
    "decrypted",
    "keyvaultname",
    "password",
];

#[test]
fn each_step_has_the_options_that_mean_something_to_it() {
    check::<LocalEnqueueArguments>(LocalJobSettings::enqueue, &JOB);
    check::<LocalDequeueArguments>(LocalJobSettings::dequeue, &JOB);
    let with = |more: &[&'static str]| [&JOB[..], more].concat();
    check::<LocalCleanupArguments>(LocalJobSettings::cleanup, &with(&["deletelogs"]));
    let with = |more: &[&'static str]| [&JOB[..], &SECRETS, more].concat();
    check::<LocalDeployArguments>(LocalJobSettings::deploy, &with(&["workers"]));
    let monitor = with(&["draintimeout", "output"]);
    check::<LocalMonitorArguments>(LocalJobSettings::monitor, &monitor);
}

#[test]
fn values_of_a_step_are_checked() {
    let deploy = |typed: &[String]| job(LocalJobSettings::deploy, typed);
    let monitor = |typed: &[String]| job(LocalJobSettings::monitor, typed);
    let cleanup = |typed: &[String]| job(LocalJobSettings::cleanup, typed);
    let named = |name| words(&[("jobname", "j"), (name, "no such")]);
    for (name, told) in [
        ("jobname", deploy(&words(&[("jobname", "no such")]))),
        ("workers", deploy(&named("workers"))),
        ("draintimeout", monitor(&named("draintimeout"))),
        ("output", monitor(&named("output"))),
        ("deletelogs", cleanup(&named("deletelogs"))),
    ] {
        assert!(told.starts_with(&format!("--{name} `no such`")), "{told}");
    }
}

#[test]
fn a_step_takes_its_secret_from_the_first_source_that_has_it() {
    let files = Files::new();
    let file = files.path("g.json");
    std::fs::write(&file, r#"{ "AuthenticationArgs": { "Password": "file" } }"#).unwrap();
    let both = |name: &str| match name {
        "SBM_PASSWORD" => Some("variable".to_owned()),
        "SBM_ACCESS_TOKEN" => Some("token".to_owned()),
        _ => None,
    };
    let none = |_: &str| None;
    let name = ("jobname", "j");
    let typed = [name, ("settingsfile", &file), ("password", "typed")];
    let cases: [(&[(&str, &str)], Environment<'_>, _, _); 5] = [
        (&typed, &both, Some("typed"), None),
        (&typed[..2], &both, Some("variable"), Some("token")),
        (&typed[..2], &none, Some("file"), None),
        (&typed[..1], &none, None, None),
        // An empty password is none.
        (&[name, ("password", "")], &none, None, None),
    ];
    for (typed, environment, password, token) in cases {
        let typed = words(typed);
        let settings = [
            LocalJobSettings::deploy(&parse(&typed), environment).unwrap(),
            LocalJobSettings::monitor(&parse(&typed), environment).unwrap(),
        ];
        for settings in &settings {
            let secrets = [&settings.password, &settings.access_token]
                .map(|secret| secret.as_ref().map(ExposeSecret::expose_secret));
            assert_eq!(secrets, [password, token], "{typed:?}");
            let shown = format!("{settings:?}");
            for secret in [password, token].into_iter().flatten() {
                assert!(!shown.contains(&format!("\"{secret}\"")), "{shown}");
            }
        }
    }
}
