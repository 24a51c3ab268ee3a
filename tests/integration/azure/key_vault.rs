//! Secrets in a key vault: whose they are, and when they leave a settings file.

use std::{fs, path::Path};

use sbm::{
    azure::{Cloud, KeyVault},
    secrets::{Error, SecretName, Secrets},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use uuid::Uuid;

use super::identity;
use crate::support::{
    fleet::{Fleet, Platform},
    postgres::runtime,
    program::Program,
    sandbox::Sandbox,
    skip,
};

const CANARY: &str = "canary/7f3a+Zq%";

fn vault(sandbox: &Sandbox, job: &str) -> KeyVault {
    let credential = identity::of_github(sandbox).credential();
    let address = sandbox.text(&["key_vault"]);
    let trust = sandbox.trust();
    KeyVault::new(&address, Cloud::Public, credential, &trust, Some(job)).unwrap()
}

/// A job that no other test has.
fn new_job() -> String {
    format!("job-{}", Uuid::new_v4())
}

async fn get(vault: &KeyVault, name: SecretName) -> Option<String> {
    let secret = vault.get(name).await.unwrap();
    secret.map(|secret| secret.expose_secret().to_owned())
}

#[test]
fn jobs_do_not_overwrite_each_others_secrets() {
    let test = "azure::key_vault::jobs_do_not_overwrite_each_others_secrets";
    let Some(sandbox) = Sandbox::for_test(test) else {
        return;
    };
    runtime().block_on(async {
        let mut first = vault(&sandbox, &new_job());
        let mut second = vault(&sandbox, &new_job());
        first
            .set(SecretName::UserName, &"one".into())
            .await
            .unwrap();
        second
            .set(SecretName::UserName, &"two".into())
            .await
            .unwrap();
        second
            .set(SecretName::UserName, &CANARY.into())
            .await
            .unwrap();
        assert_eq!(
            get(&first, SecretName::UserName).await.as_deref(),
            Some("one")
        );
        assert_eq!(
            get(&second, SecretName::UserName).await.as_deref(),
            Some(CANARY)
        );
        assert!(!format!("{second:?} {second}").contains("canary"));

        // The names of the reference program count where a job has none of its own. No other test writes this one.
        let address = sandbox.text(&["key_vault"]);
        let credential = identity::of_github(&sandbox).credential();
        let shared = KeyVault::new(&address, Cloud::Public, credential, &sandbox.trust(), None);
        let mut shared = shared.unwrap();
        shared
            .set(SecretName::RegistryPassword, &"all".into())
            .await
            .unwrap();
        assert_eq!(
            get(&first, SecretName::RegistryPassword).await.as_deref(),
            Some("all")
        );
        first
            .set(SecretName::RegistryPassword, &"own".into())
            .await
            .unwrap();
        assert_eq!(
            get(&first, SecretName::RegistryPassword).await.as_deref(),
            Some("own")
        );
        assert_eq!(
            get(&second, SecretName::RegistryPassword).await.as_deref(),
            Some("all")
        );
        assert_eq!(get(&first, SecretName::BatchAccountKey).await, None);
    });
}

#[test]
fn a_vault_that_refuses_says_why() {
    let test = "azure::key_vault::a_vault_that_refuses_says_why";
    let Some(sandbox) = Sandbox::for_test(test) else {
        return;
    };
    runtime().block_on(async {
        let job = new_job();
        let mut vault = vault(&sandbox, &job);
        vault.set(SecretName::UserName, &"me".into()).await.unwrap();
        forbid(&sandbox, &job);
        let error = vault.set(SecretName::Password, &CANARY.into()).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        let told = format!("{error} {error:?}");
        assert!(told.contains("key vault") && told.contains("Key Vault Secrets Officer"), "{told}");
        assert!(!told.contains("canary"), "{told}");
        // A service that is busy is asked again.
        sandbox.plan_fault(&json!({
            "service": "key_vault", "contains": format!("sbm-{job}-UserName"), "times": 2, "status": 503
        }));
        assert_eq!(get(&vault, SecretName::UserName).await.as_deref(), Some("me"));
    });
}

/// Lets the vault refuse the password of a job from now on.
fn forbid(sandbox: &Sandbox, job: &str) {
    sandbox.plan_fault(&json!({
        "service": "key_vault", "contains": format!("sbm-{job}-Password"), "status": 403
    }));
}

/// A command that has the sandbox for Azure.
fn program(sandbox: &Sandbox, words: &[&str]) -> Program {
    Program::new(words)
        .variable("SSL_CERT_FILE", sandbox.certificate())
        .variable("AZURE_AUTHORITY_HOST", sandbox.text(&["entra"]))
        .variable("AZURE_TENANT_ID", sandbox.text(&["tenant"]))
        .variable("AZURE_CLIENT_ID", sandbox.text(&["client"]))
        .variable("AZURE_CLIENT_SECRET", sandbox.text(&["client_secret"]))
}

fn save(sandbox: &Sandbox, file: &Path, job: &str, more: &[&str]) -> Program {
    program(sandbox, &["batch", "savesettings", "--silent"])
        .option("--settingsfile", file)
        .option("--keyvaultname", sandbox.text(&["key_vault"]))
        .option("--jobname", job)
        .words(more)
        .variable("SBM_SETTINGSFILEKEY", "a key of some length")
}

fn document(file: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn a_secret_leaves_the_settings_file_only_when_the_vault_has_it() {
    let test = "azure::key_vault::a_secret_leaves_the_settings_file_only_when_the_vault_has_it";
    let Some(sandbox) = Sandbox::for_test(test) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.json");
    let key = "a key of some length";
    Program::new(["batch", "savesettings", "-u", "me", "-p", CANARY])
        .option("--settingsfile", &file)
        .variable("SBM_SETTINGSFILEKEY", key)
        .run()
        .expect_code(0);
    let before = fs::read_to_string(&file).unwrap();

    let job = new_job();
    forbid(&sandbox, &job);
    let run = save(&sandbox, &file, &job, &["--concurrency", "3"])
        .run()
        .expect_code(3);
    assert!(run.stderr.contains("key vault"), "{}", run.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), before);

    let job = new_job();
    let run = save(&sandbox, &file, &job, &["--concurrency", "3"])
        .run()
        .expect_code(0);
    assert!(!(run.stdout + &run.stderr).contains("canary"));
    let saved = document(&file);
    assert_eq!(saved["Concurrency"], 3);
    for name in ["UserName", "Password"] {
        assert_eq!(saved["AuthenticationArgs"].get(name), None, "{name}");
    }
    runtime().block_on(async {
        let vault = vault(&sandbox, &job);
        assert_eq!(
            get(&vault, SecretName::UserName).await.as_deref(),
            Some("me")
        );
        assert_eq!(
            get(&vault, SecretName::Password).await.as_deref(),
            Some(CANARY)
        );
    });
}

#[test]
fn a_run_asks_the_vault_for_the_login_that_nothing_else_gives() {
    let test = "azure::key_vault::a_run_asks_the_vault_for_the_login_that_nothing_else_gives";
    let Some(sandbox) = Sandbox::for_test(test) else {
        return;
    };
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, test) else {
        return;
    };
    let Ok(password) = std::env::var("SBM_TEST_POSTGRES_PASSWORD") else {
        return skip("SBM_TEST_POSTGRES_PASSWORD", test);
    };
    fleet.sql(0, "GRANT CREATE ON SCHEMA public TO sbm_password");
    fleet.package(&[("1.sql", "CREATE TABLE t (id int);")]);
    let list = fleet.list(&fleet.lines());
    let file = fleet.folder.path().join("settings.json");
    let job = new_job();
    save(
        &sandbox,
        &file,
        &job,
        &["-u", "sbm_password", "-p", &password],
    )
    .run()
    .expect_code(0);
    let run = |job: &str| {
        let words = ["local", "run", "--platform", "PostgreSQL", "--workers", "1"];
        program(&sandbox, &words)
            .option("--packagename", fleet.folder.path().join("package"))
            .option("--override", &list)
            .option("--store", fleet.folder.path().join("store"))
            .option("--settingsfile", &file)
            .option("--jobname", job)
            .run()
    };
    // Another job has no secrets there.
    let refused = run(&new_job()).expect_code(2);
    assert!(refused.stderr.contains("--username"), "{}", refused.stderr);
    let built = run(&job).expect_code(0);
    assert!(!(built.stdout + &built.stderr).contains(&password));
    assert_eq!(fleet.rows(0, "t"), Some(0));
}
