//! Identities against small servers, and an Entra ID that answers by way of an injected transport.

use std::{
    collections::HashMap,
    fs,
    sync::{Arc, Mutex},
};

use azure_core::{
    Bytes,
    credentials::TokenCredential,
    http::{AsyncRawResponse, HttpClient, Request, Transport, headers::Headers},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{Identity, IdentitySettings, Kind, settings};
use crate::azure::Trust;

const SCOPE: &str = "https://storage.azure.com/.default";

/// A server that gives its answers one after the other, the last one again and again.
struct Server {
    address: String,
    /// What it was asked: first line and headers.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(answers: &[(u16, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut answers: Vec<String> = answers.iter().rev().map(answer).collect();
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                        break;
                    }
                    request.push(byte[0]);
                }
                seen.lock()
                    .unwrap()
                    .push(String::from_utf8(request).unwrap());
                let answer = match answers.len() {
                    1 => answers[0].clone(),
                    _ => answers.pop().unwrap(),
                };
                stream.write_all(answer.as_bytes()).await.ok();
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer((status, body): &(u16, &str)) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

/// An Entra ID that gives tokens `token-1`, `token-2` … and remembers what it was sent.
#[derive(Debug, Default)]
struct Entra {
    lifetime: u32,
    refuses: Option<&'static str>,
    sent: Mutex<Vec<(String, HashMap<String, String>)>>,
}

impl Entra {
    fn new(lifetime: u32) -> Arc<Self> {
        Arc::new(Self {
            lifetime,
            ..Self::default()
        })
    }

    fn sent(&self, member: &str) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|(_, form)| form[member].clone()).collect()
    }
}

#[async_trait::async_trait]
impl HttpClient for Entra {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let body = Bytes::from(request.body());
        let form = url::form_urlencoded::parse(&body).into_owned().collect();
        let mut sent = self.sent.lock().unwrap();
        sent.push((request.url().to_string(), form));
        let (status, text) = match self.refuses {
            Some(why) => (
                400_u16,
                format!(r#"{{"error_codes":[1],"error_description":"{why}"}}"#),
            ),
            None => {
                let (number, lifetime) = (sent.len(), self.lifetime);
                (
                    200,
                    format!(
                        r#"{{"token_type":"Bearer","expires_in":{lifetime},"ext_expires_in":0,"access_token":"token-{number}"}}"#
                    ),
                )
            }
        };
        let bytes = Bytes::from(text);
        Ok(AsyncRawResponse::from_bytes(
            status.into(),
            Headers::new(),
            bytes,
        ))
    }
}

const APPLICATION: [(&str, &str); 2] = [
    ("AZURE_TENANT_ID", "tenant-1"),
    ("AZURE_CLIENT_ID", "client-1"),
];

fn settings(variables: &[(&str, &str)], kinds: &[Kind], entra: &Arc<Entra>) -> IdentitySettings {
    let all: HashMap<String, String> = APPLICATION
        .iter()
        .chain(variables)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut settings = IdentitySettings::from_environment(&|name| all.get(name).cloned()).unwrap();
    settings.kinds = kinds.to_vec();
    settings.transport = Some(Transport::new(Arc::clone(entra) as _));
    settings.cli_path = Some("/none".into());
    // A busy machine of the tests answers late.
    settings.glance = std::time::Duration::from_secs(60);
    settings
}

fn identity(variables: &[(&str, &str)], kinds: &[Kind], entra: &Arc<Entra>) -> Identity {
    let settings = settings(variables, kinds, entra);
    Identity::new(&settings, &Trust::new(None).unwrap()).unwrap()
}

