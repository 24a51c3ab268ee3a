//! Asks and fills the key vault that the settings name.

use super::Error;
use crate::{
    azure::{Cloud, Identity, KeyVault, Trust, identity::Kind},
    secrets::Secrets,
    settings::{Answers, ToVault, Vault, VaultQuestion, process_environment},
};

/// What the vault answers; nothing when there is nothing to ask. With a job, its own secrets count before those that all share.
pub(super) async fn answers(
    question: Option<VaultQuestion>,
    job: Option<&str>,
) -> Result<Answers, Error> {
    let Some(VaultQuestion { vault, names }) = question else {
        return Ok(Answers::default());
    };
    let vault = open(&vault, job)?;
    log::info!("{vault} is asked for secrets that nothing else gives");
    let answers = Answers::ask(&vault, &names).await;
    answers.map_err(Error::service)
}

/// Puts all secrets into the vault; an error when one of them is not there.
pub(super) async fn fill(to_vault: &ToVault) -> Result<(), Error> {
    let mut vault = open(&to_vault.vault, to_vault.job.as_deref())?;
    for (name, secret) in &to_vault.secrets {
        vault.set(*name, secret).await.map_err(Error::service)?;
    }
    Ok(())
}

fn open(vault: &Vault, job: Option<&str>) -> Result<KeyVault, Error> {
    let (client, tenant) = (vault.client.as_deref(), vault.tenant.as_deref());
    let identity = Identity::of_process(&Kind::ALL, client, tenant).map_err(Error::input)?;
    let cloud = Cloud::from_environment(&process_environment);
    let cloud = cloud.map_err(|error| Error::input(error.to_string()))?;
    let trust = Trust::from_environment(&process_environment);
    let trust = trust.map_err(|error| Error::input(error.to_string()))?;
    // Names of jobs are written in any case.
    let job = job.map(|job| job.trim().to_ascii_lowercase());
    let vault = KeyVault::new(
        &vault.name,
        cloud,
        identity.credential(),
        &trust,
        job.as_deref(),
    );
    vault.map_err(|error| Error::input(error.to_string()))
}
