//! `ledger`: help with the tables in which builds are recorded.

use clap::Subcommand;

use super::{print, stand_in::engine};
use crate::{
    Error, ExitCode,
    settings::{LedgerArguments, LedgerSettings, process_environment},
};

#[derive(Debug, Subcommand)]
pub(super) enum LedgerCommand {
    /// Print the statements that make the tables and grant their use, for an administrator to run.
    Script(LedgerArguments),
}

pub(super) fn run(command: LedgerCommand) -> Result<ExitCode, Error> {
    match command {
        LedgerCommand::Script(typed) => script(&typed),
    }
}

fn script(typed: &LedgerArguments) -> Result<ExitCode, Error> {
    let settings = LedgerSettings::new(typed, &process_environment)?;
    print(&engine::ledger_script(
        settings.platform,
        settings.schema.as_deref(),
    ))?;
    Ok(ExitCode::SUCCESS)
}
