//! `threaded`: many databases in parallel on this machine.

use std::io;

use clap::Subcommand;

use super::{rerun, vault};
use crate::{
    Error, ExitCode, run as runs,
    settings::{
        QueryArguments, QuerySettings, RunArguments, RunSettings, VaultQuestion,
        process_environment,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum ThreadedCommand {
    /// Run a package on every database of a target list.
    #[command(
        override_usage = "sbm threaded run --packagename <PATH> --platform <PLATFORM> --override <FILE> [OPTIONS]",
        after_help = "Example:\n  sbm threaded run --platform SQLite -P update.sbm --override fleet.cfg"
    )]
    Run(Box<RunArguments>),
    /// Ask every database of a target list one query that only reads.
    #[command(
        override_usage = "sbm threaded query --queryfile <FILE> --platform <PLATFORM> --override <FILE> [OPTIONS]",
        after_help = "Example:\n  sbm threaded query --platform SQLite --queryfile versions.sql --override fleet.cfg --outputfile \
                      versions.csv"
    )]
    Query(Box<QueryArguments>),
}

pub(super) async fn run(command: ThreadedCommand) -> Result<ExitCode, Error> {
    match command {
        ThreadedCommand::Run(typed) => {
            let environment = &process_environment;
            let question = VaultQuestion::of_run(&typed, environment);
            let answers = vault::answers(question, None).await?;
            let settings = RunSettings::threaded_with(&typed, environment, &answers)?;
            runs::threaded(settings, rerun::command()).await
        }
        ThreadedCommand::Query(typed) => {
            let settings = QuerySettings::new(&typed, &process_environment)?;
            let command = rerun::command();
            runs::query(settings, command, &mut io::stdout(), &mut io::stderr()).await
        }
    }
}
