//! What other versions of the reference program write.

use super::*;

#[test]
fn every_number_means_the_word_of_the_reference_program() {
    for (path, words) in [
        (
            "AuthenticationArgs.AuthenticationType",
            &[
                (0, "Password"),
                (1, "Windows"),
                (2, "AzureADIntegrated"),
                (3, "ManagedIdentity"),
                (4, "AzureADInteractive"),
                (5, "AzureADDefault"),
            ][..],
        ),
        (
            "AuthenticationArgs.DatabasePlatform",
            &[(0, "SqlServer"), (1, "PostgreSQL"), (2, "MySQL")],
        ),
        ("BatchArgs.BatchPoolOs", &[(0, "Windows"), (1, "Linux")]),
        (
            "ConcurrencyType",
            &[
                (0, "Count"),
                (1, "Server"),
                (2, "MaxPerServer"),
                (3, "Tag"),
                (4, "MaxPerTag"),
            ],
        ),
        (
            "EventHubArgs.Logging",
            &[
                (0, "EssentialOnly"),
                (1, "VerboseMessages"),
                (2, "IndividualScriptResults"),
                (4, "ConsolidatedScriptResults"),
                (8, "ScriptErrors"),
            ],
        ),
    ] {
        let member = member(path);
        for number in 0..20 {
            let value = match member.kind {
                Kind::Words(_) => serde_json::json!([number]),
                _ => serde_json::json!(number),
            };
            let json = match member.section {
                "" => serde_json::json!({ member.name: value }),
                section => serde_json::json!({ section: { member.name: value } }),
            };
            let read = parse(&json.to_string(), "f.json").ok();
            let read = read.and_then(|document| document.get(member)?.typed());
            let expected = words.iter().find(|(known, _)| *known == number);
            assert_eq!(
                read.as_deref(),
                expected.map(|(_, word)| *word),
                "{path} {number}"
            );
        }
    }
}

#[test]
fn what_older_versions_wrote_is_accepted_and_misspellings_are_not() {
    let old = r#"{
        "BatchArgs": { "ApplicationPackage": "SqlBuildManagerLinux", "BatchPoolName": "pool" },
        "AciArgs": { "ContainerCount": 10 },
        "IdentityArgs": { "ResourceId": "/subscriptions/s" },
        "LogLevel": 2
    }"#;
    let document = parse(old, "f.json").unwrap();
    let members: Vec<String> = document
        .entries()
        .map(|(member, _)| member.path())
        .collect();
    assert_eq!(members, ["BatchArgs.BatchPoolName"]);
    for misspelt in [
        r#"{ "BatchArgs": { "ApplicationPackages": "x" } }"#,
        r#"{ "AciArgs": { "ApplicationPackage": "x" } }"#,
        r#"{ "ContainerCount": 10 }"#,
        r#"{ "loglevel": 2 }"#,
    ] {
        assert_eq!(faults(misspelt).len(), 1, "{misspelt}");
    }
    // What has another place today is told where.
    let moved = faults(r#"{ "BatchArgs": { "BatchAccountKey": "canary" } }"#);
    assert!(
        moved[0].contains("ConnectionArgs.BatchAccountKey"),
        "{moved:?}"
    );
}
