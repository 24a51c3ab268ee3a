//! `sandbox.json`: where everything is, for the tests.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use uuid::Uuid;

/// What stands in the file.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// The program, for tests that want a sandbox of their own: some faults meet all clients.
    pub program: PathBuf,
    /// PEM file of the authority that clients have to trust.
    pub certificate: PathBuf,
    /// The namespace of Service Bus.
    pub service_bus: ServiceBus,
    /// The namespace of Event Hubs.
    pub event_hubs: EventHubs,
    /// The storage account, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blob: Option<Blob>,
    /// Address of the vault.
    pub key_vault: String,
    /// Address of the authority, without the tenant.
    pub entra: String,
    /// The tenant.
    pub tenant: Uuid,
    /// The application that may do everything, which is also the machine's identity.
    pub client: Uuid,
    /// Its secret.
    pub client_secret: String,
    /// Address of the instance metadata service.
    pub imds: String,
    /// `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` of a container.
    pub identity_endpoint: Guarded,
    /// `ACTIONS_ID_TOKEN_REQUEST_URL` and `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
    pub github_oidc: Guarded,
    /// `SYSTEM_OIDCREQUESTURI` and `SYSTEM_ACCESSTOKEN`.
    pub azure_pipelines: Guarded,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub federated_token_file: PathBuf,
    /// Address by which services are made to misbehave.
    pub faults: String,
    /// Address that tells how often things have happened.
    pub counters: String,
}

/// The namespace of Service Bus.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceBus {
    /// Connection string without TLS.
    pub emulator: String,
    /// Connection string with TLS.
    pub connection: String,
    /// Connection string with TLS, of a key that may receive and nothing else.
    pub listen_only: String,
    /// Host and port.
    pub namespace: String,
    /// The topic that is always there.
    pub topic: String,
}

/// The namespace of Event Hubs.
#[derive(Clone, Debug, Serialize)]
pub struct EventHubs {
    /// Connection string of the hub without TLS.
    pub emulator: String,
    /// Connection string of the hub with TLS.
    pub connection: String,
    /// Host and port.
    pub namespace: String,
    /// The hub that is always there.
    pub hub: String,
}

/// The storage account.
#[derive(Clone, Debug, Serialize)]
pub struct Blob {
    /// Its name.
    pub account: String,
    /// Its key.
    pub key: String,
    /// Its address; containers are below.
    pub endpoint: String,
}

/// An address and what has to be shown there.
#[derive(Clone, Debug, Serialize)]
pub struct Guarded {
    /// The address.
    pub url: String,
    /// What has to be shown.
    pub token: String,
}

impl Document {
    /// Writes it, so that whoever waits for the file finds it complete. It holds keys and is for its owner alone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let beside = file.with_extension("json.new");
        crate::certificates::write_for_owner(&beside, &serde_json::to_string_pretty(self)?)?;
        std::fs::rename(&beside, file).with_context(|| format!("cannot write {}", file.display()))
    }
}
