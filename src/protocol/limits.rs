//! How long what a worker does may take.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::seconds;

/// The times that a worker keeps. A document that does not name one has the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkerLimits {
    /// When every worker stops, whatever it does; never when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hard_deadline: Option<Timestamp>,
    /// How long a message stays a worker's when nothing renews its lock. Whoever makes the queue decides; workers are told
    /// with each message.
    #[serde(with = "seconds")]
    pub message_lock: Duration,
    /// How many sessions a worker takes whoever else waits: the groups of the run divided by its workers, rounded up.
    pub sessions: usize,
    /// How long builds may go on when the worker is told to drain; what has not ended then is rolled back.
    #[serde(with = "seconds")]
    pub drain_timeout: Duration,
}

impl WorkerLimits {
    /// The lock of a message, unless the job says otherwise.
    pub const MESSAGE_LOCK: Duration = Duration::from_secs(60);

    /// The time for builds to end, unless the job says otherwise.
    pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
}

impl Default for WorkerLimits {
    fn default() -> Self {
        Self {
            hard_deadline: None,
            message_lock: Self::MESSAGE_LOCK,
            sessions: 1,
            drain_timeout: Self::DRAIN_TIMEOUT,
        }
    }
}
