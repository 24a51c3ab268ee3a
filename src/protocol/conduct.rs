//! What the conductor of a run goes by, so that whoever takes over goes by the same.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{FailureBudget, seconds};

/// How a run as a whole is conducted. A job that does not name one of these has the default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Conduct {
    /// How many workers there are to be; one that vanishes is replaced.
    pub workers: usize,
    /// How many failures end the run; none for any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<FailureBudget>,
    /// How long is waited after the last target of a wave before the next wave begins.
    #[serde(with = "seconds")]
    pub soak: Duration,
    /// A query that must return no row in any database of a wave before the next wave begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<String>,
    /// When the run ends, whatever is left; never when none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The run ends when nothing has happened for so long.
    #[serde(with = "seconds")]
    pub stall_timeout: Duration,
}

impl Conduct {
    /// How long nothing may happen, unless the job says otherwise.
    pub const STALL_TIMEOUT: Duration = Duration::from_secs(3_600);
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            workers: 1,
            max_failures: None,
            soak: Duration::ZERO,
            probe: None,
            deadline: None,
            stall_timeout: Self::STALL_TIMEOUT,
        }
    }
}
