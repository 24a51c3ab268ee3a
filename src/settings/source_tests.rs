//! Which source gives a value, what the record says of it, and what becomes of secrets on the way.

use std::path::PathBuf;

use clap::{Args, Command, FromArgMatches};
use secrecy::{ExposeSecret, SecretString};

use super::{reader::Reader, *};
use crate::{
    protocol::{ConcurrencyType, Platform},
    secrets::{SecretName, Secrets},
};

const SECRET_NAME: &str = "user-in-the-file";
const CANARY: &str = "canary/7f3a+Zq%";
const KEY: &str = "a key of some length";

/// A folder with a package, a target list and settings files.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in ["a.sbm", "a.cfg"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A settings file with a login, besides what `words` say.
    fn file(&self, words: &[&str]) -> String {
        let path = self.path("f.json");
        let text = path.to_str().unwrap().to_owned();
        let login = [
            "--settingsfile",
            &text,
            "--settingsfilekey",
            KEY,
            "-u",
            SECRET_NAME,
            "-p",
            CANARY,
        ];
        let typed: SaveArguments<Batch> = parse(&[&login, words].concat());
        save(&typed, &|_| None).unwrap().save().unwrap();
        text
    }

    fn run(&self, words: &[&str], variables: &[(&str, &str)]) -> Result<RunSettings, String> {
        let package = self.path("a.sbm");
        let list = self.path("a.cfg");
        let needed = [
            "-P",
            package.to_str().unwrap(),
            "--override",
            list.to_str().unwrap(),
        ];
        let typed: RunArguments = parse(&[&needed, words].concat());
        RunSettings::threaded(&typed, &environment(variables)).map_err(|faults| faults.to_string())
    }
}

fn environment(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    let variables: Vec<(String, String)> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    move |name| {
        let found = variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }
}

fn parse<T: Args + FromArgMatches>(words: &[&str]) -> T {
    let command = T::augment_args(Command::new("sbm").no_binary_name(true));
    T::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
}

fn shown(words: &[&str], variables: &[(&str, &str)]) -> Result<Vec<Setting>, String> {
    let typed: ShowArguments = parse(words);
    let shown = ShownSettings::new(&typed, &environment(variables));
    shown
        .map(|shown| shown.settings)
        .map_err(|faults| faults.to_string())
}

/// Value and source of a setting, with a blank between.
fn one(settings: &[Setting], name: &str) -> String {
    let setting = settings.iter().find(|setting| setting.name == name);
    let setting = setting.unwrap_or_else(|| panic!("{name} is missing in {settings:#?}"));
    let value = setting.value.as_deref().unwrap_or("-");
    format!("{value} {}", setting.source.kind())
}

#[test]
fn what_a_file_says_counts_for_a_run() {
    let place = Place::new();
    let file = place.file(&[
        "--platform",
        "PostgreSQL",
        "--concurrency",
        "3",
        "--concurrencytype",
        "MaxPerServer",
        "--timeoutretrycount",
        "2",
        "--defaultscripttimeout",
        "7",
        "--rootloggingpath",
        "elsewhere",
        "--trustservercertificate",
    ]);
    let settings = place
        .run(&["--settingsfile", &file, "--settingsfilekey", KEY], &[])
        .unwrap();
    assert_eq!(settings.platform, Platform::PostgreSql);
    assert_eq!(settings.concurrency.limit, 3);
    assert_eq!(settings.concurrency.kind, ConcurrencyType::MaxPerServer);
    assert_eq!(settings.build.timeout_retry_count, 2);
    assert_eq!(settings.build.default_script_timeout.as_secs(), 7);
    assert_eq!(settings.root_logging_path, PathBuf::from("elsewhere"));
    assert_eq!(
        settings.connection.ssl_mode,
        crate::protocol::SslMode::Require
    );
    assert_eq!(settings.connection.user.as_deref(), Some(SECRET_NAME));
    assert_eq!(settings.password.unwrap().expose_secret(), CANARY);
}

