//! What a receiver takes in and holds: a window of credit over the links of a queue.
//!
//! `state` knows what is there and decides who gets what, without waiting for anything. A task per link (`link`) brings messages and
//! takes settlements away, `accept` finds sessions, `settle` ends deliveries and renews their locks, `drain` empties the queue, and
//! `janitor` gives back what nobody asks for.

mod accept;
mod drain;
mod janitor;
mod link;
mod settle;
mod state;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until},
};

pub(super) use settle::Settlement;
use state::{Next, Start, State};

use super::{Options, ServiceBus, options::Limits};
use crate::{azure::amqp::Error, queue::Received};

/// Longer than any machine runs.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// One receiver of a queue.
pub(in crate::azure::service_bus) struct Intake {
    bus: Arc<ServiceBus>,
    options: Arc<Options>,
    /// Where messages come from.
    source: String,
    state: Mutex<State>,
    /// Told of everything that may let a waiting `receive` go on.
    changed: Notify,
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Intake({})", self.source)
    }
}

/// Counts whoever waits, also when they are dropped.
struct Waiting<'a>(&'a Intake);

impl<'a> Waiting<'a> {
    fn new(intake: &'a Intake) -> Self {
        intake.state().begin_to_wait();
        Self(intake)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().end_to_wait();
    }
}

impl Intake {
    pub(super) fn new(bus: Arc<ServiceBus>, options: Arc<Options>) -> Self {
        let limits = Limits::new(&options);
        Self {
            source: bus.source(&options.subscription()),
            bus,
            state: Mutex::new(State::new(limits, options.has_sessions(), options.lock)),
            options,
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No step under the lock leaves the state half changed, so that a panic elsewhere does not matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many deliveries this receiver has.
    pub(super) fn in_flight(&self) -> usize {
        self.state().in_flight()
    }

    /// The next delivery that the limits allow. Dropping the future loses nothing.
    pub(super) async fn receive(
        self: &Arc<Self>,
        wait: Duration,
        mut is_closed: watch::Receiver<bool>,
    ) -> Result<Received, Error> {
        janitor::begin(self);
        let _waiting = Waiting::new(self);
        let now = Instant::now();
        let until = now + wait.min(FOR_EVER);
        let least = now + wait.max(self.options.least_wait).min(FOR_EVER);
        loop {
            // Waiting begins before the look, so that a change in between is not missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if *is_closed.borrow_and_update() {
                return Ok(Received::Closed);
            }
            let (next, start) = self.state().next();
            self.start(start);
            let deadline = match next {
                Next::Delivery(delivery) => return Ok(Received::Delivery(delivery)),
                Next::Trouble(error) => return Err(error),
                Next::Full => until,
                Next::Nothing => least,
            };
            tokio::select! {
                () = changed => {}
                closed = is_closed.changed() => {
                    if closed.is_err() {
                        return Ok(Received::Closed);
                    }
                }
                () = sleep_until(deadline) => return Ok(Received::Nothing),
            }
        }
    }

    /// Starts what the state wants to be started.
    fn start(self: &Arc<Self>, start: Start) {
        for begun in start.links {
            tokio::spawn(accept::accept(Arc::downgrade(self), begun));
        }
    }

    /// Forgets everything: the queue is another one now.
    pub(in crate::azure::service_bus) fn reset(&self) {
        self.state().reset();
        self.changed.notify_waiters();
    }
}
