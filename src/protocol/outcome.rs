//! What became of a target: states, result lines, and their merge into a verdict.

use std::{cmp::Ordering, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Target, TargetKey};

/// The state of one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum State {
    /// Everything is committed.
    Committed,
    /// This run had committed it before; nothing ran this time.
    AlreadyCommitted,
    /// A trial succeeded and was rolled back.
    TrialRolledBack,
    /// An error occurred; nothing of the build remains.
    RolledBack,
    /// An error occurred outside a transaction, or the scripts ended it; a part may have been applied.
    Failed,
    /// Some of the target's databases are committed, others are not.
    PartlyCommitted,
    /// An earlier attempt of a non-transactional build ended without a word; how far it got is not known.
    Interrupted,
    /// Another build held the database for longer than the lock wait.
    Busy,
    /// The build was started several times and never came to an end.
    Crashed,
    /// It was halted or cancelled before it started.
    Skipped,
    /// There is no evidence.
    Unknown,
}

impl State {
    /// Every state, in the order in which reports list them.
    pub const ALL: [Self; 11] = [
        Self::Committed,
        Self::AlreadyCommitted,
        Self::TrialRolledBack,
        Self::RolledBack,
        Self::Failed,
        Self::PartlyCommitted,
        Self::Interrupted,
        Self::Busy,
        Self::Crashed,
        Self::Skipped,
        Self::Unknown,
    ];

    /// Whether the target is as its user wanted it.
    pub fn is_success(self) -> bool {
        matches!(
            self,
            Self::Committed | Self::AlreadyCommitted | Self::TrialRolledBack
        )
    }

    /// Whether running the target again as it is could be wrong, so that a person must look first.
    pub fn is_unresolved(self) -> bool {
        matches!(
            self,
            Self::Unknown | Self::Interrupted | Self::PartlyCommitted
        )
    }

    /// How much a state outweighs others in the merge: what has happened in a database outweighs what has not.
    fn weight(self) -> u8 {
        match self {
            Self::Committed => 10,
            Self::AlreadyCommitted => 9,
            Self::PartlyCommitted => 8,
            Self::Failed => 7,
            Self::Interrupted => 6,
            Self::RolledBack => 5,
            Self::Crashed => 4,
            Self::Busy => 3,
            Self::TrialRolledBack => 2,
            Self::Skipped => 1,
            Self::Unknown => 0,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// An error of a database, led back to the line that caused it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ErrorReport {
    /// The script file; none when the error has no script (a login that fails).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The line in the script file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The real database in which it occurred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The server's error number or SQLSTATE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The server's severity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// What the server said.
    pub message: String,
    /// The first 200 characters of the statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
}

/// One line of a worker's results: what one attempt made of a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultLine {
    /// The version of this form.
    pub version: u32,
    /// The run.
    pub run_id: Uuid,
    /// The identity of the target.
    pub key: TargetKey,
    /// The target itself, so that lists for a re-run lose nothing.
    pub target: Target,
    /// This attempt.
    pub attempt_id: Uuid,
    /// Who made it.
    pub worker: String,
    /// What became of it.
    pub state: State,
    /// Whether nobody will try again: a build that was rolled back by a fence, a drain or a lost connection is not.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// When the attempt began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// How often the build was repeated after time-outs and transient errors.
    #[serde(default)]
    pub retries: u32,
    /// The errors, the decisive one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ErrorReport>,
    /// What went wrong without changing the state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The databases that are committed, where not all are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub committed: Vec<String>,
    /// The databases that are not committed, where some are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

impl ResultLine {
    /// The version that this program writes.
    pub const VERSION: u32 = 1;

    /// A line without details.
    pub fn new(run_id: Uuid, key: TargetKey, target: Target, worker: &str, state: State) -> Self {
        let now = Timestamp::now();
        Self {
            version: Self::VERSION,
            run_id,
            key,
            target,
            attempt_id: Uuid::new_v4(),
            worker: worker.to_owned(),
            state,
            is_final: true,
            started: now,
            finished: now,
            retries: 0,
            errors: Vec::new(),
            warnings: Vec::new(),
            committed: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// The total order of evidence about one target: a final line outweighs one that is not, then the state decides;
    /// the rest only makes the choice independent of the order of arrival.
    fn evidence(&self, other: &Self) -> Ordering {
        self.is_final
            .cmp(&other.is_final)
            .then_with(|| self.state.weight().cmp(&other.state.weight()))
            .then_with(|| self.finished.cmp(&other.finished))
            .then_with(|| self.attempt_id.cmp(&other.attempt_id))
    }
}

/// The weightier of two lines about one target. Commutative, associative and idempotent, so lines may come in any order
/// and more than once.
pub fn merge(left: ResultLine, right: ResultLine) -> ResultLine {
    if left.evidence(&right) == Ordering::Less {
        right
    } else {
        left
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::{Pair, Platform};

    fn line(state: State, is_final: bool, second: i64, attempt: u128) -> ResultLine {
        let target = Target {
            server: "s".into(),
            pairs: vec![Pair {
                default: String::new(),
                database: "d".into(),
            }],
            tag: None,
        };
        let key = target.key(Platform::Sqlite);
        let mut line = ResultLine::new(Uuid::nil(), key, target, "w", state);
        line.attempt_id = Uuid::from_u128(attempt);
        line.is_final = is_final;
        line.started = Timestamp::UNIX_EPOCH;
        line.finished = Timestamp::from_second(second).unwrap();
        line
    }

    fn lines() -> impl Strategy<Value = Vec<ResultLine>> {
        let one = (0..State::ALL.len(), any::<bool>(), 0_i64..4, 0_u128..4).prop_map(
            |(state, is_final, second, attempt)| line(State::ALL[state], is_final, second, attempt),
        );
        proptest::collection::vec(one, 1..8)
    }

    fn fold(lines: &[ResultLine]) -> ResultLine {
        lines.iter().cloned().reduce(merge).unwrap()
    }

    proptest! {
        #[test]
        fn merge_is_commutative_and_idempotent(lines in lines(), seed in any::<u64>()) {
            let once = fold(&lines);
            let mut shuffled = [lines.clone(), lines].concat();
            fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
            let again = fold(&shuffled);
            prop_assert_eq!((once.state, once.is_final), (again.state, again.is_final));
        }

        #[test]
        fn a_commit_is_never_lost(lines in lines()) {
            let committed = line(State::Committed, true, 0, 9);
            let all = [lines, vec![committed]].concat();
            prop_assert_eq!(fold(&all).state, State::Committed);
        }
    }

    #[test]
    fn states_outweigh_each_other_in_the_documented_order() {
        let order = [
            State::Committed,
            State::PartlyCommitted,
            State::Failed,
            State::Interrupted,
            State::RolledBack,
            State::Crashed,
            State::Busy,
            State::TrialRolledBack,
            State::Skipped,
            State::Unknown,
        ];
        for pair in order.windows(2) {
            let merged = merge(line(pair[1], true, 9, 9), line(pair[0], true, 0, 0));
            assert_eq!(merged.state, pair[0]);
        }
        let merged = merge(
            line(State::RolledBack, false, 9, 9),
            line(State::Skipped, true, 0, 0),
        );
        assert_eq!(merged.state, State::Skipped);
    }
}
