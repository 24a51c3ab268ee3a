//! The locks of all deliveries in this worker's hands: renewed in time, and the builds told when that fails.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{sync::Notify, time::MissedTickBehavior};

use super::{Shutdown, hold::Hold};
use crate::{
    clock::Moment,
    queue::{Delivery, DeliveryId, Error, Queue},
};

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(250);

/// Every delivery that is not settled.
#[derive(Debug)]
pub(super) struct Locks {
    queue: Arc<dyn Queue>,
    held: Mutex<HashMap<DeliveryId, Arc<Hold>>>,
    changed: Notify,
}

/// A delivery whose lock is kept as long as this lives.
#[derive(Debug)]
pub(super) struct Held {
    locks: Arc<Locks>,
    hold: Arc<Hold>,
}

/// What shares one lock: a session, or one delivery.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Lock {
    Session(String),
    Delivery(DeliveryId),
}

/// A renewal that was answered, or not in time.
struct Renewed {
    hold: Arc<Hold>,
    asked: Moment,
    answer: Option<Result<Moment, Error>>,
}

impl Held {
    /// For the task that builds.
    pub(super) fn share(&self) -> Arc<Hold> {
        Arc::clone(&self.hold)
    }
}

impl Deref for Held {
    type Target = Hold;

    fn deref(&self) -> &Hold {
        &self.hold
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.locks.held().remove(&self.hold.delivery.id);
    }
}

impl Locks {
    pub(super) fn new(queue: Arc<dyn Queue>) -> Self {
        Self {
            queue,
            held: Mutex::new(HashMap::new()),
            changed: Notify::new(),
        }
    }

    /// Takes a delivery over. Its build hears what is said to `ends`, and what its lock means.
    pub(super) fn hold(self: &Arc<Self>, delivery: Delivery, ends: &Shutdown) -> Held {
        let hold = Arc::new(Hold::new(delivery, ends));
        self.held().insert(hold.delivery.id, Arc::clone(&hold));
        self.changed.notify_one();
        Held {
            locks: Arc::clone(self),
            hold,
        }
    }

    /// Keeps all locks, for ever. Has to run beside everything else, and not to be held up by it.
    pub(super) async fn keep(&self) -> Infallible {
        let mut renewals = FuturesUnordered::new();
        let mut asked: HashSet<Lock> = HashSet::new();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if renewals.is_empty() && !self.any_ends() {
                self.changed.notified().await;
                continue;
            }
            tokio::select! {
                _ = ticks.tick() => {
                    for hold in self.due(&asked) {
                        asked.insert(lock_of(&hold));
                        renewals.push(self.renew(hold));
                    }
                }
                Some(renewed) = renewals.next() => {
                    asked.remove(&lock_of(&renewed.hold));
                    self.note(renewed);
                }
            }
        }
    }

    /// Whether anything is not settled.
    pub(super) fn holds_any(&self) -> bool {
        !self.held().is_empty()
    }

    fn any_ends(&self) -> bool {
        self.held().values().any(|hold| hold.fence().ends())
    }

    /// Tells all builds what the clock says; one delivery for each lock that has to be renewed and is not being renewed.
    fn due(&self, asked: &HashSet<Lock>) -> Vec<Arc<Hold>> {
        let now = Moment::now();
        let mut due: HashMap<Lock, Arc<Hold>> = HashMap::new();
        for hold in self.all() {
            hold.look();
            let lock = lock_of(&hold);
            if !asked.contains(&lock) && !hold.is_settling() && hold.fence().is_due(now) {
                due.entry(lock).or_insert(hold);
            }
        }
        due.into_values().collect()
    }

    async fn renew(&self, hold: Arc<Hold>) -> Renewed {
        let asked = Moment::now();
        let patience = hold.fence().patience();
        let answer = tokio::time::timeout(patience, self.queue.renew(&hold.delivery))
            .await
            .ok();
        Renewed {
            hold,
            asked,
            answer,
        }
    }

    fn note(&self, renewed: Renewed) {
        let Renewed {
            hold,
            asked,
            answer,
        } = renewed;
        let (now, target) = (Moment::now(), &hold.delivery.target);
        let sharing = self.sharing(&hold);
        match answer {
            Some(Ok(until)) => sharing
                .iter()
                .for_each(|other| other.fence().renewed(until, asked)),
            Some(Err(Error::LockLost { .. })) => {
                // Who has settled a delivery meanwhile has not lost the lock that it shares with others.
                let is_lost = !hold.is_settling() && self.is_held(&hold);
                for other in sharing {
                    if is_lost {
                        log::warn!(
                            "{}: its message may be somebody else's by now; its build is rolled back",
                            other.delivery.target
                        );
                        other.fence().lost(now);
                        other.look();
                    } else if !Arc::ptr_eq(&other, &hold) {
                        other.fence().renew_at_once(now);
                    }
                }
            }
            Some(Err(Error::Gone { queue })) => {
                log::warn!("{queue} is gone; {target} is built to its end");
                sharing.iter().for_each(|other| other.fence().free());
            }
            Some(Err(error)) => {
                log::warn!("{target}: its message lock is not renewed: {error}");
                sharing
                    .iter()
                    .for_each(|other| other.fence().not_renewed(now));
            }
            None => {
                log::warn!("{target}: its message lock is not renewed: the queue does not answer");
                sharing
                    .iter()
                    .for_each(|other| other.fence().not_renewed(now));
            }
        }
    }

    /// The deliveries with the same lock, this one among them.
    fn sharing(&self, hold: &Arc<Hold>) -> Vec<Arc<Hold>> {
        let lock = lock_of(hold);
        self.all()
            .into_iter()
            .filter(|other| lock_of(other) == lock)
            .collect()
    }

    fn is_held(&self, hold: &Hold) -> bool {
        self.held().contains_key(&hold.delivery.id)
    }

    fn all(&self) -> Vec<Arc<Hold>> {
        self.held().values().cloned().collect()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<DeliveryId, Arc<Hold>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock_of(hold: &Hold) -> Lock {
    match &hold.delivery.session {
        Some(session) => Lock::Session(session.clone()),
        None => Lock::Delivery(hold.delivery.id),
    }
}

#[cfg(test)]
#[path = "locks_tests.rs"]
mod tests;
