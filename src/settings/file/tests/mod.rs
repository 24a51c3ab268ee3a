//! Files as the reference program writes them, what is wrong in a file, and secrets with and without their key.

mod old;
mod secrets;

use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};

use super::{
    document::{Document, Value},
    key::SettingsKey,
    member::{Kind, MEMBERS, Member, words},
    parse::parse,
    write::write,
    *,
};
use crate::secrets::{Error, SecretName, Secrets};

const KEY: &str = "TestPassword123!";
const SEALED: &str = "ARAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vnmPfedFbsaHoqyxOcp0vkWwts322aOa7Ygb1IEsIca7nY4FZ7BybzA/revYG+2O6Itndd12zhAXeU/O2XgsC3g==";
const BARE: &str = "kWjkYZD2mej9lJ6YltINXQMS09IP2575k2b2NtK6P60=";

fn member(path: &str) -> &'static Member {
    MEMBERS.iter().find(|member| member.path() == path).unwrap()
}

fn key(text: &str) -> Option<SettingsKey> {
    SettingsKey::find(Some(&SecretString::from(text)), &|_| None).unwrap()
}

fn faults(text: &str) -> Vec<String> {
    let faults = parse(text, "f.json").unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

/// A file with this user name, opened with this key.
fn file_with(user: &str, with: Option<&str>) -> SettingsFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.json");
    let json = serde_json::json!({ "AuthenticationArgs": { "UserName": user } });
    std::fs::write(&path, json.to_string()).unwrap();
    SettingsFile::open(&path, with.and_then(key), false).unwrap()
}

fn user(file: &SettingsFile) -> Result<Option<String>, Error> {
    let secret = file.secret(SecretName::UserName)?;
    Ok(secret.map(|secret| secret.expose_secret().to_owned()))
}

#[test]
fn a_file_of_every_backend_is_read_and_written_as_it_was() {
    for (name, text) in [
        (
            "batch",
            include_str!("../../../../tests/fixtures/settings/batch.json"),
        ),
        (
            "k8s",
            include_str!("../../../../tests/fixtures/settings/k8s.json"),
        ),
        (
            "aci",
            include_str!("../../../../tests/fixtures/settings/aci.json"),
        ),
        (
            "containerapp",
            include_str!("../../../../tests/fixtures/settings/containerapp.json"),
        ),
    ] {
        let document = parse(text, "f.json").unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
        let members = document.entries().count();
        assert!(members >= 20, "{name} has {members} members");
        assert_eq!(write(&document), text, "{name}");
    }
}

#[test]
fn names_in_any_case_numbers_nothing_and_old_flags_are_understood() {
    let text = r#"{
        "AuthenticationArgs": { "AuthenticationType": "managedidentity", "DatabasePlatform": 1, "UserName": null },
        "EventHubArgs": { "Logging": [ "SCRIPTERRORS" ] },
        "EventHubLogging": [ 1, "ScriptErrors" ],
        "BatchArgs": {},
        "Concurrency": 0, "RootLoggingPath": " "
    }"#;
    let document = parse(&format!("\u{feff}{text}"), "f.json").unwrap();
    let typed = |path: &str| document.get(member(path)).and_then(Value::typed);
    for (path, expected) in [
        (
            "AuthenticationArgs.AuthenticationType",
            Some("ManagedIdentity"),
        ),
        ("AuthenticationArgs.DatabasePlatform", Some("PostgreSQL")),
        ("AuthenticationArgs.UserName", None),
        ("EventHubArgs.Logging", Some("VerboseMessages,ScriptErrors")),
        // Nothing can be reset by a file.
        ("Concurrency", None),
        ("RootLoggingPath", None),
    ] {
        assert_eq!(typed(path).as_deref(), expected, "{path}");
    }
}