/// For each setting that a file can hold: one source after the other is taken away.
#[test]
fn argument_wins_over_variable_over_file_over_default() {
    let place = Place::new();
    let file = place.file(&[
        "--authtype",
        "ManagedIdentity",
        "--platform",
        "MySQL",
        "--concurrency",
        "3",
        "--concurrencytype",
        "Tag",
        "--timeoutretrycount",
        "3",
        "--defaultscripttimeout",
        "3",
        "--rootloggingpath",
        "c",
        "--trustservercertificate",
        "true",
    ]);
    // Refused in a build, each in its own way, so they are only shown.
    for (option, typed, variable, in_file, default) in [
        ("concurrency", "1", "2", "3", "10"),
        ("concurrencytype", "Server", "MaxPerTag", "Tag", "Count"),
        ("timeoutretrycount", "1", "2", "3", "0"),
        ("defaultscripttimeout", "1", "2", "3", "500"),
        ("rootloggingpath", "a", "b", "c", "logs"),
        ("trustservercertificate", "false", "false", "true", "false"),
    ] {
        let long = format!("--{option}");
        let name = format!("SBM_{}", option.to_uppercase());
        let others = ["--authtype", "Password", "--platform", "SqlServer"];
        let with_file = [
            &["--settingsfile", &file, "--settingsfilekey", KEY],
            &others[..],
        ]
        .concat();
        let words = [&with_file[..], &[&long, typed]].concat();
        let variables = [(name.as_str(), variable)];
        for (words, variables, expected) in [
            (&words[..], &variables[..], format!("{typed} argument")),
            (&with_file, &variables, format!("{variable} variable")),
            (&with_file, &[], format!("{in_file} file")),
            (&others, &[], format!("{default} default")),
        ] {
            let settings = shown(words, variables).unwrap();
            assert_eq!(one(&settings, option), expected, "{option}");
        }
    }
}

#[test]
fn login_and_password_come_from_the_first_source_that_has_them() {
    let place = Place::new();
    let file = place.file(&["--platform", "PostgreSQL"]);
    let with_file = ["--settingsfile", &file, "--settingsfilekey", KEY];
    let typed = [&with_file[..], &["-u", "typed", "-p", "typed"]].concat();
    let variables = [("SBM_USERNAME", "variable"), ("SBM_PASSWORD", "variable")];
    for (words, variables, user, password, source) in [
        (&typed[..], &variables[..], "typed", "typed", "argument"),
        (&with_file, &variables, "variable", "variable", "variable"),
        (&with_file, &[], SECRET_NAME, CANARY, "file"),
    ] {
        let settings = place.run(words, variables).unwrap();
        assert_eq!(settings.connection.user.as_deref(), Some(user));
        assert_eq!(settings.password.unwrap().expose_secret(), password);
        let settings = shown(words, variables).unwrap();
        assert_eq!(one(&settings, "username"), format!("*** {source}"));
        assert_eq!(one(&settings, "password"), format!("*** {source}"));
    }
    // An access token is a variable, too.
    let token = [("SBM_ACCESS_TOKEN", "token")];
    let words = [&with_file[..], &["--platform", "SqlServer"]].concat();
    let settings = place.run(&words, &token).unwrap();
    assert_eq!(settings.connection.user, None);
    assert_eq!(settings.password.unwrap().expose_secret(), "token");
}

#[test]
fn a_fault_names_the_place_that_gave_the_value() {
    let place = Place::new();
    let path = place.path("g.json");
    let path = path.to_str().unwrap();
    std::fs::write(
        path,
        r#"{ "Concurrency": -1, "AuthenticationArgs": { "AuthenticationType": "Windows" } }"#,
    )
    .unwrap();
    let variables = [("SBM_CONCURRENCYTYPE", "Many"), ("SBM_SETTINGSFILE", path)];
    let told = place
        .run(&["--defaultscripttimeout", "0", "-u", "x"], &variables)
        .unwrap_err();
    for part in [
        format!(
            "AuthenticationArgs.AuthenticationType in {path} `Windows`: needs a signed-in Windows user"
        ),
        format!("Concurrency in {path} `-1`: accepted is a whole number from 1"),
        "SBM_CONCURRENCYTYPE: ".to_owned(),
        "--defaultscripttimeout `0`".to_owned(),
    ] {
        assert!(told.contains(&part), "{part} is missing in {told}");
    }
}

