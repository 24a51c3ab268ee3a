//! `containerapp|k8s|aci|batch savesettings`: writes settings files that the reference program can read, too.

use clap::Subcommand;

use super::print;
use crate::{
    Error, ExitCode,
    settings::{Backend, SaveArguments, process_environment, save},
};

#[derive(Debug, Subcommand)]
pub(super) enum BackendCommand<B: Backend> {
    /// Write a settings file, whose secrets are encrypted.
    Savesettings(Box<SaveArguments<B>>),
}

pub(super) fn run<B: Backend>(command: BackendCommand<B>) -> Result<ExitCode, Error> {
    match command {
        BackendCommand::Savesettings(typed) => save_settings(&typed),
    }
}

/// Prints the path of the file, as the reference program does.
fn save_settings<B: Backend>(typed: &SaveArguments<B>) -> Result<ExitCode, Error> {
    let file = save(typed, &process_environment)?;
    file.save()
        .map_err(|error| Error::file(file.path(), error))?;
    print(&format!("{file}\n"))?;
    Ok(ExitCode::Succeeded)
}
