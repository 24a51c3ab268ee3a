//! The tree of commands.

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use log::LevelFilter;

use super::{
    add::AddArguments, create::CreateCommand, gethash::GethashArguments, ledger::LedgerCommand,
    list::ListArguments, local::LocalCommand, package::PackageArguments,
    savesettings::BackendCommand, settings::SettingsCommand, threaded::ThreadedCommand,
    unpack::UnpackArguments,
};
use crate::settings::{Aci, Batch, BuildArguments, ContainerApp, DemoArguments, Kubernetes};

#[expect(
    clippy::doc_markdown,
    reason = "help texts are made of these comments and show their backticks"
)]
/// Updates fleets of databases: all or nothing per database, exactly once per run.
///
/// A package of SQL scripts and a list of databases go in; every database ends in one reported state.
#[derive(Debug, Parser)]
#[command(
    name = "sbm",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "New here? `sbm demo` builds some SQLite databases in a temporary folder and shows what a run looks \
                  like.\n\nExit codes: 0 all good, 1 some databases failed, 2 bad input, 3 a service failed, 4 too \
                  many failures, 5 some databases unknown, 6 left-overs, 130 cancelled."
)]
pub(super) struct Cli {
    /// What is logged on standard error: off, error, warn, info, debug or trace [default: warn, or RUST_LOG].
    #[arg(long, global = true, value_name = "LEVEL", value_parser = log_level, hide_possible_values = true)]
    pub(super) loglevel: Option<LevelFilter>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Build one database, or the few of a short list.
    #[command(
        override_usage = "sbm build --packagename <PATH> --platform <PLATFORM> (--server <SERVER> | --override <FILE>) \
                          [OPTIONS]",
        after_help = "Example:\n  sbm build --platform SQLite -P update.sbm --server ./databases --database shop.db"
    )]
    Build(Box<BuildArguments>),
    /// Build many databases in parallel on this machine.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Threaded {
        #[command(subcommand)]
        command: ThreadedCommand,
    },
    /// Build many databases by several worker processes of this machine.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Local {
        #[command(subcommand)]
        command: LocalCommand,
    },
    /// Make a package.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Create {
        #[command(subcommand)]
        command: CreateCommand,
    },
    /// Add scripts to a package.
    Add(AddArguments),
    /// Make a package of every .sbx file in a folder.
    #[command(visible_alias = "pack")]
    Package(PackageArguments),
    /// List the scripts of packages.
    List(ListArguments),
    /// Print the hash of a package, as the audit table records it.
    Gethash(GethashArguments),
    /// Unpack a package into a folder.
    Unpack(UnpackArguments),
    /// Help with the tables in which every build is recorded.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Ledger {
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// Show a run on SQLite databases made for it; nothing needs to be installed.
    Demo(DemoArguments),
    /// Show what a command would use, and where each value comes from.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Settings {
        #[command(subcommand)]
        command: SettingsCommand,
    },
    /// Settings files for Azure Container Apps.
    #[command(
        visible_alias = "ca",
        subcommand_required = true,
        arg_required_else_help = true
    )]
    Containerapp {
        #[command(subcommand)]
        command: BackendCommand<ContainerApp>,
    },
    /// Settings files for Kubernetes.
    #[command(
        visible_alias = "aks",
        subcommand_required = true,
        arg_required_else_help = true
    )]
    K8s {
        #[command(subcommand)]
        command: BackendCommand<Kubernetes>,
    },
    /// Settings files for Azure Container Instances.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Aci {
        #[command(subcommand)]
        command: BackendCommand<Aci>,
    },
    /// Settings files for Azure Batch.
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Batch {
        #[command(subcommand)]
        command: BackendCommand<Batch>,
    },
}

/// The reference program's names of the levels, and those of `RUST_LOG`, in any case.
fn log_level(text: &str) -> Result<LevelFilter, String> {
    match text.to_ascii_lowercase().as_str() {
        "off" | "none" => Ok(LevelFilter::Off),
        "error" | "critical" => Ok(LevelFilter::Error),
        "warn" | "warning" => Ok(LevelFilter::Warn),
        "info" | "information" => Ok(LevelFilter::Info),
        "debug" => Ok(LevelFilter::Debug),
        "trace" => Ok(LevelFilter::Trace),
        _ => Err("accepted are off, error, warn, info, debug and trace".to_owned()),
    }
}

/// Understands normalised words.
pub(super) fn parse(words: &[OsString]) -> Result<Cli, clap::Error> {
    let matches = tolerant(Cli::command()).try_get_matches_from(words)?;
    Cli::from_arg_matches(&matches)
}

/// Takes `-1` for a value, so that the settings can say what would be accepted in its place.
fn tolerant(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| {
            let takes_value = argument.get_action().takes_values();
            argument.allow_negative_numbers(takes_value)
        })
        .mut_subcommands(tolerant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_is_explained() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{}", argument.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn the_log_level_may_stand_anywhere() {
        for words in [
            ["sbm", "--loglevel", "Debug", "ledger", "script"],
            ["sbm", "ledger", "--loglevel", "debug", "script"],
            ["sbm", "ledger", "script", "--loglevel", "DEBUG"],
        ] {
            let cli = parse(&words.map(OsString::from)).unwrap();
            assert_eq!(cli.loglevel, Some(LevelFilter::Debug), "{words:?}");
        }
    }

    #[test]
    fn every_level_of_either_kind_is_known() {
        for name in [
            "None",
            "Critical",
            "Error",
            "Warning",
            "Information",
            "Trace",
            "INFO",
        ] {
            assert!(log_level(name).is_ok(), "{name}");
        }
        assert!(log_level("loud").is_err());
    }
}