#[test]
fn a_wrong_key_is_one_error_and_a_missing_one_too() {
    let place = Place::new();
    let file = place.file(&["--platform", "PostgreSQL"]);
    for (variables, part) in [
        (
            &[("SBM_SETTINGSFILEKEY", "another key of some length")][..],
            "the key from SBM_SETTINGSFILEKEY",
        ),
        (&[], "are encrypted; give their key with --settingsfilekey"),
    ] {
        let told = place
            .run(&["--settingsfile", &file], variables)
            .unwrap_err();
        assert!(
            told.contains(part) && !told.contains("things need to be changed"),
            "{told}"
        );
    }
    // What gives the values itself needs no key.
    let words = ["--settingsfile", &file, "-u", "x", "-p", "y"];
    assert!(place.run(&words, &[]).is_ok());
    let told = shown(
        &[
            "--settingsfile",
            &file,
            "--settingsfilekey",
            "another key of some length",
        ],
        &[],
    );
    assert!(told.unwrap_err().contains("does not open the secrets"));
    // Without a key it can be shown that there are secrets.
    let settings = shown(&["--settingsfile", &file], &[]).unwrap();
    assert_eq!(one(&settings, "password"), "*** file");
}

#[test]
fn key_and_clear_text_belong_to_a_file() {
    let place = Place::new();
    let login = ["-u", "x"];
    for words in [&["--settingsfilekey", KEY][..], &["--decrypted"]] {
        let told = place.run(&[&login, words].concat(), &[]).unwrap_err();
        assert!(told.contains("used only with --settingsfile"), "{told}");
    }
    // The variable may be there for other commands.
    assert!(place.run(&login, &[("SBM_SETTINGSFILEKEY", KEY)]).is_ok());
    let missing = place
        .run(
            &[&login[..], &["--settingsfile", "none.json"]].concat(),
            &[],
        )
        .unwrap_err();
    assert!(
        missing.contains("--settingsfile `none.json`: no such file"),
        "{missing}"
    );

    // What looks encrypted may be clear text.
    let path = place.path("clear.json");
    let looks = "kWjkYZD2mej9lJ6YltINXQMS09IP2575k2b2NtK6P60=";
    let json = serde_json::json!({ "AuthenticationArgs": { "UserName": "x", "Password": looks } });
    std::fs::write(&path, json.to_string()).unwrap();
    let path = path.to_str().unwrap();
    assert!(place.run(&["--settingsfile", path], &[]).is_err());
    let settings = place
        .run(&["--settingsfile", path, "--decrypted"], &[])
        .unwrap();
    assert_eq!(settings.password.unwrap().expose_secret(), looks);
}

#[test]
fn files_of_databases_need_no_login_whatever_the_settings_file_holds() {
    let place = Place::new();
    let file = place.file(&[]);
    let settings = place
        .run(&["--settingsfile", &file, "--platform", "SQLite"], &[])
        .unwrap();
    assert_eq!(
        (settings.connection.user, settings.password.is_none()),
        (None, true)
    );
}

#[test]
fn a_mode_that_was_typed_wins_over_the_trust_of_a_file() {
    let place = Place::new();
    let file = place.file(&["--trustservercertificate"]);
    let words = [
        "--settingsfile",
        &file,
        "--settingsfilekey",
        KEY,
        "--sslmode",
        "verify-full",
    ];
    let settings = place.run(&words, &[]).unwrap();
    assert_eq!(
        settings.connection.ssl_mode,
        crate::protocol::SslMode::VerifyFull
    );
}

