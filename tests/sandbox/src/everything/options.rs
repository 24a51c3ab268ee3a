//! What can be said at the start.

use std::path::PathBuf;

/// Azure on one machine: Service Bus, Event Hubs, blobs, Key Vault, Entra and identities. For tests and for trying sbm; nothing in
/// it survives its end.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "sbm-sandbox", version)]
pub struct Options {
    /// Folder for certificates, keys and sandbox.json; made when it is missing
    #[arg(long, env = "SBM_SANDBOX_FOLDER", default_value = "target/sandbox")]
    pub folder: PathBuf,

    /// Port of Service Bus and Event Hubs: AMQP, AMQP over WebSocket and management, with and without TLS; 0 takes a free
    /// one, as for all ports
    #[arg(long, default_value_t = 0)]
    pub port: u16,

    /// Port of the storage account
    #[arg(long, default_value_t = 0)]
    pub blob_port: u16,

    /// Port of the key vault
    #[arg(long, default_value_t = 0)]
    pub key_vault_port: u16,

    /// Port of Entra
    #[arg(long, default_value_t = 0)]
    pub entra_port: u16,

    /// Port of what speaks HTTP without TLS: managed identities, the ID tokens of GitHub and Azure DevOps, faults and
    /// counters
    #[arg(long, default_value_t = 0)]
    pub http_port: u16,

    /// Folder in which Azurite is installed, or to be installed; below target/ when nothing is said
    #[arg(long, env = "SBM_SANDBOX_AZURITE")]
    pub azurite: Option<PathBuf>,

    /// Start without a storage account, for machines without Node.js
    #[arg(long)]
    pub without_blob: bool,
}
