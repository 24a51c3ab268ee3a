//! What becomes of the content of a file that is saved again.

use super::*;

const OLD_KEY: &str = "TestPassword123!";
/// A password of 52 characters in the older form, with that key.
const LONG_BARE: &str =
    "0u45VOQ+S3ocp5HdZDXA4c4hhtkrKYG09s33cjGAJeFN2ttfhjEVnFMqjtUIDgT13PQ+YYMONasju1FaK1WZUQ==";

#[test]
fn a_secret_that_another_key_encrypted_is_not_saved_over() {
    let place = Place::new();
    let registry = serde_json::json!({ "RegistryPassword": LONG_BARE });
    let json = serde_json::json!({ "ContainerRegistryArgs": registry });
    std::fs::write(place.path(), json.to_string()).unwrap();
    for variables in [&[("SBM_SETTINGSFILEKEY", KEY)][..], &[]] {
        let refused = place.save_with::<Batch>(&["--force"], variables);
        assert!(refused.unwrap_err().contains("SBM_SETTINGSFILEKEY"));
        let now = std::fs::read_to_string(place.path()).unwrap();
        assert_eq!(now, json.to_string());
    }
    let variables = [("SBM_SETTINGSFILEKEY", OLD_KEY)];
    let json = place.save_with::<Batch>(&["--force"], &variables).unwrap();
    // It has the form of today now.
    assert_ne!(json["ContainerRegistryArgs"]["RegistryPassword"], LONG_BARE);
}

#[test]
fn what_belongs_to_another_backend_stays() {
    let place = Place::new();
    let words = [
        "-k",
        "canary",
        "--poolname",
        "pool",
        "--subscriptionid",
        "s",
    ];
    place.save::<Batch>(&words).unwrap();
    let json = place
        .save::<ContainerApp>(&["--force", "--environmentname", "e"])
        .unwrap();
    assert_eq!(json["BatchArgs"]["BatchPoolName"], "pool");
    assert_eq!(json["ContainerAppArgs"]["EnvironmentName"], "e");
    let json = place
        .save::<Kubernetes>(&["--force", "--subscriptionid", "other", "--clientid", "c"])
        .unwrap();
    assert_eq!(json["BatchArgs"]["BatchPoolName"], "pool");
    assert_eq!(json["ContainerAppArgs"]["EnvironmentName"], "e");
    // What Kubernetes has no use for is neither saved nor removed.
    assert_eq!(json["IdentityArgs"]["SubscriptionId"], "s");
    assert_eq!(json["IdentityArgs"].get("ClientId"), None);
    let key = place.secret(SecretName::BatchAccountKey);
    assert_eq!(key.as_deref(), Some("canary"));
    // It is a secret of the file like any other.
    let other = [("SBM_SETTINGSFILEKEY", "another key of some length")];
    assert!(place.save_with::<Kubernetes>(&["--force"], &other).is_err());
}

#[test]
fn a_variable_replaces_nothing_that_a_file_says() {
    let place = Place::new();
    place
        .save::<Batch>(&["-p", "stored", "--concurrency", "3", "--poolname", "a"])
        .unwrap();
    let variables = [
        ("SBM_SETTINGSFILEKEY", KEY),
        ("SBM_PASSWORD", "of another command"),
        ("SBM_USERNAME", "new"),
        ("SBM_CONCURRENCY", "9"),
    ];
    let json = place
        .save_with::<Batch>(&["--silent", "--poolname", "b"], &variables)
        .unwrap();
    let secret = |name| place.secret(name);
    assert_eq!(secret(SecretName::Password).as_deref(), Some("stored"));
    assert_eq!(json["Concurrency"], 3);
    assert_eq!(json["BatchArgs"]["BatchPoolName"], "b");
    // What the file does not say yet comes from the variable.
    assert_eq!(secret(SecretName::UserName).as_deref(), Some("new"));
    place
        .save_with::<Batch>(&["--silent", "-p", "typed"], &variables)
        .unwrap();
    assert_eq!(secret(SecretName::Password).as_deref(), Some("typed"));
}

#[test]
fn a_login_of_the_file_goes_when_an_identity_comes() {
    let place = Place::new();
    place
        .save::<Batch>(&["-u", "me", "-p", "canary", "-k", "kept"])
        .unwrap();
    place
        .save::<Batch>(&["--silent", "--authtype", "ManagedIdentity"])
        .unwrap();
    assert_eq!(place.secret(SecretName::UserName), None);
    assert_eq!(place.secret(SecretName::Password), None);
    let key = place.secret(SecretName::BatchAccountKey);
    assert_eq!(key.as_deref(), Some("kept"));
}