#[tokio::test]
async fn another_place_is_asked_where_no_other_source_gives_anything() {
    let place = Place::new();
    // A second file stands for the place: the promise is that of the trait.
    let other = place.path("other.json");
    let json =
        serde_json::json!({ "AuthenticationArgs": { "UserName": "other", "Password": CANARY } });
    std::fs::write(&other, json.to_string()).unwrap();
    let other = SettingsFile::open(&other, None, false).unwrap();
    let other: &dyn Secrets = &other;
    let answers = Answers::ask(other, &[SecretName::UserName, SecretName::Password])
        .await
        .unwrap();
    assert!(!format!("{answers:?}").contains(CANARY));

    let file = place.path("f.json");
    std::fs::write(&file, r#"{ "AuthenticationArgs": { "UserName": "file" } }"#).unwrap();
    let none = environment(&[]);
    let mut reader = Reader::new(&none);
    reader.open_file(&parse(&["--settingsfile", file.to_str().unwrap()]));
    reader.use_answers(&answers);
    let mut ask = |option: &str, name, typed: Option<&SecretString>| {
        let secret = reader.secret(option, name, typed);
        secret.map(|secret| secret.expose_secret().to_owned())
    };
    assert_eq!(
        ask("--username", SecretName::UserName, None).as_deref(),
        Some("file")
    );
    assert_eq!(
        ask("--password", SecretName::Password, None).as_deref(),
        Some(CANARY)
    );
    let typed = SecretString::from("typed");
    assert_eq!(
        ask("--password", SecretName::Password, Some(&typed)).as_deref(),
        Some("typed")
    );
    assert_eq!(
        ask("--storageaccountkey", SecretName::StorageAccountKey, None),
        None
    );
}

#[test]
fn everything_that_is_set_is_shown_and_no_secret_is() {
    let place = Place::new();
    let file = place.file(&[
        "--storageaccountname",
        "store",
        "--storageaccountkey",
        CANARY,
        "--sb",
        "Endpoint=sb://x/;Key=canary/7f3a",
        "--eh",
        "namespace|hub",
        "--registrypassword",
        CANARY,
        "-k",
        CANARY,
        "--subscriptionid",
        "s",
        "--eventhublogging",
        "ScriptErrors",
        "--poolname",
        "pool",
    ]);
    let words = [
        "--settingsfile",
        &file,
        "--settingsfilekey",
        KEY,
        "--storageaccountkey",
        CANARY,
        "--location",
        "north",
        "-P",
        "typed",
        "--trial",
    ];
    let told = shown(&words, &[]).unwrap_err();
    assert!(told.starts_with("--packagename `typed`"), "{told}");
    let words = &words[..8];
    let settings = shown(words, &[("SBM_PODCOUNT", "5")]).unwrap();
    for (name, expected) in [
        ("storageaccountname", "store file"),
        ("storageaccountkey", "*** argument"),
        ("servicebustopicconnection", "*** file"),
        ("eventhubconnection", "namespace|hub file"),
        ("registrypassword", "*** file"),
        ("batchaccountkey", "*** file"),
        ("IdentityArgs.SubscriptionId", "s file"),
        ("eventhublogging", "ScriptErrors file"),
        ("poolname", "pool file"),
        ("location", "north argument"),
        ("podcount", "5 variable"),
        ("settingsfilekey", "*** argument"),
        ("packagename", "- default"),
        ("maxslots", "32 default"),
    ] {
        assert_eq!(one(&settings, name), expected, "{name}");
    }
    let all = format!("{settings:?}");
    for secret in [CANARY, KEY, "canary", SECRET_NAME] {
        assert!(!all.contains(secret), "{all}");
    }
}

#[test]
fn every_option_of_a_build_is_shown() {
    let settings = shown(&["--platform", "PostgreSQL"], &[]).unwrap();
    let command = BuildArguments::augment_args(Command::new("build"));
    for argument in command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set())
    {
        let name = argument.get_long().unwrap();
        one(&settings, name);
    }
}
