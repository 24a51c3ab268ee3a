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
mod tests {
    use std::{
        collections::HashMap,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Poll,
    };

    use futures::{FutureExt, poll};
    use tokio::task::JoinSet;

    use super::*;
    use crate::protocol::{ConcurrencyType, Pair};

    fn queue(kind: ConcurrencyType, limit: usize, max_slots: usize) -> InProcess {
        let concurrency = Concurrency {
            kind,
            limit,
            max_slots,
        };
        InProcess::new(Platform::SqlServer, concurrency)
    }

    /// Targets from lines of the form `server:database`.
    fn targets(text: &str) -> Vec<Target> {
        let target = |line: &str| {
            let (server, database) = line.split_once(':').unwrap();
            Target {
                server: server.into(),
                pairs: vec![Pair {
                    default: String::new(),
                    database: database.into(),
                }],
                tag: None,
            }
        };
        text.lines().map(target).collect()
    }

    async fn filled(kind: ConcurrencyType, limit: usize, text: &str) -> InProcess {
        let queue = queue(kind, limit, 100);
        queue.send_all(targets(text)).await.unwrap();
        queue
    }

    /// The delivery that is there without waiting.
    async fn now(queue: &InProcess) -> Delivery {
        let received = queue.receive().now_or_never();
        received
            .expect("a target may be built now")
            .unwrap()
            .unwrap()
    }

    #[tokio::test]
    async fn an_empty_queue_ends_at_once() {
        let queue = queue(ConcurrencyType::Count, 1, 1);
        assert_eq!(queue.receive().await.unwrap(), None);
        assert_eq!(queue.counts().await.unwrap(), Counts::default());
    }

    #[tokio::test]
    async fn receivers_wait_for_a_slot_and_end_when_all_is_done() {
        let queue = filled(ConcurrencyType::Count, 1, "s:a\ns:b").await;
        let first = now(&queue).await;
        let mut second = Box::pin(queue.receive());
        let mut third = Box::pin(queue.receive());
        assert!(poll!(&mut second).is_pending());
        assert!(poll!(&mut third).is_pending());
        queue.complete(&first).await.unwrap();
        let delivery = second.await.unwrap().unwrap();
        assert_eq!(delivery.target.to_string(), "s:b");
        assert!(poll!(&mut third).is_pending());
        queue.complete(&delivery).await.unwrap();
        assert_eq!(third.await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_receiver_that_waits_gets_what_is_abandoned() {
        let queue = filled(ConcurrencyType::Count, 1, "s:a").await;
        let first = now(&queue).await;
        let mut waiting = Box::pin(queue.receive());
        assert!(poll!(&mut waiting).is_pending());
        queue.abandon(&first).await.unwrap();
        let again = waiting.await.unwrap().unwrap();
        assert_eq!((again.target, again.count), (first.target, 2));
    }

    #[tokio::test]
    async fn a_dropped_receiver_loses_neither_target_nor_notice() {
        let queue = filled(ConcurrencyType::Count, 1, "s:a\ns:b").await;
        let first = now(&queue).await;
        let mut dropped = Box::pin(queue.receive());
        let mut kept = Box::pin(queue.receive());
        assert!(poll!(&mut dropped).is_pending());
        assert!(poll!(&mut kept).is_pending());
        // The notice goes to the one that waits longest, which is dropped without looking.
        queue.complete(&first).await.unwrap();
        drop(dropped);
        let Poll::Ready(Ok(Some(delivery))) = poll!(&mut kept) else {
            panic!("the notice was lost with the dropped receiver");
        };
        assert_eq!(
            (delivery.target.to_string(), delivery.count),
            ("s:b".to_owned(), 1)
        );
    }

    #[tokio::test]
    async fn targets_that_come_later_wake_all_receivers_that_wait() {
        let queue = filled(ConcurrencyType::Server, 1, "a:x").await;
        let first = now(&queue).await;
        let mut second = Box::pin(queue.receive());
        let mut third = Box::pin(queue.receive());
        assert!(poll!(&mut second).is_pending());
        assert!(poll!(&mut third).is_pending());
        queue.send_all(targets("b:y\nc:z")).await.unwrap();
        assert!(second.await.unwrap().is_some());
        assert!(third.await.unwrap().is_some());
        queue.complete(&first).await.unwrap();
    }

    #[tokio::test]
    async fn closing_ends_receivers_and_gives_back_what_is_pending() {
        let queue = filled(ConcurrencyType::Count, 1, "s:a\ns:b\ns:c").await;
        let first = now(&queue).await;
        let mut waiting = Box::pin(queue.receive());
        assert!(poll!(&mut waiting).is_pending());
        let pending: Vec<String> = queue
            .close()
            .await
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(pending, ["s:b", "s:c"]);
        assert_eq!(waiting.await.unwrap(), None);
        assert_eq!(queue.receive().await.unwrap(), None);
        queue.abandon(&first).await.unwrap();
        assert_eq!(queue.receive().await.unwrap(), None);
        assert_eq!(queue.close().await.unwrap(), [first.target]);
        let error = queue.send_all(targets("s:d")).await.unwrap_err();
        assert!(matches!(error, Error::Closed { .. }));
        assert_eq!(
            error.to_string(),
            "the queue in this process is closed and takes no more targets"
        );
    }

    #[tokio::test]
    async fn a_delivery_is_settled_once() {
        let queue = filled(ConcurrencyType::Count, 2, "s:a\ns:b").await;
        let first = now(&queue).await;
        queue.complete(&first).await.unwrap();
        for result in [queue.complete(&first).await, queue.abandon(&first).await] {
            let message = result.unwrap_err().to_string();
            assert_eq!(
                message,
                "delivery 0 of target s:a is not in flight any more"
            );
        }
        let counts = queue.counts().await.unwrap();
        assert_eq!((counts.pending, counts.in_flight), (1, 0));
    }

    /// Many tasks on several threads: each target is completed once, never too many at once, and every task ends.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn many_receivers_share_the_work_within_the_limits() {
        let text: String = (0..600).map(|n| format!("s{}:d{n}\n", n % 9)).collect();
        let queue: Arc<dyn Queue> = Arc::new(queue(ConcurrencyType::MaxPerServer, 2, 7));
        queue.send_all(targets(&text)).await.unwrap();
        let total = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for seed in 0..20 {
            let (queue, total) = (Arc::clone(&queue), Arc::clone(&total));
            tasks.spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed);
                let mut done = Vec::new();
                while let Some(delivery) = queue.receive().await.unwrap() {
                    assert!(total.fetch_add(1, Ordering::SeqCst) < 7);
                    for _ in 0..random.usize(0..4) {
                        tokio::task::yield_now().await;
                    }
                    total.fetch_sub(1, Ordering::SeqCst);
                    if random.usize(0..10) == 0 {
                        queue.abandon(&delivery).await.unwrap();
                    } else {
                        queue.complete(&delivery).await.unwrap();
                        done.push(delivery.target.to_string());
                    }
                }
                done
            });
        }
        let mut completed: HashMap<String, usize> = HashMap::new();
        for name in tasks.join_all().await.into_iter().flatten() {
            *completed.entry(name).or_default() += 1;
        }
        assert_eq!(completed.len(), 600);
        assert!(completed.values().all(|count| *count == 1));
    }
}
