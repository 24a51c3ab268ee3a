//! Identities against the sandbox's Entra, which looks at what it is shown.

use azure_core::credentials::TokenCredential;
use sbm::azure::{Cloud, Identity, IdentitySettings, Service, identity::Kind};

use crate::support::{postgres::runtime, sandbox::Sandbox};

/// The identity that variables lead to.
fn identity(sandbox: &Sandbox, kinds: &[Kind], variables: &[(&str, String)]) -> Identity {
    let common = [
        ("AZURE_TENANT_ID", sandbox.text(&["tenant"])),
        ("AZURE_CLIENT_ID", sandbox.text(&["client"])),
        ("AZURE_AUTHORITY_HOST", sandbox.text(&["entra"])),
    ];
    // What comes first counts.
    let all: Vec<&(&str, String)> = variables.iter().chain(&common).collect();
    let variable = |name: &str| {
        let found = all.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    };
    let mut settings = IdentitySettings::from_environment(&variable).unwrap();
    settings.kinds = kinds.to_vec();
    Identity::new(&settings, &sandbox.trust()).unwrap()
}

/// A workflow of GitHub.
pub(crate) fn of_github(sandbox: &Sandbox) -> Identity {
    let variables = [
        (
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            sandbox.text(&["github_oidc", "url"]),
        ),
        (
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            sandbox.text(&["github_oidc", "token"]),
        ),
    ];
    identity(sandbox, &Kind::ALL, &variables)
}

async fn token(identity: &Identity, service: Service) -> Result<String, String> {
    let token = identity
        .get_token(&[Cloud::Public.scope(service)], None)
        .await;
    token
        .map(|token| token.token.secret().to_owned())
        .map_err(|error| error.to_string())
}

#[test]
fn every_kind_of_identity_gets_tokens_of_every_service() {
    let test = "azure::identity::every_kind_of_identity_gets_tokens_of_every_service";
    let Some(sandbox) = Sandbox::for_test(test) else {
        return;
    };
    let text = |names: &[&str]| sandbox.text(names);
    let github = [
        (
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            text(&["github_oidc", "url"]),
        ),
        (
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            text(&["github_oidc", "token"]),
        ),
    ];
    let pipelines = [
        ("SYSTEM_OIDCREQUESTURI", text(&["azure_pipelines", "url"])),
        ("SYSTEM_ACCESSTOKEN", text(&["azure_pipelines", "token"])),
        (
            "AZURE_SERVICE_CONNECTION_ID",
            "5a4dbe6b-0000-4000-8000-000000000002".to_owned(),
        ),
    ];
    let container = [
        ("IDENTITY_ENDPOINT", text(&["identity_endpoint", "url"])),
        ("IDENTITY_HEADER", text(&["identity_endpoint", "token"])),
    ];
    let machine = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", text(&["imds"]))];
    let pod = [(
        "AZURE_FEDERATED_TOKEN_FILE",
        text(&["federated_token_file"]),
    )];
    let secret = [("AZURE_CLIENT_SECRET", text(&["client_secret"]))];
    for (kind, variables) in [
        (Kind::GitHub, &github[..]),
        (Kind::Workload, &pod),
        (Kind::Pipelines, &pipelines),
        (Kind::Secret, &secret),
        (Kind::Managed, &container),
        (Kind::Managed, &machine),
    ] {
        let identity = identity(&sandbox, &[kind], variables);
        runtime().block_on(async {
            let mut tokens = Vec::new();
            for service in [
                Service::Storage,
                Service::KeyVault,
                Service::ServiceBus,
                Service::Sql,
            ] {
                let token = token(&identity, service).await;
                tokens.push(token.unwrap_or_else(|error| panic!("{kind}: {error}")));
            }
            tokens.dedup();
            assert_eq!(tokens.len(), 4);
            assert_eq!(identity.kind(), Some(kind));
        });
    }
}

#[test]
fn a_refusal_of_entra_is_told_in_its_own_words_without_what_was_shown() {
    let test =
        "azure::identity::a_refusal_of_entra_is_told_in_its_own_words_without_what_was_shown";
    let Some(sandbox) = Sandbox::for_test(test) else {
        return;
    };
    let secret = [("AZURE_CLIENT_SECRET", "canary~7f3a".to_owned())];
    let stranger = [
        secret[0].clone(),
        (
            "AZURE_CLIENT_ID",
            "00000000-0000-4000-8000-000000000009".to_owned(),
        ),
    ];
    for (variables, code) in [(&secret[..], "AADSTS7000215"), (&stranger, "AADSTS700016")] {
        let identity = identity(&sandbox, &[Kind::Secret], variables);
        let why = runtime()
            .block_on(token(&identity, Service::Storage))
            .unwrap_err();
        assert!(
            why.contains("client secret: ") && why.contains(code),
            "{why}"
        );
        assert!(!why.contains("canary"), "{why}");
    }
}
