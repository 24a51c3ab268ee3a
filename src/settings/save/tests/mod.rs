//! What is saved, what is refused, and what becomes of an existing file.

mod existing;
mod values;

use std::{collections::BTreeSet, path::PathBuf};

use clap::{Args, Command, FromArgMatches};
use secrecy::ExposeSecret;

use super::{backend::keeps, *};
use crate::{
    secrets::SecretName,
    settings::file::{key::SettingsKey, member::MEMBERS},
};

const KEY: &str = "a key of some length";

/// A file that may or may not exist.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("settings.json")
    }

    fn typed<B: Backend>(&self, words: &[&str]) -> SaveArguments<B> {
        let path = self.path();
        parse(&[&["--settingsfile", path.to_str().unwrap()], words].concat())
    }

    /// Saves, with the key in the variable, and gives the JSON.
    fn save<B: Backend>(&self, words: &[&str]) -> Result<serde_json::Value, String> {
        self.save_with::<B>(words, &[("SBM_SETTINGSFILEKEY", KEY)])
    }

    fn save_with<B: Backend>(
        &self,
        words: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<serde_json::Value, String> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let saved =
            save(&self.typed::<B>(words), &environment).map_err(|faults| faults.to_string())?;
        saved.file.save().unwrap();
        let text = std::fs::read_to_string(self.path()).unwrap();
        Ok(serde_json::from_str(&text).unwrap())
    }

    fn secret(&self, name: SecretName) -> Option<String> {
        let key = SettingsKey::find(Some(&KEY.into()), &|_| None).unwrap();
        let file = SettingsFile::open(&self.path(), key, false).unwrap();
        let secret = file.secret(name).unwrap();
        secret.map(|secret| secret.expose_secret().to_owned())
    }
}

fn parse<B: Backend>(words: &[&str]) -> SaveArguments<B> {
    let command = SaveArguments::<B>::augment_args(Command::new("sbm").no_binary_name(true));
    let matches = command.try_get_matches_from(words).unwrap();
    SaveArguments::from_arg_matches(&matches).unwrap()
}

#[test]
fn defaults_are_written_and_other_backends_are_left_out() {
    let json = Place::new()
        .save::<ContainerApp>(&["-g", "rg", "--subscriptionid", "s"])
        .unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "AuthenticationArgs": {
                "AuthenticationType": "Password",
                "DatabasePlatform": "SqlServer",
                "TrustServerCertificate": false
            },
            "ContainerAppArgs": { "SubscriptionId": "s", "ResourceGroup": "rg", "MaxContainerCount": 10 },
            "EventHubArgs": { "ResourceGroup": "", "SubscriptionId": "s", "Logging": ["EssentialOnly"] },
            "IdentityArgs": { "SubscriptionId": "s" },
            "Concurrency": 10,
            "ConcurrencyType": "Count",
            "TimeoutRetryCount": 0,
            "DefaultScriptTimeout": 500
        })
    );
}