#[test]
fn everything_that_nobody_knows_is_told_with_what_was_meant() {
    let text = r#"{
        "Concurency": 5,
        "concurrencyType": "Count",
        "AuthenticationArg": {},
        "AuthenticationArgs": { "username": "x", "Pasword": "canary", "StorageAccountName": "x", "Zebra": 1 },
        "JobName": "x"
    }"#;
    let all = faults(text);
    assert_eq!(all.len(), 8, "{all:#?}");
    for part in [
        "Concurency in f.json: no such setting; did you mean Concurrency?",
        "concurrencyType in f.json: no such setting; did you mean ConcurrencyType?",
        "AuthenticationArg in f.json: no such setting; did you mean AuthenticationArgs?",
        "AuthenticationArgs.username in f.json: no such setting; did you mean UserName?",
        "AuthenticationArgs.Pasword in f.json: no such setting; did you mean Password?",
        "did you mean ConnectionArgs.StorageAccountName?",
        "AuthenticationArgs.Zebra in f.json: no such setting; the page",
        "JobName in f.json: no such setting",
    ] {
        assert!(
            all.iter().any(|fault| fault.contains(part)),
            "{part} is missing in {all:#?}"
        );
    }
    assert!(!all.join(" ").contains("canary"));
}

#[test]
fn values_of_the_wrong_kind_are_told_and_secrets_are_not_shown() {
    let text = r#"{
        "Concurrency": "5", "ConcurrencyType": "Every", "TimeoutRetryCount": 2.5, "DefaultScriptTimeout": 99999999999,
        "AuthenticationArgs": { "Password": 4711, "TrustServerCertificate": "true" },
        "EventHubArgs": { "Logging": [ "Everything" ] },
        "BatchArgs": null, "NetworkArgs": [], "RootLoggingPath": 7
    }"#;
    let all = faults(text);
    assert_eq!(all.len(), 10, "{all:#?}");
    let told = all.join("\n");
    for part in [
        "Concurrency in f.json `5`: accepted is a whole number",
        "ConcurrencyType in f.json `Every`: accepted are Count, Server, MaxPerServer, Tag, MaxPerTag",
        "TrustServerCertificate in f.json `true`: accepted are true and false",
        "BatchArgs in f.json: accepted is an object",
        "AuthenticationArgs.Password in f.json: accepted is a text",
    ] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    assert!(!told.contains("4711"), "{told}");
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    for text in [
        "",
        "[]",
        "{",
        "{\"Concurrency\": 1,}",
        "{} x",
        "// c\n{}",
        "\"x\"",
    ] {
        assert_eq!(faults(text).len(), 1, "{text}");
    }
    assert!(faults("{\n  \"Concurrency\": ,\n}")[0].contains("line 2"));
}

#[test]
fn secrets_of_both_forms_and_clear_ones_are_read() {
    for (value, expected) in [
        (SEALED, "Sample secret é"),
        (BARE, "Legacy secret value"),
        ("in the clear", "in the clear"),
    ] {
        let read = user(&file_with(value, Some(KEY))).unwrap();
        assert_eq!(read.as_deref(), Some(expected), "{value}");
    }
    assert_eq!(
        user(&file_with("in the clear", None)).unwrap().as_deref(),
        Some("in the clear")
    );
    assert_eq!(user(&file_with(" ", Some(KEY))).unwrap(), None);
}

#[test]
fn a_wrong_key_is_an_error_and_so_is_none() {
    for value in [SEALED, BARE] {
        let wrong = user(&file_with(value, Some("another key of some length"))).unwrap_err();
        assert!(matches!(wrong, Error::WrongKey { .. }), "{wrong}");
        assert!(wrong.to_string().contains("--settingsfilekey"), "{wrong}");
        let none = user(&file_with(value, None)).unwrap_err();
        assert!(matches!(none, Error::KeyNeeded { .. }), "{none}");
        assert!(none.to_string().contains("SBM_SETTINGSFILEKEY"), "{none}");
    }
}

