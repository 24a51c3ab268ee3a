//! Which source gives a value.

use secrecy::{ExposeSecret, SecretString};

use super::*;
use crate::{
    protocol::{ConcurrencyType, Platform},
    secrets::{SecretName, Secrets},
    settings::reader::Reader,
};

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
fn files_of_databases_need_no_login_whatever_the_settings_file_holds() {
    let place = Place::new();
    let file = place.file(&["--authtype", "ManagedIdentity"]);
    let settings = place
        .run(&["--settingsfile", &file, "--platform", "SQLite"], &[])
        .unwrap();
    assert_eq!(
        (settings.connection.user, settings.password.is_none()),
        (None, true)
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