/// The options that saved a file whose members cover all that the backend keeps.
fn every_option<B: Backend>() {
    let mut words = Vec::new();
    for option in B::options() {
        let value = match option {
            "authtype" => "AzureADDefault",
            "platform" => "MySQL",
            "concurrencytype" => "Tag",
            "batchpoolos" => "Windows",
            "eventhublogging" => "ScriptErrors",
            "trustservercertificate" | "deletebatchpool" => "true",
            "deletebatchjob" | "pollbatchpoolstatus" => "false",
            // A file with one has no secrets.
            "keyvaultname" => "",
            _ => "7",
        };
        words.extend([format!("--{option}"), value.to_owned()]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let json = Place::new().save::<B>(&words).unwrap();
    let without = Place::new().save::<B>(&words[..0]);
    for (section, members) in json.as_object().unwrap() {
        let members = match members.as_object() {
            Some(members) => members.clone(),
            None => [(section.clone(), members.clone())].into_iter().collect(),
        };
        for (name, value) in members {
            let before = without
                .as_ref()
                .ok()
                .and_then(|json| json.get(section)?.get(&name));
            assert_ne!(
                before,
                Some(&value),
                "{}: {section}.{name} was not set",
                B::NAME
            );
        }
    }
    let kept = MEMBERS.iter().filter(|member| keeps::<B>(member));
    let expected: BTreeSet<_> = kept
        .map(|member| member.path())
        // Set by no option, by that of another backend, or left out above.
        .filter(|path| {
            let of_k8s = path.ends_with("ServiceAccountName") && B::NAME != "k8s";
            let old = path == "ConnectionArgs.EventHubResourceGroup";
            !of_k8s && !old && !path.ends_with("KeyVaultName")
        })
        .collect();
    let saved: BTreeSet<_> = MEMBERS
        .iter()
        .filter(|member| match member.section {
            "" => json.get(member.name).is_some(),
            section => json
                .get(section)
                .is_some_and(|json| json.get(member.name).is_some()),
        })
        .map(|member| member.path())
        .collect();
    assert_eq!(saved, expected, "{}", B::NAME);
}

#[test]
fn every_option_of_every_backend_is_saved() {
    every_option::<ContainerApp>();
    every_option::<Kubernetes>();
    every_option::<Aci>();
    every_option::<Batch>();
}

#[test]
fn secrets_are_never_saved_without_a_key() {
    let place = Place::new();
    for words in [
        &["-u", "canary"][..],
        &["-p", "canary"],
        &["--storageaccountkey", "canary"],
        &["-k", "canary"],
        &["--registrypassword", "canary"],
        &["--servicebustopicconnection", "Endpoint=sb://canary"],
        &["--eventhubconnection", " endpoint=sb://canary"],
        &["-p", "canary", "--cleartext"],
    ] {
        let refused = place.save_with::<Batch>(words, &[]).unwrap_err();
        assert!(refused.contains("--settingsfilekey"), "{refused}");
        assert!(refused.contains("SBM_SETTINGSFILEKEY"), "{refused}");
        assert!(!refused.contains("canary"), "{refused}");
        assert!(!place.path().exists());
    }
    // Even a key does not make clear text of them.
    assert!(
        place
            .save::<Batch>(&["-p", "canary", "--cleartext"])
            .is_err()
    );
    let names = ["--sb", "namespace", "--eh", "namespace|hub", "--cleartext"];
    let json = place.save_with::<Batch>(&names, &[]).unwrap();
    assert_eq!(
        json["ConnectionArgs"]["EventHubConnectionString"],
        "namespace|hub"
    );
}

#[test]
fn a_short_key_saves_nothing_wherever_it_comes_from() {
    let place = Place::new();
    let file = place.folder.path().join("a key file with a long name");
    std::fs::write(&file, "short").unwrap();
    for (words, variable) in [
        (&["--settingsfilekey", "too short", "-p", "x"][..], ""),
        (
            &["--settingsfilekey", file.to_str().unwrap(), "-p", "x"],
            "",
        ),
        (&["-p", "x"], "too short"),
    ] {
        let refused = place.save_with::<Batch>(words, &[("SBM_SETTINGSFILEKEY", variable)]);
        assert!(refused.unwrap_err().contains("16 characters"), "{words:?}");
    }
}

#[test]
fn an_existing_file_is_changed_only_when_asked_and_keeps_the_rest() {
    let place = Place::new();
    place
        .save::<Batch>(&[
            "-u",
            "me",
            "-p",
            "canary",
            "--poolname",
            "a",
            "--concurrency",
            "3",
        ])
        .unwrap();
    let refused = place.save::<Batch>(&["--poolname", "b"]).unwrap_err();
    assert!(
        refused.contains("--silent") && refused.contains("--force"),
        "{refused}"
    );
    let before = std::fs::read_to_string(place.path()).unwrap();

    // Another key would leave a file that no key opens.
    for variables in [
        &[("SBM_SETTINGSFILEKEY", "another key of some length")][..],
        &[],
    ] {
        let refused = place.save_with::<Batch>(&["--poolname", "b", "--force"], variables);
        assert!(refused.unwrap_err().contains("SBM_SETTINGSFILEKEY"));
        assert_eq!(std::fs::read_to_string(place.path()).unwrap(), before);
    }
    let json = place
        .save::<Batch>(&["--poolname", "b", "-u", "you", "--silent"])
        .unwrap();
    assert_eq!(json["BatchArgs"]["BatchPoolName"], "b");
    assert_eq!(json["Concurrency"], 3);
    assert_eq!(place.secret(SecretName::UserName).as_deref(), Some("you"));
    assert_eq!(
        place.secret(SecretName::Password).as_deref(),
        Some("canary")
    );
    // What has a blank value is left out.
    place.save::<Batch>(&["-p", "", "--silent"]).unwrap();
    assert_eq!(place.secret(SecretName::Password), None);
}

#[test]
fn clear_secrets_of_an_existing_file_are_encrypted_or_refused() {
    let place = Place::new();
    std::fs::write(
        place.path(),
        r#"{ "AuthenticationArgs": { "Password": "canary" } }"#,
    )
    .unwrap();
    assert!(place.save_with::<Batch>(&["--force"], &[]).is_err());
    let json = place.save::<Batch>(&["--force"]).unwrap();
    assert!(!json.to_string().contains("canary"));
    assert_eq!(
        place.secret(SecretName::Password).as_deref(),
        Some("canary")
    );
}

#[test]
fn a_login_by_identity_keeps_no_user_and_no_password() {
    let place = Place::new();
    let words = [
        "-u",
        "me",
        "-p",
        "canary",
        "--authtype",
        "managedidentity",
        "--clientid",
        "c",
    ];
    let json = place.save::<Kubernetes>(&words).unwrap();
    assert_eq!(json["AuthenticationArgs"].get("UserName"), None);
    assert_eq!(json["AuthenticationArgs"].get("Password"), None);
    assert_eq!(json.get("IdentityArgs"), None);
    for kind in ["Windows", "AzureADIntegrated", "AzureADInteractive"] {
        let refused = Place::new()
            .save::<Batch>(&["--authtype", kind])
            .unwrap_err();
        assert!(refused.contains("use Password"), "{refused}");
    }
}

#[test]
fn all_that_cannot_be_saved_is_told_at_once() {
    let words = [
        "--platform",
        "Oracle",
        "--concurrency",
        "0",
        "--trustcert",
        "maybe",
        "--eventhublogging",
        "Everything",
        "--keyvaultname",
        "v",
        "--password",
        "canary",
    ];
    let refused = Place::new().save::<Aci>(&words).unwrap_err();
    for part in [
        "--platform `Oracle`: accepted are SqlServer, PostgreSQL, MySQL",
        "--concurrency `0`: accepted is a whole number from 1",
        "--trustservercertificate `maybe`",
        "--eventhublogging `Everything`",
        "--aciname: needed for aci",
        "--aciresourcegroup: needed for aci",
        "--keyvaultname `v`: accepted are the name of a key vault",
    ] {
        assert!(refused.contains(part), "{part} is missing in {refused}");
    }
    assert!(!refused.contains("canary"), "{refused}");
    let nothing = save(&parse::<Batch>(&[]), &|_| None).unwrap_err();
    assert!(nothing.to_string().contains("--settingsfile: needed"));
}

#[test]
fn variables_are_saved_where_no_option_is_typed() {
    let place = Place::new();
    let variables = [
        ("SBM_SETTINGSFILEKEY", KEY),
        ("SBM_PASSWORD", "canary"),
        ("SBM_PODCOUNT", "5"),
    ];
    let json = place.save_with::<Batch>(&["-u", "me"], &variables).unwrap();
    assert_eq!(
        place.secret(SecretName::Password).as_deref(),
        Some("canary")
    );
    assert_eq!(json.get("KubernetesArgs"), None);
    let typed = place.typed::<Batch>(&["-p", "canary"]);
    assert!(!format!("{typed:?}").contains("canary"));
}

#[test]
fn secrets_leave_the_file_for_the_vault() {
    let place = Place::new();
    let environment = |name: &str| (name == "SBM_SETTINGSFILEKEY").then(|| KEY.to_owned());
    place
        .save::<ContainerApp>(&["-u", "me", "-p", "canary-1", "--clientid", "c"])
        .unwrap();
    let connection = "Endpoint=sb://x/;SharedAccessKeyName=n;SharedAccessKey=canary-2";
    let typed = place.typed::<ContainerApp>(&[
        "--silent",
        "--keyvaultname",
        "fleet-vault",
        "--jobname",
        "update",
        "--servicebustopicconnection",
        connection,
        "--eventhubconnection",
        "namespace|hub",
        "--storageaccountkey",
        "canary-3",
    ]);
    let saved = save(&typed, &environment).unwrap();
    assert!(!format!("{saved:?}").contains("canary"));
    let to_vault = saved.to_vault.unwrap();
    assert_eq!(to_vault.vault.name, "fleet-vault");
    assert_eq!(to_vault.vault.client.as_deref(), Some("c"));
    assert_eq!(to_vault.job.as_deref(), Some("update"));
    let secrets = to_vault.secrets.iter();
    let secrets: Vec<_> = secrets
        .map(|(name, secret)| (*name, secret.expose_secret()))
        .collect();
    // What the file had already goes, too.
    for expected in [
        (SecretName::UserName, "me"),
        (SecretName::Password, "canary-1"),
        (SecretName::ServiceBusTopicConnectionString, connection),
        (SecretName::StorageAccountKey, "canary-3"),
    ] {
        assert!(secrets.contains(&expected), "{:?}", expected.0);
    }
    assert_eq!(secrets.len(), 4);
    // As long as nobody has saved the file, nothing of it has changed.
    let password = || place.secret(SecretName::Password);
    assert_eq!(password().as_deref(), Some("canary-1"));
    saved.file.save().unwrap();
    assert_eq!(password(), None);
    assert_eq!(place.secret(SecretName::StorageAccountKey), None);
    let kept = place.secret(SecretName::ServiceBusTopicConnectionString);
    assert_eq!(kept.as_deref(), Some(connection));
    let text = std::fs::read_to_string(place.path()).unwrap();
    assert!(!text.contains("canary") && text.contains("namespace|hub"));
    // Nothing is left to be moved but what is there for the scaling rule.
    let again = save(&place.typed::<Batch>(&["--silent"]), &environment).unwrap();
    assert_eq!(again.to_vault.unwrap().secrets.len(), 1);
}

#[test]
fn a_job_has_names_of_its_own_only_in_a_vault() {
    let refused = Place::new().save::<Batch>(&["--jobname", "update"]);
    let refused = refused.unwrap_err();
    assert!(
        refused.contains("--jobname `update`: used only with --keyvaultname"),
        "{refused}"
    );
}