async fn token(identity: &Identity) -> Result<String, String> {
    let token = identity.get_token(&[SCOPE], None).await;
    token
        .map(|token| token.token.secret().to_owned())
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn github_is_asked_for_a_new_word_at_every_refresh() {
    let words = [
        (200, r#"{"value":"word-1"}"#),
        (200, r#"{"value":"word-2"}"#),
    ];
    let server = Server::start(&words).await;
    let url = format!("{}/oidc?api=1", server.address);
    // Tokens that have ended already: each one is asked for anew.
    let entra = Entra::new(0);
    let variables = [
        (settings::GITHUB_URL, &*url),
        (settings::GITHUB_TOKEN, "canary"),
    ];
    let identity = identity(&variables, &[Kind::GitHub], &entra);
    assert_eq!(token(&identity).await.unwrap(), "token-1");
    assert_eq!(token(&identity).await.unwrap(), "token-2");
    assert_eq!(entra.sent("client_assertion"), ["word-1", "word-2"]);
    assert_eq!(entra.sent("scope"), [SCOPE, SCOPE]);
    assert_eq!(entra.sent("client_id"), ["client-1", "client-1"]);
    let first = &server.requests()[0];
    assert!(
        first.starts_with("GET /oidc?api=1&audience=api%3A%2F%2FAzureADTokenExchange "),
        "{first}"
    );
    assert!(first.contains("authorization: Bearer canary"), "{first}");
    let (url, _) = entra.sent.lock().unwrap()[0].clone();
    assert_eq!(
        url,
        "https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token"
    );
}

#[tokio::test]
async fn a_token_is_asked_for_once_while_it_holds() {
    let server = Server::start(&[(503, ""), (200, r#"{"value":"word"}"#)]).await;
    let entra = Entra::new(3_600);
    let variables = [
        (settings::GITHUB_URL, &*server.address),
        (settings::GITHUB_TOKEN, "t"),
    ];
    let identity = identity(&variables, &[Kind::GitHub], &entra);
    let all = (0..30).map(|_| token(&identity));
    let tokens = futures::future::join_all(all).await;
    assert!(
        tokens.iter().all(|token| token.as_deref() == Ok("token-1")),
        "{tokens:?}"
    );
    assert_eq!(server.requests().len(), 2);
    assert_eq!(identity.kind(), Some(Kind::GitHub));
}

#[tokio::test]
async fn pipelines_and_pods_have_a_word_too() {
    let server = Server::start(&[(200, r#"{"oidcToken":"word-p"}"#)]).await;
    let entra = Entra::new(3_600);
    let pipeline = [
        (settings::PIPELINES_URL, &*server.address),
        (settings::PIPELINES_TOKEN, "t"),
        (settings::PIPELINES_CONNECTION[1], "connection-1"),
    ];
    let pipeline = identity(&pipeline, &[Kind::Pipelines], &entra);
    token(&pipeline).await.unwrap();
    let request = &server.requests()[0];
    let line = "POST /?api-version=7.1&serviceConnectionId=connection-1 ";
    assert!(request.starts_with(line), "{request}");

    let entra = Entra::new(0);
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let pod = identity(
        &[(settings::WORKLOAD_FILE, path)],
        &[Kind::Workload],
        &entra,
    );
    for word in ["word-1\n", "word-2"] {
        fs::write(path, word).unwrap();
        token(&pod).await.unwrap();
    }
    assert_eq!(entra.sent("client_assertion"), ["word-1", "word-2"]);
}

#[tokio::test]
async fn an_application_shows_its_secret_to_its_cloud() {
    let entra = Entra::new(3_600);
    let variables = [
        (settings::CLIENT_SECRET, "canary"),
        ("SBM_CLOUD", "AzureUSGovernment"),
    ];
    let identity = identity(&variables, &Kind::ALL, &entra);
    token(&identity).await.unwrap();
    assert_eq!(identity.kind(), Some(Kind::Secret));
    assert_eq!(entra.sent("client_secret"), ["canary"]);
    let (url, _) = entra.sent.lock().unwrap()[0].clone();
    assert!(
        url.starts_with("https://login.microsoftonline.us/tenant-1/"),
        "{url}"
    );
}

const MACHINE_TOKEN: &str =
    r#"{"access_token":"machine","expires_on":"4102444800","token_type":"Bearer"}"#;

#[tokio::test]
async fn a_machine_is_waited_for_while_it_gets_ready() {
    let answers = [(404, ""), (503, "busy"), (200, MACHINE_TOKEN)];
    let server = Server::start(&answers).await;
    let variables = [(settings::METADATA_HOST, &*server.address)];
    let identity = identity(&variables, &[Kind::Managed, Kind::Cli], &Entra::new(1));
    assert_eq!(token(&identity).await.unwrap(), "machine");
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    let line = "GET /metadata/identity/oauth2/token?api-version=2018-02-01&\
                resource=https%3A%2F%2Fstorage.azure.com&client_id=client-1 ";
    assert!(requests[0].starts_with(line), "{}", requests[0]);
    assert!(requests[0].contains("metadata: true"));
}

#[tokio::test]
async fn a_container_shows_its_header() {
    let server = Server::start(&[(200, MACHINE_TOKEN)]).await;
    let url = format!("{}/msi/token", server.address);
    let variables = [
        (settings::MANAGED_URL, &*url),
        (settings::MANAGED_HEADER, "canary"),
    ];
    let identity = identity(&variables, &[Kind::Managed], &Entra::new(1));
    token(&identity).await.unwrap();
    let request = &server.requests()[0];
    assert!(
        request.starts_with("GET /msi/token?api-version=2019-08-01&"),
        "{request}"
    );
    assert!(request.contains("x-identity-header: canary"), "{request}");
}

#[tokio::test]
async fn an_identity_that_is_not_assigned_is_told_at_once() {
    let body = r#"{"error":"invalid_request","error_description":"Identity not found"}"#;
    let server = Server::start(&[(400, body)]).await;
    let variables = [(settings::METADATA_HOST, &*server.address)];
    let identity = identity(&variables, &[Kind::Managed], &Entra::new(1));
    let why = token(&identity).await.unwrap_err();
    assert!(
        why.contains("Identity not found; the identity client-1 is not assigned"),
        "{why}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn one_message_says_what_was_tried_and_why_nothing_came_of_it() {
    let mut entra = Entra::new(1);
    Arc::get_mut(&mut entra).unwrap().refuses =
        Some("AADSTS7000215: Invalid client secret provided.");
    let variables = [
        (settings::CLIENT_SECRET, "canary"),
        (settings::METADATA_HOST, "http://127.0.0.1:1"),
    ];
    let identity = identity(&variables, &Kind::ALL, &entra);
    let why = token(&identity).await.unwrap_err();
    for part in [
        "GitHub OIDC: not set up, ACTIONS_ID_TOKEN_REQUEST_URL is not set; a workflow has it with `permissions: id-token: write`",
        "workload identity: not set up, AZURE_FEDERATED_TOKEN_FILE is not set",
        "Azure Pipelines: not set up, SYSTEM_OIDCREQUESTURI is not set",
        "client secret: AADSTS7000215: Invalid client secret provided.",
        "managed identity: nobody answers at 127.0.0.1 within 60 s, so this is no machine of Azure",
        "Azure CLI: az not found on PATH",
    ] {
        assert!(why.contains(part), "no `{part}` in: {why}");
    }
    assert!(!why.contains("canary") && !why.contains('\n'), "{why}");
    assert_eq!(identity.kind(), None);
}

#[tokio::test]
async fn who_has_given_a_token_is_the_only_one_who_is_asked() {
    let refusal = r#"{"error_description":"gone"}"#;
    let ended = r#"{"access_token":"machine","expires_on":1}"#;
    let server = Server::start(&[(200, ended), (403, refusal)]).await;
    let variables = [
        (settings::METADATA_HOST, &*server.address),
        (settings::CLIENT_SECRET, "s"),
    ];
    let entra = Entra::new(3_600);
    let identity = identity(&variables, &[Kind::Managed, Kind::Secret], &entra);
    token(&identity).await.unwrap();
    let why = token(&identity).await.unwrap_err();
    assert!(
        why.starts_with("managed identity gives no token any more: 403"),
        "{why}"
    );
    assert!(entra.sent.lock().unwrap().is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn azure_cli_is_asked_last() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("az");
    let text = "#!/bin/sh\nprintf '{\"accessToken\":\"from-cli\",\"expires_on\":4102444800,\"tokenType\":\"%s\"}' \"$*\"\n";
    // By another program: whatever this one has open for writing cannot be started while some other test starts a process.
    let written = std::process::Command::new("sh")
        .args([
            "-c",
            "printf '%s' \"$1\" >\"$2\" && chmod 755 \"$2\"",
            "sh",
            text,
        ])
        .arg(&program)
        .status();
    assert!(written.unwrap().success());
    let variables = [(settings::METADATA_HOST, "http://127.0.0.1:1")];
    let mut settings = settings(&variables, &Kind::ALL, &Entra::new(1));
    settings.cli_path = Some(format!("{}:/usr/bin:/bin", folder.path().display()));
    let identity = Identity::new(&settings, &Trust::new(None).unwrap()).unwrap();
    assert_eq!(token(&identity).await.unwrap(), "from-cli");
    assert_eq!(identity.kind(), Some(Kind::Cli));
}

#[test]
fn no_way_of_printing_shows_a_secret() {
    let variables = [
        (settings::CLIENT_SECRET, "canary"),
        (settings::GITHUB_URL, "https://localhost/"),
        (settings::GITHUB_TOKEN, "canary"),
    ];
    let settings = settings(&variables, &Kind::ALL, &Entra::new(1));
    let identity = Identity::new(&settings, &Trust::new(None).unwrap()).unwrap();
    let text = format!("{settings:?} {identity:?} {:?}", identity.credential());
    assert!(
        text.contains("AZURE_CLIENT_SECRET") && !text.contains("canary"),
        "{text}"
    );
}
