//! What `settings show` shows, and what it does not.

use super::*;

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
