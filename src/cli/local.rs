//! `local`: many databases by several worker processes of this machine.

use std::io;

use clap::Subcommand;

use super::{rerun, vault};
use crate::{
    Error, ExitCode,
    run::{self as runs, local},
    settings::{
        Answers, JobArguments, JobPasswordArguments, LocalCleanupArguments, LocalDeployArguments,
        LocalDequeueArguments, LocalEnqueueArguments, LocalJobSettings, LocalMonitorArguments,
        LocalRunArguments, LocalRunSettings, QueryArguments, QuerySettings, VaultQuestion,
        process_environment,
    },
    worker,
};

#[derive(Debug, Subcommand)]
pub(super) enum LocalCommand {
    /// Run a package on every database of a target list: all steps, from prep to cleanup.
    #[command(
        override_usage = "sbm local run --packagename <PATH> --platform <PLATFORM> --override <FILE> [OPTIONS]",
        after_help = "Example:\n  sbm local run --platform SQLite -P update.sbm --override fleet.cfg --jobname update \
                      --workers 8 --waves 1,10%,100%",
        mut_arg("rootloggingpath", |argument| argument.hide(true)),
        mut_arg("maxslots", |argument| argument.help(MAXSLOTS)),
        mut_arg("resume", |argument| argument.help(RESUME))
    )]
    Run(Box<LocalRunArguments>),
    /// Only make the job: package, plan and settings in the store.
    #[command(
        override_usage = "sbm local prep --jobname <NAME> --packagename <PATH> --platform <PLATFORM> --override <FILE> \
                          [OPTIONS]",
        after_help = "Example:\n  sbm local prep --jobname update --platform SQLite -P update.sbm --override fleet.cfg",
        mut_arg("rootloggingpath", |argument| argument.hide(true)),
        mut_arg("maxslots", |argument| argument.help(MAXSLOTS)),
        mut_arg("resume", |argument| argument.help(RESUME))
    )]
    Prep(Box<LocalRunArguments>),
    /// Only put the databases of a job into its queue.
    #[command(
        override_usage = "sbm local enqueue --jobname <NAME> [OPTIONS]",
        after_help = "Example:\n  sbm local enqueue --jobname update"
    )]
    Enqueue(LocalEnqueueArguments),
    /// Only start the workers of a job.
    #[command(
        override_usage = "sbm local deploy --jobname <NAME> [OPTIONS]",
        after_help = "Example:\n  sbm local deploy --jobname update --workers 8"
    )]
    Deploy(LocalDeployArguments),
    /// Follow the run of a job to its end, conduct it when nobody else does, and tell what came of it.
    #[command(
        override_usage = "sbm local monitor --jobname <NAME> [OPTIONS]",
        after_help = "Example:\n  sbm local monitor --jobname update --output json"
    )]
    Monitor(LocalMonitorArguments),
    /// Take out of the queue of a job what no worker has begun.
    #[command(
        override_usage = "sbm local dequeue --jobname <NAME> [OPTIONS]",
        after_help = "Example:\n  sbm local dequeue --jobname update"
    )]
    Dequeue(LocalDequeueArguments),
    /// Ask every database of a target list one query that only reads: the same as `threaded query`, by this process.
    #[command(
        override_usage = "sbm local query --queryfile <FILE> --platform <PLATFORM> --override <FILE> [OPTIONS]",
        after_help = "Example:\n  sbm local query --platform SQLite --queryfile versions.sql --override fleet.cfg --outputfile \
                      versions.csv"
    )]
    Query(Box<QueryArguments>),
    /// Remove what a job has made; its results and logs stay.
    #[command(
        override_usage = "sbm local cleanup --jobname <NAME> [OPTIONS]",
        after_help = "Example:\n  sbm local cleanup --jobname update --deletelogs"
    )]
    Cleanup(LocalCleanupArguments),
    /// Work for a run until it is closed. Who starts workers says by variables which run that is; nobody needs to type this.
    #[command(hide = true)]
    Worker,
}

/// What `--maxslots` means where there are workers.
const MAXSLOTS: &str =
    "Never more than this at once in one worker process, whatever the type [default: 32]";

/// What `--resume` means where there are jobs.
const RESUME: &str = "Go on with the run that the job holds; with an id, only if it is that one";

pub(super) async fn run(command: LocalCommand) -> Result<ExitCode, Error> {
    let environment = &process_environment;
    match command {
        LocalCommand::Run(typed) => local::run(new_run(&typed).await?, rerun::command()).await,
        LocalCommand::Prep(typed) => local::prep(new_run(&typed).await?).await,
        LocalCommand::Enqueue(typed) => {
            local::enqueue(LocalJobSettings::enqueue(&typed, environment)?).await
        }
        LocalCommand::Deploy(typed) => {
            let answers = password(&typed.password, &typed.job).await;
            local::deploy(LocalJobSettings::deploy_with(
                &typed,
                environment,
                &answers,
            )?)
            .await
        }
        LocalCommand::Monitor(typed) => {
            let answers = password(&typed.password, &typed.job).await;
            local::monitor(LocalJobSettings::monitor_with(
                &typed,
                environment,
                &answers,
            )?)
            .await
        }
        LocalCommand::Dequeue(typed) => {
            local::dequeue(LocalJobSettings::dequeue(&typed, environment)?).await
        }
        LocalCommand::Query(typed) => query(&typed).await,
        LocalCommand::Cleanup(typed) => {
            local::cleanup(LocalJobSettings::cleanup(&typed, environment)?).await
        }
        LocalCommand::Worker => Ok(work().await),
    }
}

async fn new_run(typed: &LocalRunArguments) -> Result<LocalRunSettings, Error> {
    let environment = &process_environment;
    let question = VaultQuestion::of_run(&typed.run, environment);
    let answers = vault::answers(question, typed.job.jobname.as_deref()).await?;
    Ok(LocalRunSettings::new_with(typed, environment, &answers)?)
}

/// What a vault knows of the password of a job that is there already. The job may need none, so a vault that does not answer is no
/// error yet.
async fn password(typed: &JobPasswordArguments, job: &JobArguments) -> Answers {
    let question = VaultQuestion::of_password(typed, &process_environment);
    let answers = vault::answers(question, job.jobname.as_deref()).await;
    answers.unwrap_or_else(|error| {
        log::warn!("{}", error.chain());
        Answers::default()
    })
}

/// One process can ask many databases at once, so worker processes would add nothing.
async fn query(typed: &QueryArguments) -> Result<ExitCode, Error> {
    let settings = QuerySettings::new(typed, &process_environment)?;
    runs::query(
        settings,
        rerun::command(),
        &mut io::stdout(),
        &mut io::stderr(),
    )
    .await
}

/// The exit code says only whether the worker itself could work.
async fn work() -> ExitCode {
    match worker::process().await {
        Ok(()) => ExitCode::Succeeded,
        Err(error) => {
            log::error!("{error}");
            ExitCode::Failed
        }
    }
}
