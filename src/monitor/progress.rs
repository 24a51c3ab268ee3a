//! A picture of the run at one moment.

use std::time::{Duration, Instant};

use crate::protocol::{ErrorReport, State};

/// How a run stands at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The moment.
    pub at: Instant,
    /// All targets.
    pub total: usize,
    /// Targets that are as their user wanted them; on a trial, the ones that succeeded.
    pub committed: usize,
    /// Targets that ended in any other state, except the skipped ones: what a failure budget counts.
    pub failed: usize,
    /// Targets that will not be run any more.
    pub skipped: usize,
    /// Targets at which a worker is building.
    pub running: usize,
    /// Targets that wait for a worker.
    pub waiting: usize,
    /// Targets that settle per second, lately.
    pub per_second: Option<f64>,
    /// How long the rest takes at this rate.
    pub remaining: Option<Duration>,
    /// What is being built, the longest first; at most [`Progress::MOST_NAMED`].
    pub current: Vec<Running>,
    /// The failure that was seen last.
    pub latest_failure: Option<Failure>,
}

impl Progress {
    /// How many running targets are named.
    pub const MOST_NAMED: usize = 8;

    /// Targets about which nothing more is expected.
    pub fn settled(&self) -> usize {
        self.committed + self.failed + self.skipped
    }
}

/// A target that is being built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// `server:databases`, as a user knows it.
    pub name: String,
    /// The script that runs, once one does.
    pub script: Option<String>,
    /// For how long, as seen from here; the clocks of workers play no part.
    pub elapsed: Duration,
}

/// A target that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `server:databases`, as a user knows it.
    pub name: String,
    /// Its state.
    pub state: State,
    /// The decisive error.
    pub error: Option<ErrorReport>,
}
