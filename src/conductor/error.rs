//! Why a run cannot be opened, conducted or watched.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    backend, events,
    protocol::{DocumentError, Phase},
    queue, storage,
};

/// Why a run cannot be opened, conducted or watched. What became of a database is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The job's name is taken.
    #[error(
        "--jobname {job}: the job has run {run_id}, which is {}; {}",
        state(*phase),
        advice(*phase, conductor, *heartbeat)
    )]
    InUse {
        /// The job.
        job: String,
        /// Its present run.
        run_id: Uuid,
        /// How that stands.
        phase: Phase,
        /// Who conducts it.
        conductor: String,
        /// How long ago that one has shown that it lives.
        heartbeat: Duration,
    },
    /// There is no such job.
    #[error("--jobname {job}: {place} holds no run of this job; `prep` or `run` makes one")]
    NoRun {
        /// The job.
        job: String,
        /// The storage.
        place: String,
    },
    /// Somebody else opened a run of the job, or removed it, at the same moment.
    #[error("--jobname {job}: somebody else has just opened or removed a run of this job")]
    Outrun {
        /// The job.
        job: String,
    },
    /// Somebody else conducts the run.
    #[error("run {run_id} is conducted by {conductor}, which was heard of {} s ago", heartbeat.as_secs())]
    Conducted {
        /// The run.
        run_id: Uuid,
        /// By whom.
        conductor: String,
        /// How long ago that one has shown that it lives.
        heartbeat: Duration,
    },
    /// What only the conductor may do was not done, because another process may conduct the run by now.
    #[error("this process does not conduct the run any more")]
    Lost,
    /// The package of the run cannot be read.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A stored document is damaged, or from another version.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The plan is damaged, or from another version.
    #[error(transparent)]
    Plan(#[from] crate::plan::Error),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] queue::Error),
    /// The workers cannot be started, asked or removed.
    #[error(transparent)]
    Backend(#[from] backend::Error),
    /// Progress cannot be read.
    #[error(transparent)]
    Feed(#[from] events::FeedError),
    /// What the conductor itself has to say of targets cannot be stored.
    #[error(transparent)]
    Lines(#[from] storage::LinesError),
}

fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Open => "open",
        Phase::Draining => "ending",
        Phase::Closed => "closed",
    }
}

fn advice(phase: Phase, conductor: &str, heartbeat: Duration) -> String {
    if phase == Phase::Closed {
        return "go on with it by --resume, begin a new one by --force, or take another name"
            .to_owned();
    }
    let who = match conductor {
        "" => "nobody conducts it at present".to_owned(),
        conductor => format!(
            "{conductor} conducts it and was heard of {} s ago",
            heartbeat.as_secs()
        ),
    };
    format!(
        "{who}; watch it by `monitor`, go on with it by --resume when nobody conducts it, or end it by `dequeue` and \
         `cleanup`"
    )
}
