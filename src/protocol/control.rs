//! The control document: whether the workers of a run may go on, as its conductor says.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::document::{self, DocumentError};

/// How a run stands. Stored as `control.json`, written by the run's conductor alone, read by every worker and follower.
///
/// The conductor writes it at every change and at least every [`Control::HEARTBEAT`]; the age of the stored object says
/// how long nobody has conducted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Control {
    /// The version of this form; one that is not known is refused.
    pub version: u32,
    /// The run.
    pub run_id: Uuid,
    /// What workers may do.
    pub phase: Phase,
    /// Who conducts the run, in words for its user.
    #[serde(default)]
    pub conductor: String,
    /// How often the run was opened: 1 at first, one more with every time that it goes on.
    #[serde(default = "first")]
    pub opening: u32,
    /// Why the run ends before its last target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<Early>,
    /// Whether builds that still run while the run drains are rolled back at once, and not only after the drain time-out of
    /// the job.
    #[serde(default)]
    pub roll_back: bool,
    /// Whether another process has worked for this run before it was opened this time. A first delivery does not prove then
    /// that no database knows the run.
    #[serde(default)]
    pub resumed: bool,
    /// Whether a target may have been sent twice: a wave anew, or to be reconciled. A first delivery proves nothing then. Has
    /// to be stored for [`Control::FRESH`] before the second message is sent.
    #[serde(default)]
    pub doubled: bool,
    /// The waves, in order.
    #[serde(default)]
    pub waves: Vec<Wave>,
    /// Grows by one with every writing.
    pub sequence: u64,
}

/// What workers may do. A run goes through the phases in this order; only another opening begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Targets are built.
    Open,
    /// No target starts any more; builds that run may end. What became of targets is still looked into.
    Draining,
    /// The run is over: workers roll back what runs, and exit.
    Closed,
}

/// Why a run ends before its last target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Early {
    /// By whom or what.
    pub by: EndedBy,
    /// In words for its user.
    pub why: String,
}

/// What may end a run early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EndedBy {
    /// A person or a signal.
    Cancelled,
    /// The failure budget, or what has to hold between two waves.
    Halted,
    /// One of the run's deadlines.
    Deadline,
    /// A service that the run needs, or all its workers, failed.
    Service,
}

/// One part of the targets, enqueued when the one before is settled.
///
/// A wave that is `enqueueing` and not `enqueued` may have been sent in part: whoever takes over sends it again, and says so
/// by [`Control::doubled`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Wave {
    /// How many targets it has.
    pub targets: usize,
    /// Whether its messages may be under way.
    pub enqueueing: bool,
    /// Whether all its messages are in the queue.
    pub enqueued: bool,
    /// Whether all its targets have a final line.
    pub settled: bool,
}

fn first() -> u32 {
    1
}

impl Control {
    /// The version that this program writes and reads.
    pub const VERSION: u32 = 1;

    /// How often the conductor writes, changed or not.
    pub const HEARTBEAT: Duration = Duration::from_secs(15);

    /// How long the conductor's lease lasts without being renewed.
    pub const LEASE: Duration = Duration::from_secs(60);

    /// How often a worker reads.
    pub const LOOK: Duration = Duration::from_secs(3);

    /// How old the latest answer may be when a target starts: so long after `Draining` is stored, none does.
    pub const FRESH: Duration = Duration::from_secs(5);

    /// With a heartbeat older than this and nothing in the queue, workers exit.
    pub const ABANDONED: Duration = Duration::from_secs(600);

    /// An open run without waves.
    pub fn new(run_id: Uuid) -> Self {
        Self {
            version: Self::VERSION,
            run_id,
            phase: Phase::Open,
            conductor: String::new(),
            opening: first(),
            early: None,
            roll_back: false,
            resumed: false,
            doubled: false,
            waves: Vec::new(),
            sequence: 1,
        }
    }

    /// Reads what was stored.
    pub fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        document::read("the control document", Self::VERSION, bytes)
    }

    /// What is stored.
    pub fn to_json(&self) -> Vec<u8> {
        // A structure of texts, numbers and lists cannot fail to become JSON.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As version 1 was first written.
    const STORED: &str = r#"{
        "version": 1, "runId": "0f8fad5b-d9cb-469f-a165-70867728950e", "phase": "Draining",
        "early": {"by": "Halted", "why": "3 of 9 targets failed"}, "resumed": true, "doubled": false,
        "waves": [{"targets": 3, "enqueueing": true, "enqueued": true, "settled": false}], "sequence": 7
    }"#;

    #[test]
    fn what_was_stored_is_read() {
        let control = Control::read(STORED.as_bytes()).unwrap();
        assert_eq!(
            (control.phase, control.sequence, control.resumed),
            (Phase::Draining, 7, true)
        );
        assert_eq!(control.early.as_ref().unwrap().by, EndedBy::Halted);
        assert_eq!(control.waves[0].targets, 3);
        assert_eq!(Control::read(&control.to_json()).unwrap(), control);
        let new = Control::new(control.run_id);
        assert_eq!(Control::read(&new.to_json()).unwrap(), new);
    }

    #[test]
    fn fields_of_later_programs_are_ignored_and_their_versions_refused_by_name() {
        let more = STORED.replacen('{', r#"{"mood": "good","#, 1);
        assert!(Control::read(more.as_bytes()).is_ok());
        let error = Control::read(br#"{"version": 2, "phase": ["other"]}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the control document has version 2; this program reads version 1"
        );
        for bad in ["", "[]", r#"{"version": 1}"#, "{\"version\": \"1\"}"] {
            let error = Control::read(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("is not what it should be"), "{error}");
        }
    }

    #[test]
    fn phases_go_one_way() {
        assert!(Phase::Open < Phase::Draining && Phase::Draining < Phase::Closed);
    }
}
