//! `list`: the scripts of packages.

use std::path::{Path, PathBuf};

use clap::Args;

use super::print;
use crate::{
    Error, ExitCode,
    package::{self, commands},
    settings::{Fault, Faults, LimitArguments, limits, process_environment},
};

#[derive(Args, Debug)]
pub(super) struct ListArguments {
    /// A package; may be repeated, and takes several files.
    #[arg(long, short = 'p', value_name = "FILE", required = true, num_args = 1..)]
    packages: Vec<PathBuf>,
    /// Show the hash of each package and script, too [default: false].
    #[arg(long, short = 'w', value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", default_value = "false", hide_default_value = true, value_parser = flag)]
    withhash: bool,
    #[command(flatten)]
    limits: LimitArguments,
}

fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("accepted are true and false".to_owned()),
    }
}

/// Shows every package that can be read, and then tells which cannot.
pub(super) fn run(typed: &ListArguments) -> Result<ExitCode, Error> {
    let limits = limits(&typed.limits, &process_environment)?;
    let mut faults = Vec::new();
    for path in &typed.packages {
        match commands::list(path, typed.withhash, &limits) {
            Ok(list) => print(&list)?,
            Err(error) => faults.push(fault(path, error)),
        }
    }
    Faults::check(faults)?;
    Ok(ExitCode::Succeeded)
}

fn fault(path: &Path, error: package::Error) -> Fault {
    Fault {
        option: "--packages".to_owned(),
        value: Some(path.display().to_string()),
        problem: Error::package(error).chain(),
    }
}
