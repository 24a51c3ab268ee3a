//! `local`: many databases by several worker processes of this machine.

use clap::Subcommand;

use crate::{Error, ExitCode, worker};

#[derive(Debug, Subcommand)]
pub(super) enum LocalCommand {
    /// Work for a run until it is closed. Who starts workers says by variables which run that is; nobody needs to type this.
    #[command(hide = true)]
    Worker,
}

pub(super) async fn run(command: LocalCommand) -> Result<ExitCode, Error> {
    match command {
        // Its exit code says only whether the worker itself could work.
        LocalCommand::Worker => Ok(match worker::process().await {
            Ok(()) => ExitCode::Succeeded,
            Err(error) => {
                log::error!("{error}");
                ExitCode::Failed
            }
        }),
    }
}
