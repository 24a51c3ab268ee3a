//! `package`: the manifests in a folder become archives.

use std::path::PathBuf;

use clap::Args;

use super::print;
use crate::{
    Error, ExitCode,
    package::{Packed, pack_folder},
    settings::{Fault, Faults, LimitArguments, limits, process_environment},
};

#[derive(Args, Debug)]
pub(super) struct PackageArguments {
    /// The folder; the folders inside it are looked into, too.
    #[arg(long, alias = "dir", value_name = "FOLDER")]
    directory: PathBuf,
    #[command(flatten)]
    limits: LimitArguments,
}

/// Prints the path of each package that was made, and then tells what could not be packed.
pub(super) fn run(typed: &PackageArguments) -> Result<ExitCode, Error> {
    let limits = limits(&typed.limits, &process_environment)?;
    let Packed { made, failed } = pack_folder(&typed.directory, &limits).map_err(Error::package)?;
    let made = made.iter().map(|path| format!("{}\n", path.display()));
    print(&made.collect::<String>())?;
    let faults = failed.into_iter().map(|(path, error)| Fault {
        option: "--directory".to_owned(),
        value: Some(path.display().to_string()),
        problem: Error::package(error).chain(),
    });
    Faults::check(faults.collect())?;
    Ok(ExitCode::Succeeded)
}