#[test]
fn the_clear_key_of_an_account_is_not_taken_for_an_encrypted_one() {
    let account_key = "B".repeat(85) + "Q==";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.json");
    let write = |user: &str| {
        let json = serde_json::json!({
            "AuthenticationArgs": { "UserName": user },
            "ConnectionArgs": { "StorageAccountKey": account_key }
        });
        std::fs::write(&path, json.to_string()).unwrap();
    };
    let read = |with: Option<&str>| {
        let file = SettingsFile::open(&path, with.and_then(key), false).unwrap();
        let read = file.secret(SecretName::StorageAccountKey);
        read.map(|secret| secret.unwrap().expose_secret().to_owned())
    };
    write("clear");
    assert_eq!(read(None).unwrap(), account_key);
    assert_eq!(read(Some(KEY)).unwrap(), account_key);
    // The key opens what is encrypted beyond doubt, so it is the right one.
    write(SEALED);
    assert_eq!(read(Some(KEY)).unwrap(), account_key);
    assert!(read(Some("another key of some length")).is_err());
}

#[tokio::test]
async fn a_file_is_a_place_that_keeps_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.json");
    let mut file = SettingsFile::new(&path, key(KEY));
    let connection = "Endpoint=sb://x/;SharedAccessKey=canary";
    for (name, value) in [
        (SecretName::Password, "canary"),
        (SecretName::EventHubConnectionString, connection),
        (SecretName::ServiceBusTopicConnectionString, "namespace"),
    ] {
        file.set(name, &value.into()).await.unwrap();
    }
    file.save().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        !text.contains("canary") && text.contains("\"namespace\""),
        "{text}"
    );

    let file = SettingsFile::open(&path, key(KEY), false).unwrap();
    for (name, expected) in [
        (SecretName::Password, Some("canary")),
        (SecretName::EventHubConnectionString, Some(connection)),
        (
            SecretName::ServiceBusTopicConnectionString,
            Some("namespace"),
        ),
        (SecretName::UserName, None),
    ] {
        let secret = file.get(name).await.unwrap();
        assert_eq!(
            secret.as_ref().map(|secret| secret.expose_secret()),
            expected
        );
    }
    assert!(!format!("{file:?}").contains("canary"));
    let mut without_key = SettingsFile::new(&path, None);
    let refused = without_key
        .set(SecretName::Password, &"canary".into())
        .await;
    assert!(matches!(refused, Err(Error::NoKeyToSave)));
}

#[cfg(unix)]
#[test]
fn a_saved_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.json");
    for _ in 0..2 {
        SettingsFile::new(&path, None).save().unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let missing = folder.path().join("none").join("f.json");
    assert!(SettingsFile::new(&missing, None).save().is_err());
}

fn any_value(kind: Kind) -> BoxedStrategy<Value> {
    match kind {
        Kind::Text => any::<String>().prop_map(Value::Text).boxed(),
        Kind::Secret(_) | Kind::Connection(_) => any::<String>()
            .prop_map(|text| Value::Secret(text.into()))
            .boxed(),
        Kind::Number { .. } => any::<i32>().prop_map(Value::Number).boxed(),
        Kind::Flag { .. } => any::<bool>().prop_map(Value::Flag).boxed(),
        Kind::Word(choices) => proptest::sample::select(words(choices))
            .prop_map(Value::Word)
            .boxed(),
        Kind::Words(choices) => proptest::sample::subsequence(words(choices), 0..=choices.len())
            .prop_map(Value::Words)
            .boxed(),
    }
}

fn any_document() -> impl Strategy<Value = Document> {
    let values: Vec<_> = MEMBERS
        .iter()
        .map(|member| proptest::option::of(any_value(member.kind)))
        .collect();
    values.prop_map(|values| {
        let mut document = Document::default();
        for (member, value) in MEMBERS.iter().zip(values) {
            if let Some(value) = value {
                document.set(member, value);
            }
        }
        document
    })
}

proptest! {
    #[test]
    fn every_document_comes_back_as_it_was(document in any_document()) {
        let text = write(&document);
        let read = parse(&text, "f.json").unwrap();
        prop_assert_eq!(write(&read), text);
        prop_assert_eq!(read.entries().count(), document.entries().count());
    }

    #[test]
    fn no_text_makes_the_reader_fail(text in "[{}\\[\\]\":,A-Za-z0-9 ]{0,80}") {
        parse(&text, "f.json").ok();
    }
}
