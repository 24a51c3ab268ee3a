//! Secrets that are easily taken for something else, and where a file is saved.

use super::*;

/// A password of 52 characters, encrypted in the older form: as long as the clear key of an account.
const LONG_BARE: &str =
    "0u45VOQ+S3ocp5HdZDXA4c4hhtkrKYG09s33cjGAJeFN2ttfhjEVnFMqjtUIDgT13PQ+YYMONasju1FaK1WZUQ==";

#[test]
fn only_the_keys_of_accounts_may_look_encrypted_and_be_clear() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.json");
    for name in SecretName::ALL {
        let member = super::member::of_secret(name).unwrap();
        let json = serde_json::json!({ member.section: { member.name: LONG_BARE } });
        std::fs::write(&path, json.to_string()).unwrap();
        let read = |with: Option<&str>| {
            let file = SettingsFile::open(&path, with.and_then(key), false).unwrap();
            let secret = file.secret(name);
            secret.map(|secret| secret.unwrap().expose_secret().to_owned())
        };
        assert_eq!(read(Some(KEY)).unwrap(), "canary-".repeat(7) + "abc");
        let (none, wrong) = (read(None), read(Some("another key of some length")));
        match name {
            SecretName::StorageAccountKey | SecretName::BatchAccountKey => {
                assert_eq!(none.unwrap(), LONG_BARE);
                assert_eq!(wrong.unwrap(), LONG_BARE);
            }
            _ => {
                assert!(matches!(none, Err(Error::KeyNeeded { .. })), "{name:?}");
                assert!(matches!(wrong, Err(Error::WrongKey { .. })), "{name:?}");
            }
        }
    }
    // What is encrypted beyond doubt shows that the key is wrong.
    let json = serde_json::json!({
        "ConnectionArgs": { "StorageAccountKey": "B".repeat(85) + "Q==" },
        "ContainerRegistryArgs": { "RegistryPassword": LONG_BARE }
    });
    std::fs::write(&path, json.to_string()).unwrap();
    let file = SettingsFile::open(&path, key("another key of some length"), false).unwrap();
    assert!(file.secret(SecretName::StorageAccountKey).is_err());
}

#[test]
fn a_connection_string_is_a_secret_whatever_the_order_of_its_parts() {
    for name in [
        SecretName::ServiceBusTopicConnectionString,
        SecretName::EventHubConnectionString,
    ] {
        for string in [
            "SharedAccessKeyName=x;SharedAccessKey=canary;Endpoint=sb://x/",
            "EntityPath=e;SHAREDACCESSSIGNATURE=canary",
            "AccountKey=canary",
        ] {
            let mut file = SettingsFile::new("f.json".as_ref(), None);
            let refused = file.set_secret(name, &string.into());
            assert!(matches!(refused, Err(Error::NoKeyToSave)), "{string}");
            let mut file = SettingsFile::new("f.json".as_ref(), key(KEY));
            file.set_secret(name, &string.into()).unwrap();
            assert!(!write(file.document()).contains("canary"), "{string}");
            let read = file.secret(name).unwrap().unwrap();
            assert_eq!(read.expose_secret(), string);
        }
        for clear in [
            "namespace",
            "namespace|hub",
            "namespace.servicebus.windows.net",
        ] {
            let mut file = SettingsFile::new("f.json".as_ref(), None);
            file.set_secret(name, &clear.into()).unwrap();
            assert_eq!(file.secret(name).unwrap().unwrap().expose_secret(), clear);
        }
    }
}

#[cfg(unix)]
#[test]
fn saving_through_a_link_leaves_the_link() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    std::fs::create_dir(place("real")).unwrap();
    symlink("real/f.json", place("second")).unwrap();
    symlink(place("second"), place("first")).unwrap();
    // The first time there is no file behind the links yet.
    for _ in 0..2 {
        SettingsFile::new(&place("first"), None).save().unwrap();
        for link in ["first", "second"] {
            assert!(place(link).is_symlink(), "{link}");
        }
        let file = place("real/f.json");
        assert!(file.is_file() && !file.is_symlink());
    }
    symlink("round", place("round")).unwrap();
    assert!(SettingsFile::new(&place("round"), None).save().is_err());
}
