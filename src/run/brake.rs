//! The brake: at the failure that is one too many, no target starts any more.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    events::{self, Events},
    protocol::{Event, EventKind, FailureBudget, State},
    worker::Shutdown,
};

/// Hands events on, and counts the failures among them.
///
/// The worker tells of a result before it takes the next target, and is stopped right there: an observer of the events
/// would stop it only after a few more have started.
#[derive(Debug)]
pub(super) struct Brake {
    events: events::InProcess,
    budget: Option<FailureBudget>,
    targets: usize,
    failed: AtomicUsize,
    shutdown: Shutdown,
}

impl Brake {
    /// Tells `shutdown` to drain when `budget` is exceeded; never without one.
    pub(super) fn new(
        events: events::InProcess,
        budget: Option<FailureBudget>,
        targets: usize,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            events,
            budget,
            targets,
            failed: AtomicUsize::new(0),
            shutdown,
        }
    }

    fn count(&self, event: &Event) {
        let (Some(budget), EventKind::Finished { line }) = (self.budget, &event.kind) else {
            return;
        };
        if !line.is_final || line.state.is_success() || line.state == State::Skipped {
            return;
        }
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        if budget.exceeded(failed, self.targets) {
            self.shutdown.drain();
        }
    }
}

impl fmt::Display for Brake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events.fmt(f)
    }
}

impl Events for Brake {
    fn publish(&self, event: Event) {
        self.count(&event);
        self.events.publish(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::fixtures::{failed, line};

    #[test]
    fn the_failure_after_the_last_allowed_one_stops_the_intake() {
        let shutdown = Shutdown::new();
        let (events, mut told) = events::InProcess::new();
        let brake = Brake::new(events, Some("1".parse().unwrap()), 9, shutdown.clone());
        let mut not_final = failed("s", "d", "a.sql", "no");
        not_final.is_final = false;
        let bad = || failed("s", "d", "a.sql", "no");
        let good = line("s", "d", State::Committed);
        for (line, drains) in [
            (bad(), false),
            (not_final, false),
            (good, false),
            (bad(), true),
        ] {
            brake.publish(Event {
                run_id: line.run_id,
                key: line.key.clone(),
                at: line.finished,
                kind: EventKind::Finished {
                    line: Box::new(line),
                },
            });
            assert!(told.try_recv().is_ok());
            assert_eq!(shutdown.is_draining(), drains);
        }
    }
}
