//! Where the workers of a run live.

mod local;

pub use local::{Local, LocalOptions, Replacement};

use std::fmt::{Debug, Display};

use async_trait::async_trait;

use crate::protocol::MadeObject;

/// The workers of one run, on some machine or service.
///
/// All methods may be called by several processes, by those that have started nothing, too, and may be repeated.
#[async_trait]
pub trait Backend: Debug + Display + Send + Sync {
    /// What stands in the way of `workers` workers, all of it, each with what mends it. Nothing is made or changed.
    async fn preflight(&self, workers: usize) -> Result<Vec<String>, Error>;

    /// Everything that [`deploy`](Self::deploy) makes for so many workers. The caller notes it down before.
    fn objects(&self, workers: usize) -> Vec<MadeObject>;

    /// Starts workers until there are `workers`; those that run are counted, by other processes as well when this returns, unless
    /// they take long to begin. After an error the caller removes what there is.
    ///
    /// As long as this process lives, workers that die are replaced, with growing pauses; one that has died ten times is given up,
    /// and has [`WorkerState::Failed`]. One that ends with exit code 0 was told to, or the run is over: it is not replaced, and has
    /// [`WorkerState::Exited`]. Whoever needs workers when none is left starts them again.
    async fn deploy(&self, workers: usize) -> Result<(), Error>;

    /// What every worker of the run is doing, those of other processes and openings included while they exist.
    async fn status(&self) -> Result<Vec<WorkerStatus>, Error>;

    /// The last lines of what a worker has logged, the oldest first; none where it has logged nothing.
    async fn logs(&self, worker: &str) -> Result<Vec<String>, Error>;

    /// Ends all workers of the run and removes whatever was made for them; ready when they are gone. Workers that run are told
    /// to end: one that builds nothing does at once, any other may take somewhat more than a minute, for a COMMIT that it has
    /// sent. Not an error where there is nothing.
    async fn remove(&self) -> Result<(), Error>;

    /// This process looks after workers no more: none is replaced; those that run stay.
    fn let_go(&self) {}

    /// Takes [`let_go`](Self::let_go) back: workers that end from now on are replaced.
    fn take_up(&self) {}

    /// What exists of the run now, in words for a user who has to remove it. Empty after [`remove`](Self::remove).
    async fn leftovers(&self) -> Result<Vec<String>, Error>;
}

/// One worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Its name, as its result lines have it.
    pub name: String,
    /// What it is doing.
    pub state: WorkerState,
}

/// What a worker is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// It has not begun, or is about to be replaced.
    Waiting,
    /// It runs.
    Running,
    /// It has ended; without a code where nobody saw it end.
    Exited {
        /// 0 when it has worked until it was no longer needed.
        code: Option<i32>,
    },
    /// It cannot be made to run, or is given up.
    Failed {
        /// Why, in the words of whoever knows it.
        reason: String,
    },
}

impl WorkerState {
    /// Whether it works or is going to.
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Waiting | Self::Running)
    }
}

/// Why workers could not be started, asked or removed.
#[derive(Debug, thiserror::Error)]
#[error("{backend}: {action} failed: {source}")]
pub struct Error {
    /// Where.
    pub backend: String,
    /// What was to be done.
    pub action: &'static str,
    /// What went wrong.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
