//! `containerapp|k8s|aci|batch savesettings`: writes settings files that the reference program can read, too.

use clap::Subcommand;

use super::{print, vault};
use crate::{
    Error, ExitCode,
    settings::{Backend, SaveArguments, Saved, process_environment, save},
};

#[derive(Debug, Subcommand)]
pub(super) enum BackendCommand<B: Backend> {
    /// Write a settings file, whose secrets are encrypted.
    Savesettings(Box<SaveArguments<B>>),
}

pub(super) async fn run<B: Backend>(command: BackendCommand<B>) -> Result<ExitCode, Error> {
    match command {
        BackendCommand::Savesettings(typed) => save_settings(&typed).await,
    }
}

/// Prints the path of the file, as the reference program does. The file loses a secret only when the vault has it: one that
/// does not answer leaves the file as it was.
async fn save_settings<B: Backend>(typed: &SaveArguments<B>) -> Result<ExitCode, Error> {
    let Saved { file, to_vault } = save(typed, &process_environment)?;
    if let Some(to_vault) = &to_vault {
        vault::fill(to_vault).await?;
    }
    file.save()
        .map_err(|error| Error::file(file.path(), error))?;
    print(&format!("{file}\n"))?;
    Ok(ExitCode::Succeeded)
}
