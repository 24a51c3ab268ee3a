//! `ledger`: help with the tables in which builds are recorded.

use clap::Subcommand;

use super::print;
use crate::{
    Error, ExitCode,
    engine::schema,
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
    let (schema, login) = (settings.schema.as_deref(), settings.login.as_deref());
    print(&schema::script(settings.platform, schema, login).map_err(Error::engine)?)?;
    Ok(ExitCode::Succeeded)
}
