//! `unpack`: a package becomes a folder.

use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::{
    Error, ExitCode,
    package::commands,
    settings::{LimitArguments, limits, process_environment},
};

#[derive(Args, Debug)]
pub(super) struct UnpackArguments {
    /// The folder to unpack to; it is made when it does not exist.
    #[arg(long, alias = "dir", value_name = "FOLDER")]
    directory: PathBuf,
    /// The package.
    #[arg(long, short = 'p', value_name = "FILE")]
    package: PathBuf,
    #[command(flatten)]
    limits: LimitArguments,
}

/// Prints the path of each file that was written.
pub(super) fn run(typed: &UnpackArguments) -> Result<ExitCode, Error> {
    let limits = limits(&typed.limits, &process_environment)?;
    let files =
        commands::unpack(&typed.package, &typed.directory, &limits).map_err(Error::package)?;
    let lines: String = files
        .iter()
        .map(|file| format!("{}\n", file.display()))
        .collect();
    print(&lines)?;
    Ok(ExitCode::Succeeded)
}
