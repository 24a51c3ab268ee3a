//! A run by several worker processes of this machine, as a whole and step by step.
#![expect(clippy::unused_async, reason = "these steps are not written yet")]

use crate::{
    Error, ExitCode,
    report::Command,
    settings::{LocalJobSettings, LocalRunSettings},
};

/// All steps of a run. `command` is what a user types to do it again.
pub async fn run(_settings: LocalRunSettings, _command: Command) -> Result<ExitCode, Error> {
    not_yet()
}

/// Writes package, plan and job into the store.
pub async fn prep(_settings: LocalRunSettings) -> Result<ExitCode, Error> {
    not_yet()
}

/// Puts the targets of the job into its queue.
pub async fn enqueue(_settings: LocalJobSettings) -> Result<ExitCode, Error> {
    not_yet()
}

/// Starts the workers of the job.
pub async fn deploy(_settings: LocalJobSettings) -> Result<ExitCode, Error> {
    not_yet()
}

/// Follows the run of the job to its end, and conducts it when nobody else does.
pub async fn monitor(_settings: LocalJobSettings) -> Result<ExitCode, Error> {
    not_yet()
}

/// Takes out of the queue what no worker has begun.
pub async fn dequeue(_settings: LocalJobSettings) -> Result<ExitCode, Error> {
    not_yet()
}

/// Removes what the job has made.
pub async fn cleanup(_settings: LocalJobSettings) -> Result<ExitCode, Error> {
    not_yet()
}

fn not_yet() -> Result<ExitCode, Error> {
    Err(Error::input("not available yet"))
}
