//! `create`: makes packages.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::print;
use crate::{
    Error, ExitCode,
    package::{Limits, commands},
};

#[derive(Debug, Subcommand)]
pub(super) enum CreateCommand {
    /// Make a package from SQL scripts, which will run in the order given here.
    Fromscripts(FromscriptsArguments),
}

#[derive(Args, Debug)]
pub(super) struct FromscriptsArguments {
    /// The package to make: an .sbm or .sbx file that does not exist yet.
    #[arg(long, short = 'o', value_name = "FILE")]
    outputsbm: PathBuf,
    /// A script; may be repeated, and takes several files.
    #[arg(long, short = 's', value_name = "FILE", required = true, num_args = 1..)]
    scripts: Vec<PathBuf>,
}

pub(super) fn run(command: CreateCommand) -> Result<ExitCode, Error> {
    match command {
        CreateCommand::Fromscripts(typed) => from_scripts(&typed),
    }
}

/// Like the reference program, shows with its hashes what was made.
fn from_scripts(typed: &FromscriptsArguments) -> Result<ExitCode, Error> {
    let output = &typed.outputsbm;
    commands::create_from_scripts(output, &typed.scripts).map_err(Error::package)?;
    let list = commands::list(output, true, &Limits::default()).map_err(Error::package)?;
    print(&list)?;
    Ok(ExitCode::Succeeded)
}
