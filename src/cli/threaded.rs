//! `threaded`: many databases in parallel on this machine.

use clap::Subcommand;

use super::rerun;
use crate::{
    Error, ExitCode, run as runs,
    settings::{RunArguments, RunSettings, process_environment},
};

#[derive(Debug, Subcommand)]
pub(super) enum ThreadedCommand {
    /// Run a package on every database of a target list.
    #[command(
        override_usage = "sbm threaded run --packagename <PATH> --platform <PLATFORM> --override <FILE> [OPTIONS]",
        after_help = "Example:\n  sbm threaded run --platform SQLite -P update.sbm --override fleet.cfg"
    )]
    Run(Box<RunArguments>),
}

pub(super) async fn run(command: ThreadedCommand) -> Result<ExitCode, Error> {
    match command {
        ThreadedCommand::Run(typed) => {
            runs::threaded(
                RunSettings::threaded(&typed, &process_environment)?,
                rerun::command(),
            )
            .await
        }
    }
}
