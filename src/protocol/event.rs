//! Progress for the eyes of a person. Events may be lost; result lines count.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ResultLine, TargetKey};

/// Something that happened to a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The run.
    pub run_id: Uuid,
    /// The target.
    pub key: TargetKey,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum EventKind {
    /// A worker took the target up.
    Started {
        /// `server:databases`, as a user knows it.
        name: String,
    },
    /// A script begins.
    Script {
        /// Its file name.
        script: String,
    },
    /// An attempt ended.
    Finished {
        /// What became of it.
        line: Box<ResultLine>,
    },
}
