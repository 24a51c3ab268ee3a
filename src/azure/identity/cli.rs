//! Whoever is logged in to Azure CLI on this machine.

use std::{
    ffi::{OsStr, OsString},
    io,
    process::{Output, Stdio},
    sync::Arc,
};

use azure_core::credentials::TokenCredential;
use azure_identity::{AzureCliCredential, AzureCliCredentialOptions, Executor};
use tokio::process::Command;

use super::IdentitySettings;

pub(super) fn new(settings: &IdentitySettings) -> Result<Arc<dyn TokenCredential>, String> {
    let executor = Shell {
        path: settings.cli_path.as_ref().map(OsString::from),
    };
    let options = AzureCliCredentialOptions {
        tenant_id: settings.tenant.clone(),
        executor: Some(Arc::new(executor)),
        ..AzureCliCredentialOptions::default()
    };
    let made = AzureCliCredential::new(Some(options));
    made.map(|credential| credential as _)
        .map_err(|error| error.to_string())
}

/// Starts the program such that it ends with whoever waits for it.
#[derive(Debug)]
struct Shell {
    path: Option<OsString>,
}

#[async_trait::async_trait]
impl Executor for Shell {
    async fn run(&self, program: &OsStr, arguments: &[&OsStr]) -> io::Result<Output> {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        command.output().await
    }
}
