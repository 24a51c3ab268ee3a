//! `add`: scripts go into a package that exists.

use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::{
    Error, ExitCode,
    package::{add_scripts, commands},
    settings::{LimitArguments, limits, process_environment},
};

#[derive(Args, Debug)]
pub(super) struct AddArguments {
    /// The package: an .sbm or .sbx file that exists.
    #[arg(long, short = 'o', value_name = "FILE")]
    outputsbm: PathBuf,
    /// A script; may be repeated, and takes several files. They run in this order, behind those of the package.
    #[arg(long, short = 's', value_name = "FILE", required = true, num_args = 1..)]
    scripts: Vec<PathBuf>,
    #[command(flatten)]
    limits: LimitArguments,
}

/// Like the reference program, shows with its hashes what the package holds now.
pub(super) fn run(typed: &AddArguments) -> Result<ExitCode, Error> {
    let limits = limits(&typed.limits, &process_environment)?;
    let package = &typed.outputsbm;
    add_scripts(package, &typed.scripts, &limits).map_err(Error::package)?;
    let list = commands::list(package, true, &limits).map_err(Error::package)?;
    print(&list)?;
    Ok(ExitCode::Succeeded)
}
