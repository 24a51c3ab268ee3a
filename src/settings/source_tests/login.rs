//! Which way of logging in counts when several sources speak of it.

use secrecy::ExposeSecret;

use super::*;
use crate::protocol::SslMode;

/// A settings file as somebody may have written it.
fn written(place: &Place, json: serde_json::Value) -> String {
    let path = place.path("written.json");
    std::fs::write(&path, json.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
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
    assert_eq!(settings.connection.ssl_mode, SslMode::VerifyFull);
}

#[test]
fn an_authority_that_was_typed_wins_over_the_trust_of_a_file_and_of_a_variable() {
    let place = Place::new();
    let authority = place.path("ca.pem");
    std::fs::write(&authority, "").unwrap();
    let authority = authority.to_str().unwrap();
    let login = serde_json::json!({ "UserName": "x", "TrustServerCertificate": true });
    let file = written(&place, serde_json::json!({ "AuthenticationArgs": login }));
    let in_file = ["--settingsfile", &file, "--sslrootcert", authority];
    let in_variable = ["-u", "x", "--sslrootcert", authority];
    let variables = [("SBM_TRUSTSERVERCERTIFICATE", "true")];
    for (words, variables) in [(in_file, &[][..]), (in_variable, &variables)] {
        let connection = place.run(&words, variables).unwrap().connection;
        assert_eq!(connection.ssl_mode, SslMode::Auto);
        assert_eq!(connection.ssl_root_cert.as_deref(), Some(authority));
    }
    // Without the authority the same sources mean trust.
    let trusting = place.run(&["--settingsfile", &file], &[]).unwrap();
    assert_eq!(trusting.connection.ssl_mode, SslMode::Require);

    // Whoever types both contradicts himself.
    for mode in ["auto", "prefer", "require"] {
        let typed = ["--trustservercertificate", "--sslmode", mode];
        let told = place.run(&[&in_variable[..], &typed].concat(), &[]);
        let told = told.unwrap_err();
        assert!(
            told.contains("--sslrootcert") && told.contains("--trustservercertificate"),
            "{told}"
        );
    }
}

#[test]
fn a_login_type_that_builds_refuse_is_shown() {
    let place = Place::new();
    for kind in ["AzureADIntegrated", "AzureADInteractive", "Windows"] {
        let login = serde_json::json!({ "AuthenticationType": kind });
        let file = written(&place, serde_json::json!({ "AuthenticationArgs": login }));
        for (words, variables, source) in [
            (&["--settingsfile", &file][..], &[][..], "file"),
            (&["--authtype", kind], &[], "argument"),
            (&[], &[("SBM_AUTHTYPE", kind)], "variable"),
        ] {
            let settings = shown(words, variables).unwrap();
            assert_eq!(one(&settings, "authtype"), format!("{kind} {source}"));
            assert!(place.run(words, variables).unwrap_err().contains(kind));
        }
    }
    assert!(shown(&["--authtype", "Kerberos"], &[]).is_err());
}

#[test]
fn the_identity_of_a_file_is_that_of_an_access_token() {
    let place = Place::new();
    let token = ("SBM_ACCESS_TOKEN", "canary");
    for kind in ["ManagedIdentity", "AzureADDefault"] {
        let login = serde_json::json!({ "AuthenticationType": kind });
        let file = written(&place, serde_json::json!({ "AuthenticationArgs": login }));
        let in_file = ["--settingsfile", file.as_str()];
        for (words, variables) in [
            (&in_file[..], &[token][..]),
            (&[], &[token, ("SBM_AUTHTYPE", kind)]),
        ] {
            let settings = place.run(words, variables).unwrap();
            assert_eq!(settings.password.unwrap().expose_secret(), "canary");
        }
        // Without a token, elsewhere than on SQL Server, and for whoever types a type, the identity gets tokens itself.
        let by_itself = [
            place.run(&in_file, &[]),
            place.run(
                &[&in_file[..], &["--platform", "PostgreSQL", "-u", "x"]].concat(),
                &[token],
            ),
            place.run(&["--authtype", kind], &[token]),
        ];
        for settings in by_itself {
            let settings = settings.unwrap();
            assert!(settings.connection.identity.is_some() && settings.password.is_none());
        }
    }
}

#[test]
fn connection_strings_are_masked_whatever_the_order_of_their_parts() {
    let string = "SharedAccessKeyName=x;SharedAccessKey=canary;Endpoint=sb://y/";
    let place = Place::new();
    let connections = serde_json::json!({
        "ServiceBusTopicConnectionString": string, "EventHubConnectionString": "namespace|hub"
    });
    let file = written(&place, serde_json::json!({ "ConnectionArgs": connections }));
    for (words, source) in [
        (&["--settingsfile", &file][..], "file"),
        (&["--sb", string, "--eh", "namespace|hub"], "argument"),
    ] {
        let settings = shown(words, &[]).unwrap();
        assert_eq!(
            one(&settings, "servicebustopicconnection"),
            format!("*** {source}")
        );
        assert_eq!(
            one(&settings, "eventhubconnection"),
            format!("namespace|hub {source}")
        );
        assert!(!format!("{settings:?}").contains("canary"));
    }
}
