//! What earlier deliveries of a target have left in the result lines of all workers.

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use crate::{
    protocol::{ResultLine, RunPaths, State, TargetKey},
    storage::{Error, ResultReader, Storage},
};

/// Starts without an outcome, after which a target is not tried again.
pub(super) const MOST_STARTS: usize = 5;

/// The lines of all workers, as far as they have been read. Only deliveries that come again ask for them.
#[derive(Debug)]
pub(super) struct Past {
    reader: ResultReader,
    targets: HashMap<TargetKey, Attempts>,
}

/// The attempts at one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    /// Those that have begun and not ended.
    open: Vec<Uuid>,
    ended: Vec<Uuid>,
    has_final: bool,
}

impl Past {
    pub(super) fn new(storage: Arc<dyn Storage>, paths: &RunPaths) -> Self {
        Self {
            reader: ResultReader::new(storage, paths),
            targets: HashMap::new(),
        }
    }

    /// What is known of `key` by all lines that are stored now.
    pub(super) async fn of(&mut self, key: &TargetKey) -> Result<Attempts, Error> {
        let targets = &mut self.targets;
        self.reader
            .read(|line| targets.entry(line.key.clone()).or_default().note(&line))
            .await?;
        Ok(self.targets.get(key).cloned().unwrap_or_default())
    }
}

impl Attempts {
    fn note(&mut self, line: &ResultLine) {
        let id = line.attempt_id;
        let has_ended = self.ended.contains(&id);
        if is_start(line) {
            if !has_ended && !self.open.contains(&id) {
                self.open.push(id);
            }
            return;
        }
        if line.is_final {
            // What was before it is never asked for again, and a fleet has many targets.
            *self = Self {
                has_final: true,
                ..Self::default()
            };
            return;
        }
        self.open.retain(|open| *open != id);
        if !has_ended {
            self.ended.push(id);
        }
    }

    /// Attempts of which nobody has told the end.
    pub(super) fn without_outcome(&self) -> usize {
        self.open.len()
    }

    /// Attempts that have ended without a last word.
    pub(super) fn without_last_word(&self) -> usize {
        self.ended.len()
    }

    /// Whether a worker has said its last word.
    pub(super) fn has_final(&self) -> bool {
        self.has_final
    }
}

/// The line that says that an attempt begins: the one of the same attempt that says how it ended follows.
pub(super) fn start_of(line: &ResultLine) -> ResultLine {
    ResultLine {
        state: State::Unknown,
        is_final: false,
        finished: line.started,
        ..line.clone()
    }
}

/// Whether a line says that an attempt begins. One that ended without knowing anything says why.
pub(super) fn is_start(line: &ResultLine) -> bool {
    line.state == State::Unknown && !line.is_final && line.errors.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{ErrorReport, Pair, Platform, Target};

    fn line(state: State, attempt: u128, is_final: bool) -> ResultLine {
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
        line
    }

    #[test]
    fn only_starts_without_an_outcome_count_in_whatever_order_lines_come() {
        let mut ended = line(State::Unknown, 3, false);
        ended.errors.push(ErrorReport::default());
        let mut lines = [
            start_of(&line(State::RolledBack, 1, true)),
            start_of(&line(State::RolledBack, 2, true)),
            line(State::RolledBack, 2, false),
            start_of(&ended),
            ended,
            start_of(&line(State::RolledBack, 1, true)),
        ];
        for _ in 0..2 {
            let mut attempts = Attempts::default();
            lines.iter().for_each(|line| attempts.note(line));
            assert_eq!(
                (attempts.without_outcome(), attempts.has_final()),
                (1, false)
            );
            lines.reverse();
        }
        let mut attempts = Attempts::default();
        attempts.note(&line(State::Busy, 4, true));
        assert!(attempts.has_final());
    }

    #[test]
    fn of_a_target_with_a_last_word_nothing_else_is_kept() {
        let mut attempts = Attempts::default();
        for id in 1..=3 {
            attempts.note(&start_of(&line(State::RolledBack, id, false)));
        }
        attempts.note(&line(State::RolledBack, 1, false));
        assert_eq!(attempts.without_outcome(), 2);
        assert_eq!(attempts.without_last_word(), 1);
        attempts.note(&line(State::RolledBack, 3, true));
        let last = Attempts {
            has_final: true,
            ..Attempts::default()
        };
        assert_eq!(attempts, last);
        // A run that was resumed may try it again.
        attempts.note(&start_of(&line(State::RolledBack, 4, false)));
        assert_eq!(attempts.without_outcome(), 1);
    }
}
