//! `gethash`: the hash of a package.

use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::{
    Error, ExitCode,
    package::commands,
    settings::{LimitArguments, limits, process_environment},
};

#[derive(Args, Debug)]
pub(super) struct GethashArguments {
    /// The package.
    #[arg(long, alias = "buildfilename", short = 'P', value_name = "FILE")]
    packagename: PathBuf,
    #[command(flatten)]
    limits: LimitArguments,
}

/// The hash stands alone on a line, so that scripts can use it.
pub(super) fn run(typed: &GethashArguments) -> Result<ExitCode, Error> {
    let limits = limits(&typed.limits, &process_environment)?;
    let hash = commands::build_hash_of(&typed.packagename, &limits).map_err(Error::package)?;
    print(&format!("{hash}\n"))?;
    Ok(ExitCode::Succeeded)
}
