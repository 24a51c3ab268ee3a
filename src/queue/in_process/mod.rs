//! The queue of a run whose workers are tasks of one process.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    clock::Moment,
    protocol::{Concurrency, Platform, Target},
};

use super::{
    Counts, Dead, Delivery, Error, Purpose, Queue, Received, WORN_OUT,
    window::{FOR_EVER, GivenBack, Pending, Window},
};

/// Targets in memory, handed out through a sliding window.
///
/// `Count` has `limit` targets in flight in total; the other types have one or `limit` per server or tag, and
/// `max_slots` in total. A free slot is filled as soon as any group may use it. Locks do not end, because the queue ends
/// with the process that holds them. All tasks are one receiver, and nobody else can hand targets in: once everything is
/// settled, receivers get [`Received::Closed`], so targets must be handed in before the first call of `receive`.
#[derive(Debug)]
pub struct InProcess {
    state: Mutex<State>,
    /// Told of everything that may let a waiting `receive` go on.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    window: Window,
    dead: Vec<Dead>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Closed,
    Removed,
}

impl InProcess {
    /// An empty, open queue for targets on `platform`.
    pub fn new(platform: Platform, concurrency: Concurrency) -> Self {
        Self {
            state: Mutex::new(State {
                window: Window::new(platform, concurrency),
                dead: Vec::new(),
                phase: Phase::Open,
            }),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No step under the lock leaves the state half changed, so that a panic elsewhere does not matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settles a delivery by way of `step` and lets a waiting `receive` use the slot.
    fn settle(
        &self,
        delivery: &Delivery,
        step: impl FnOnce(&mut State) -> bool,
    ) -> Result<(), Error> {
        let (settled, is_empty) = {
            let mut state = self.state();
            let settled = step(&mut state);
            (settled, state.window.is_empty())
        };
        if !settled {
            return Err(Error::lock_lost(delivery));
        }
        if is_empty {
            self.changed.notify_waiters();
        } else {
            // One settled delivery makes room for one other; a notice to a future that is dropped goes to the next.
            self.changed.notify_one();
        }
        Ok(())
    }
}

impl State {
    fn find(&mut self) -> Received {
        match self.phase {
            Phase::Removed => Received::Gone,
            Phase::Closed => Received::Closed,
            Phase::Open => match self.window.take() {
                Some(delivery) => Received::Delivery(Box::new(delivery)),
                None if self.window.is_empty() => Received::Closed,
                None => Received::Nothing,
            },
        }
    }

    fn bury(&mut self, pending: Pending, reason: &str, description: &str) {
        self.dead.push(Dead {
            target: pending.target,
            purpose: pending.purpose,
            count: pending.deliveries,
            reason: reason.to_owned(),
            description: description.to_owned(),
        });
    }
}

impl fmt::Display for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue in this process")
    }
}

#[async_trait]
impl Queue for InProcess {
    async fn create(&self) -> Result<(), Error> {
        self.state().phase = Phase::Open;
        Ok(())
    }

    async fn send_all(&self, targets: Vec<Target>, purpose: Purpose) -> Result<(), Error> {
        {
            let mut state = self.state();
            let queue = self.to_string();
            match state.phase {
                Phase::Open => {}
                Phase::Closed => return Err(Error::Closed { queue }),
                Phase::Removed => return Err(Error::Gone { queue }),
            }
            for target in targets {
                state.window.push(target, purpose);
            }
        }
        self.changed.notify_waiters();
        Ok(())
    }

    async fn receive(&self, wait: Duration) -> Result<Received, Error> {
        let found = async {
            loop {
                // Waiting begins before the look, so that a change in between is not missed.
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                let received = self.state().find();
                match received {
                    Received::Nothing => changed.await,
                    received => return received,
                }
            }
        };
        let found = tokio::time::timeout(wait.min(FOR_EVER), found).await;
        Ok(found.unwrap_or(Received::Nothing))
    }

    async fn renew(&self, delivery: &Delivery) -> Result<Moment, Error> {
        if self.state().window.is_in_flight(delivery.id) {
            Ok(Moment::now() + FOR_EVER)
        } else {
            Err(Error::lock_lost(delivery))
        }
    }

    async fn complete(&self, delivery: &Delivery) -> Result<(), Error> {
        self.settle(delivery, |state| {
            state.window.take_out(delivery.id).is_some()
        })
    }

    async fn abandon(&self, delivery: &Delivery) -> Result<(), Error> {
        self.settle(delivery, |state| match state.window.abandon(delivery.id) {
            GivenBack::Pending => true,
            GivenBack::Unknown => false,
            GivenBack::WornOut(pending) => {
                state.bury(pending, WORN_OUT.0, WORN_OUT.1);
                true
            }
        })
    }

    async fn dead_letter(
        &self,
        delivery: &Delivery,
        reason: &str,
        description: &str,
    ) -> Result<(), Error> {
        self.settle(delivery, |state| match state.window.take_out(delivery.id) {
            Some(pending) => {
                state.bury(pending, reason, description);
                true
            }
            None => false,
        })
    }

    async fn counts(&self) -> Result<Counts, Error> {
        let state = self.state();
        if state.phase == Phase::Removed {
            return Err(Error::Gone {
                queue: self.to_string(),
            });
        }
        Ok(Counts {
            dead: state.dead.len(),
            closed: state.phase == Phase::Closed,
            ..state.window.counts()
        })
    }

    async fn dead(&self) -> Result<Vec<Dead>, Error> {
        Ok(self.state().dead.clone())
    }

    async fn close(&self) -> Result<Vec<Target>, Error> {
        let pending = {
            let mut state = self.state();
            if state.phase == Phase::Open {
                state.phase = Phase::Closed;
            }
            state.window.drain()
        };
        self.changed.notify_waiters();
        Ok(pending)
    }

    async fn remove(&self) -> Result<(), Error> {
        {
            let mut state = self.state();
            state.window.clear();
            state.dead.clear();
            state.phase = Phase::Removed;
        }
        self.changed.notify_waiters();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
