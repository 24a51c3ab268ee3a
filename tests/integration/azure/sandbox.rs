//! Where the sandbox is.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use sbm::azure::{Cloud, Trust, amqp::Settings, service_bus::Open};
use secrecy::SecretString;
use serde::Deserialize;

use crate::{contract::queue::PATIENCE, support::skip};

/// Names the file in which the sandbox says where it is.
const VARIABLE: &str = "SBM_TEST_SANDBOX";

/// What the sandbox says, as far as it is needed here.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Sandbox {
    program: PathBuf,
    certificate: PathBuf,
    pub(crate) service_bus: Place,
    pub(crate) event_hubs: Place,
    entra: String,
    tenant: String,
    client: String,
    client_secret: String,
    faults: String,
}

/// One of its services.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Place {
    /// A connection string without TLS.
    pub(crate) emulator: String,
    /// The same with TLS.
    pub(crate) connection: String,
    /// A connection string with a key that may listen only.
    #[serde(default)]
    pub(crate) listen_only: String,
    /// Host and port.
    pub(crate) namespace: String,
}

impl Sandbox {
    /// The sandbox that all tests share; without one the test that asks is skipped.
    pub(crate) fn find() -> Option<Self> {
        let Ok(path) = std::env::var(VARIABLE) else {
            let thread = std::thread::current();
            skip(VARIABLE, thread.name().unwrap_or_default());
            return None;
        };
        Some(Self::read(Path::new(&path)).unwrap())
    }

    fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::new(Some(&self.certificate)).unwrap()
    }

    pub(crate) fn open(&self, connection: &str) -> Open {
        Open {
            connection: SecretString::from(connection),
            cloud: Cloud::Public,
            identity: None,
            settings: Settings::default(),
            trust: self.trust(),
        }
    }

    /// Makes Service Bus and Event Hubs misbehave.
    pub(crate) async fn disturb(&self, fault: &serde_json::Value) {
        let client = self.trust().http().unwrap();
        let request = client.post(format!("{}/broker", self.faults)).json(fault);
        request.send().await.unwrap().error_for_status().unwrap();
    }

    /// Whoever may do everything.
    pub(crate) async fn identity(&self) -> Identity {
        Identity(self.clone())
    }
}

/// Gets tokens of the sandbox with the application's secret.
#[derive(Debug)]
pub(crate) struct Identity(Sandbox);

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: i64,
}

#[async_trait::async_trait]
impl TokenCredential for Identity {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let Sandbox {
            entra,
            tenant,
            client,
            client_secret,
            ..
        } = &self.0;
        let http = self.0.trust().http().unwrap();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client),
            ("client_secret", client_secret),
            ("scope", scopes[0]),
        ];
        let request = http
            .post(format!("{entra}/{tenant}/oauth2/v2.0/token"))
            .form(&form);
        let answer = request.send().await.unwrap().error_for_status().unwrap();
        let token: Token = answer.json().await.unwrap();
        let expires = azure_core::time::OffsetDateTime::now_utc()
            + azure_core::time::Duration::seconds(token.expires_in);
        Ok(AccessToken::new(token.access_token, expires))
    }
}

/// A sandbox of one test, for faults that meet everybody.
#[derive(Debug)]
pub(crate) struct Own {
    sandbox: Sandbox,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Own {
    /// Starts one, unless there is none to be had; then the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        let program = Sandbox::find()?.program;
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new(program)
            .arg("--folder")
            .arg(folder.path())
            .arg("--without-blob")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let file = folder.path().join("sandbox.json");
        let until = Instant::now() + PATIENCE;
        let sandbox = loop {
            if let Some(sandbox) = Sandbox::read(&file) {
                break sandbox;
            }
            assert!(Instant::now() < until, "the sandbox does not start");
            std::thread::sleep(Duration::from_millis(20));
        };
        Some(Self {
            sandbox,
            process,
            _folder: folder,
        })
    }
}

impl Deref for Own {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
