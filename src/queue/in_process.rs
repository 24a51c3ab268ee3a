//! The queue of a run whose workers are tasks of one process.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::protocol::{Concurrency, Platform, Target};

use super::{Counts, Delivery, Error, Queue, window::Window};

/// Targets in memory, handed out through a sliding window.
///
/// `Count` has `limit` targets in flight in total; the other types have one or `limit` per server or tag, and
/// `max_slots` in total. A free slot is filled as soon as any group may use it.
#[derive(Debug)]
pub struct InProcess {
    state: Mutex<State>,
    /// Told of everything that may let a waiting `receive` go on.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    window: Window,
    is_closed: bool,
}

/// What a `receive` finds.
enum Found {
    Target(Box<Delivery>),
    NothingNow,
    NothingEver,
}

impl InProcess {
    /// An empty queue for targets on `platform`.
    pub fn new(platform: Platform, concurrency: Concurrency) -> Self {
        Self {
            state: Mutex::new(State {
                window: Window::new(platform, concurrency),
                is_closed: false,
            }),
            changed: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No step under the lock leaves the state half changed, so that a panic elsewhere does not matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self) -> Found {
        let mut state = self.state();
        if state.is_closed {
            return Found::NothingEver;
        }
        match state.window.take() {
            Some(delivery) => Found::Target(Box::new(delivery)),
            None if state.window.counts() == Counts::default() => Found::NothingEver,
            None => Found::NothingNow,
        }
    }

    /// Settles a delivery by way of `step` and lets a waiting `receive` use the slot.
    fn settle(
        &self,
        delivery: &Delivery,
        step: impl FnOnce(&mut Window) -> bool,
    ) -> Result<(), Error> {
        let (settled, is_empty) = {
            let mut state = self.state();
            let settled = step(&mut state.window);
            (settled, state.window.counts() == Counts::default())
        };
        if !settled {
            return Err(Error::NotInFlight {
                id: delivery.id,
                target: delivery.target.to_string(),
            });
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

impl fmt::Display for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue in this process")
    }
}

#[async_trait]
impl Queue for InProcess {
    async fn send_all(&self, targets: Vec<Target>) -> Result<(), Error> {
        {
            let mut state = self.state();
            if state.is_closed {
                return Err(Error::Closed {
                    queue: self.to_string(),
                });
            }
            for target in targets {
                state.window.push(target);
            }
        }
        self.changed.notify_waiters();
        Ok(())
    }

    async fn receive(&self) -> Result<Option<Delivery>, Error> {
        loop {
            // Waiting begins before the look, so that a change in between is not missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            match self.find() {
                Found::Target(delivery) => return Ok(Some(*delivery)),
                Found::NothingEver => return Ok(None),
                Found::NothingNow => changed.await,
            }
        }
    }

    async fn complete(&self, delivery: &Delivery) -> Result<(), Error> {
        self.settle(delivery, |window| window.complete(delivery.id))
    }

    async fn abandon(&self, delivery: &Delivery) -> Result<(), Error> {
        self.settle(delivery, |window| window.abandon(delivery.id))
    }

    async fn counts(&self) -> Result<Counts, Error> {
        Ok(self.state().window.counts())
    }

    async fn close(&self) -> Result<Vec<Target>, Error> {
        let pending = {
            let mut state = self.state();
            state.is_closed = true;
            state.window.drain()
        };
        self.changed.notify_waiters();
        Ok(pending)
    }
}

#[cfg(test)]
mod tests;
