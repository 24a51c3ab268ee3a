//! A target from the queue to its result line, with the repetitions that may help.

use std::{sync::Arc, time::Duration};

use super::{
    Worker,
    attempt::{Attempt, Halt, Outcome, Retry},
    hold::Hold,
};
use crate::{
    engine::{Backoff, ledger::Progress},
    protocol::{EventKind, ResultLine, State},
};
use jiff::Timestamp;

/// Repetitions after dead-locks, serialization failures and lost connections.
const TRANSIENT_RETRIES: u32 = 3;

/// What is known of a target before it is built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Nothing of this run has certainly touched it before.
    pub(super) fresh: bool,
    /// Without a last word it is handed out again, or looked into by another worker.
    pub(super) comes_back: bool,
}

/// Builds the target of a delivery and completes its line.
pub(super) async fn build(
    worker: Arc<Worker>,
    hold: Arc<Hold>,
    mut line: ResultLine,
    known: Known,
) -> ResultLine {
    let (target, key) = (line.target.clone(), line.key.clone());
    worker.event(
        &key,
        EventKind::Started {
            name: target.to_string(),
        },
    );
    let mut log = worker.open_log(&target);
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));
    let mut budget = Budget::new(&worker);
    let outcome = loop {
        let mut attempt = Attempt::new(&worker, &target, &key, &hold, &mut log);
        let mut halt = match attempt.run().await {
            Ok(outcome) => break outcome,
            Err(halt) => halt,
        };
        attempt.abandon(&mut halt).await;
        let ended = give_up(&mut attempt, halt, known);
        // The connections go before the pause, and the locks with them.
        drop(attempt);
        let (mut outcome, retry) = ended;
        if !budget.allows(retry) {
            break outcome;
        }
        log::debug!("{target}: tried again after {}", first_message(&outcome));
        if hold.is_draining() || !backoff.wait(hold.stop_token()).await {
            // The try that this worker has no time for is another's.
            outcome.is_final = false;
            break outcome;
        }
        line.retries += 1;
        log.line(&format!("-- tried again: {}", first_message(&outcome)));
    };
    fill(&mut line, outcome);
    log::debug!("{target}: {}", line.state);
    log.line(&format!("-- {}", line.state));
    line
}

/// How often a target may still be built again, by the reason.
struct Budget {
    timeouts: u32,
    transients: u32,
}

impl Budget {
    fn new(worker: &Worker) -> Self {
        if !worker.prepared.transactional {
            return Self {
                timeouts: 0,
                transients: 0,
            };
        }
        Self {
            timeouts: worker.job.build.timeout_retry_count,
            transients: TRANSIENT_RETRIES,
        }
    }

    fn allows(&mut self, retry: Retry) -> bool {
        let left = match retry {
            Retry::No => return false,
            Retry::Timeout => &mut self.timeouts,
            Retry::Transient | Retry::Lost => &mut self.transients,
        };
        let allowed = *left > 0;
        *left = left.saturating_sub(1);
        allowed
    }
}

/// What a broken-off attempt says about its target: what earlier attempts of this run have left counts, too.
fn give_up(attempt: &mut Attempt<'_>, halt: Halt, known: Known) -> (Outcome, Retry) {
    let mut outcome = attempt.outcome(halt.state);
    outcome.is_final = is_final(&halt, known);
    if !attempt.ledger_read && !known.fresh {
        // An earlier attempt may have committed; without a look into the ledger nothing is known.
        outcome.state = Some(State::Unknown);
        outcome.is_final = is_last_word(&halt, known);
    }
    outcome.errors.extend(halt.error);
    if !attempt.ledger_read {
        return (outcome, halt.retry);
    }
    match halt.state {
        State::PartlyCommitted => (outcome.committed, outcome.missing) = attempt.split(),
        State::RolledBack => {
            let has = |progress| {
                attempt
                    .databases
                    .iter()
                    .any(|database| database.before == Some(progress))
            };
            if has(Progress::Failed) || has(Progress::Started) {
                outcome.state = Some(State::Failed);
            } else if has(Progress::Committed) {
                outcome.state = Some(State::PartlyCommitted);
                (outcome.committed, outcome.missing) = attempt.split_before();
            }
        }
        _ => {}
    }
    (outcome, halt.retry)
}

/// Whether a broken-off attempt is the last word on its target.
fn is_final(halt: &Halt, known: Known) -> bool {
    if known.comes_back && halt.retry == Retry::Lost && halt.state == State::RolledBack {
        return false;
    }
    halt.is_final
}

/// Whether not to know what became of a target is the last word on it. Who has waited for a lock as long as the user wants
/// does not come back at once to wait again, unless others do the waiting.
fn is_last_word(halt: &Halt, known: Known) -> bool {
    halt.state == State::Busy && !known.comes_back
}

fn first_message(outcome: &Outcome) -> &str {
    outcome.errors.first().map_or("", |error| &error.message)
}

/// Puts the outcome into the line.
pub(super) fn fill(line: &mut ResultLine, outcome: Outcome) {
    line.state = outcome.state.unwrap_or(State::Unknown);
    line.is_final = outcome.is_final;
    line.errors = outcome.errors;
    line.warnings = outcome.warnings;
    line.committed = outcome.committed;
    line.missing = outcome.missing;
    line.finished = Timestamp::now();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Error;

    fn known(comes_back: bool) -> Known {
        Known {
            fresh: false,
            comes_back,
        }
    }

    #[test]
    fn a_lost_connection_is_no_last_word_where_others_go_on() {
        let lost = Attempt::halt("d", &Error::Lost("gone".into()));
        assert_eq!(lost.state, State::RolledBack);
        assert!(!is_final(&lost, known(true)) && is_final(&lost, known(false)));
        let mut failed = lost;
        failed.state = State::Failed;
        assert!(is_final(&failed, known(true)));
        let stopped = Attempt::halt("d", &Error::Stopped);
        assert!(!is_final(&stopped, known(true)) && !is_final(&stopped, known(false)));
    }

    #[test]
    fn not_to_know_is_no_last_word_where_others_go_on() {
        let mut halt = Attempt::halt("d", &Error::Stopped);
        assert!(!is_last_word(&halt, known(true)) && !is_last_word(&halt, known(false)));
        halt.state = State::Busy;
        assert!(!is_last_word(&halt, known(true)) && is_last_word(&halt, known(false)));
    }
}
