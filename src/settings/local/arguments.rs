//! What was typed after `local`.

#![expect(
    clippy::doc_markdown,
    reason = "help texts are made of these comments and show their backticks"
)]

use clap::Args;
use secrecy::SecretString;

use crate::settings::{RunArguments, SettingsFileArguments, sources::secret};

/// The options of `local run` and `local prep`.
#[derive(Args, Clone, Debug, Default)]
pub struct LocalRunArguments {
    /// What `threaded run` has, too.
    #[command(flatten)]
    pub run: RunArguments,
    /// Which job.
    #[command(flatten)]
    pub job: JobArguments,
    /// How the job begins and ends.
    #[command(flatten)]
    pub new: NewJobArguments,
    /// By how many processes.
    #[command(flatten)]
    pub workers: WorkerArguments,
    /// Which databases come first.
    #[command(flatten)]
    pub waves: WaveArguments,
}

/// The options of `local enqueue`.
#[derive(Args, Clone, Debug, Default)]
pub struct LocalEnqueueArguments {
    /// Which job.
    #[command(flatten)]
    pub job: JobArguments,
}

/// The options of `local deploy`.
#[derive(Args, Clone, Debug, Default)]
pub struct LocalDeployArguments {
    /// Which job.
    #[command(flatten)]
    pub job: JobArguments,
    /// What workers are given.
    #[command(flatten)]
    pub password: JobPasswordArguments,
    /// How many processes build [default: as the job says].
    #[arg(long, value_name = "NUMBER", help_heading = "Job")]
    pub workers: Option<String>,
}

/// The options of `local monitor`.
#[derive(Args, Clone, Debug, Default)]
pub struct LocalMonitorArguments {
    /// Which job.
    #[command(flatten)]
    pub job: JobArguments,
    /// What workers are given that take the place of others.
    #[command(flatten)]
    pub password: JobPasswordArguments,
    /// How long running builds may go on after Ctrl-C or SIGTERM before they are rolled back [default: as the job says].
    #[arg(long, value_name = "SECONDS", help_heading = "Job")]
    pub draintimeout: Option<String>,
    /// What goes to standard output: text or json [default: text].
    #[arg(long, value_name = "FORMAT", help_heading = "Job")]
    pub output: Option<String>,
}

/// The options of `local dequeue`.
#[derive(Args, Clone, Debug, Default)]
pub struct LocalDequeueArguments {
    /// Which job.
    #[command(flatten)]
    pub job: JobArguments,
}

/// The options of `local cleanup`.
#[derive(Args, Clone, Debug, Default)]
pub struct LocalCleanupArguments {
    /// Which job.
    #[command(flatten)]
    pub job: JobArguments,
    /// Remove results and logs of the job's present run, too [default: false].
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true",
        help_heading = "Job"
    )]
    pub deletelogs: Option<String>,
}

/// Which job, and where it is.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Job")]
pub struct JobArguments {
    /// Name of the job: letters, digits, `-` and `_`.
    #[arg(long, value_name = "NAME")]
    pub jobname: Option<String>,
    /// Folder of all jobs; %NAME% and ${NAME} are replaced by environment variables [default: sbm-store].
    #[arg(long, value_name = "FOLDER")]
    pub store: Option<String>,
}

/// How a job begins and ends.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Job")]
pub struct NewJobArguments {
    /// Begin a new run where there is a job of this name already whose last run has ended; its logs stay [default: false].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub force: Option<String>,
    /// Stay until the run has ended, and tell what came of it. Without it, workers go on by themselves [default: true].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub monitor: Option<String>,
    /// End the run when nothing has happened for so long [default: what fits the package].
    #[arg(long, value_name = "SECONDS")]
    pub stalltimeout: Option<String>,
    /// End the run after this time, whatever it does [default: 86400].
    #[arg(long, value_name = "SECONDS")]
    pub deadline: Option<String>,
}

/// By how many processes a job is done.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Job")]
pub struct WorkerArguments {
    /// How many processes build [default: 4].
    #[arg(long, value_name = "NUMBER")]
    pub workers: Option<String>,
}

/// Which databases come first.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Waves")]
pub struct WaveArguments {
    /// A few databases first: how many have been started after each wave, such as "1,1%,10%,100%" [default: all at once].
    #[arg(long, value_name = "LIST")]
    pub waves: Option<String>,
    /// With --waves: how long to wait after each wave [default: 0].
    #[arg(long, value_name = "SECONDS")]
    pub soak: Option<String>,
    /// With --waves: a query that must find no row in any database of a wave before the next wave begins.
    #[arg(long, value_name = "SQL")]
    pub probe: Option<String>,
}

/// The password of a job that exists; everything else about the login is in the job.
#[derive(Args, Clone, Debug, Default)]
pub struct JobPasswordArguments {
    /// Where it may come from.
    #[command(flatten)]
    pub file: SettingsFileArguments,
    /// Password for the databases; how else to log in is in the job. Prefer the variable [env: SBM_PASSWORD].
    #[arg(
        long,
        short = 'p',
        value_name = "SECRET",
        value_parser = secret,
        allow_hyphen_values = true,
        help_heading = "Login"
    )]
    pub password: Option<SecretString>,
}
