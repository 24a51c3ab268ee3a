//! The queue of one job, as one receiver or sender uses it.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::{Mutex, watch};

use super::{
    Options, ServiceBus, dead,
    intake::{Intake, Settlement},
    send::{PATIENCE, Sent},
};
use crate::{
    azure::amqp::{self, Kind, pause},
    clock::Moment,
    protocol::Target,
    queue::{Counts, Dead, Delivery, Error, Purpose, Queue, Received},
};

/// A receiver's, or sender's, handle of a job's queue.
///
/// Where the trait promises more than the service can keep:
/// - [`send_all`](Queue::send_all) may fail with a part of the targets sent. The same call made again sends the rest, as long as it
///   is made on this handle; a target may then come twice.
/// - [`close`](Queue::close) stops the receivers of this process at once. Those of other processes stop by the run's control
///   document; what they hold is taken out by a later call, when they have given it back.
/// - [`counts`](Queue::counts) may lag behind, and takes what other processes hold for pending.
/// - Without the right to manage, `create`, `remove` and the exact counts are refused; everything else needs the rights to send or
///   to listen alone.
pub struct ServiceBusQueue {
    bus: Arc<ServiceBus>,
    options: Arc<Options>,
    subscription: String,
    intake: Arc<Intake>,
    is_closed: watch::Receiver<bool>,
    /// What the last call of `send_all` has left.
    unsent: Mutex<Option<Sent>>,
}

impl fmt::Debug for ServiceBusQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceBusQueue({self})")
    }
}

impl fmt::Display for ServiceBusQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue {}/{}", self.bus, self.subscription)
    }
}

impl ServiceBusQueue {
    pub(super) fn new(bus: Arc<ServiceBus>, options: Options) -> Self {
        let options = Arc::new(options);
        let subscription = options.subscription();
        let intake = Arc::new(Intake::new(Arc::clone(&bus), Arc::clone(&options)));
        Self {
            is_closed: bus.join(&subscription, Arc::downgrade(&intake)),
            bus,
            options,
            subscription,
            intake,
            unsent: Mutex::default(),
        }
    }

    fn error(&self, error: amqp::Error) -> Error {
        let queue = self.to_string();
        match error.kind() {
            Kind::NotFound => Error::Gone { queue },
            _ => Error::Other {
                queue,
                source: error.into(),
            },
        }
    }

    /// Fails when there is no subscription: the topic would take messages and nobody would get them.
    async fn exists(&self) -> Result<(), amqp::Error> {
        let management = &self.bus.management;
        match management.get(&self.bus.topic, &self.subscription).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == Kind::Unauthorized => {
                dead::peek(&self.bus, &self.bus.source(&self.subscription), 0, 1)
                    .await
                    .map(drop)
            }
            Err(error) => Err(error),
        }
    }

    async fn send(&self, sent: &mut Sent) -> Result<(), amqp::Error> {
        self.exists().await?;
        let until = Moment::now() + PATIENCE;
        let mut failures = 0;
        loop {
            match sent.go_on(&self.bus, &self.options).await {
                Ok(()) => return self.exists().await,
                // What certainly was not done may be done again without anybody knowing.
                Err(error)
                    if error.is_definite()
                        && matches!(error.kind(), Kind::Transient | Kind::Busy)
                        && !until.has_passed() =>
                {
                    failures += 1;
                    log::debug!("{self}: {error}");
                    tokio::time::sleep(pause(failures)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn settle(&self, delivery: &Delivery, settlement: Settlement) -> Result<(), Error> {
        match self.intake.settle(delivery.id, settlement).await {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == Kind::LockLost => Err(lock_lost(delivery)),
            Err(error) => Err(self.error(error)),
        }
    }
}

fn lock_lost(delivery: &Delivery) -> Error {
    Error::LockLost {
        id: delivery.id,
        target: delivery.target.to_string(),
    }
}

#[async_trait]
impl Queue for ServiceBusQueue {
    async fn create(&self) -> Result<(), Error> {
        let made = self
            .bus
            .management
            .create(&self.bus.topic, &self.options)
            .await;
        match made {
            Ok(_) => {
                self.bus.set_closed(&self.subscription, false);
                Ok(())
            }
            // Without the topic nothing can be made.
            Err(error) => Err(Error::Other {
                queue: self.to_string(),
                source: error.into(),
            }),
        }
    }

    async fn send_all(&self, targets: Vec<Target>, purpose: Purpose) -> Result<(), Error> {
        if *self.is_closed.borrow() {
            return Err(Error::Closed {
                queue: self.to_string(),
            });
        }
        let mut unsent = self.unsent.lock().await;
        let is_same = |sent: &Sent| sent.purpose == Some(purpose) && sent.targets == targets;
        let mut sent = match unsent.take().filter(is_same) {
            Some(sent) => sent,
            None => Sent::new(targets, purpose),
        };
        let done = self.send(&mut sent).await;
        done.map_err(|error| {
            if error.kind() != Kind::NotFound {
                *unsent = Some(sent);
            }
            self.error(error)
        })
    }

    async fn receive(&self, wait: Duration) -> Result<Received, Error> {
        match self.intake.receive(wait, self.is_closed.clone()).await {
            Ok(received) => Ok(received),
            Err(error) if error.kind() == Kind::NotFound => Ok(Received::Gone),
            Err(error) => Err(self.error(error)),
        }
    }

    async fn renew(&self, delivery: &Delivery) -> Result<Moment, Error> {
        match self.intake.renew(delivery.id).await {
            Ok(until) => Ok(until),
            Err(error) if error.kind() == Kind::LockLost => Err(lock_lost(delivery)),
            Err(error) => Err(self.error(error)),
        }
    }

    async fn complete(&self, delivery: &Delivery) -> Result<(), Error> {
        self.settle(delivery, Settlement::Complete).await
    }

    async fn abandon(&self, delivery: &Delivery) -> Result<(), Error> {
        self.settle(delivery, Settlement::Abandon).await
    }

    async fn dead_letter(
        &self,
        delivery: &Delivery,
        reason: &str,
        description: &str,
    ) -> Result<(), Error> {
        let settlement = Settlement::dead_letter(reason, description);
        self.settle(delivery, settlement).await
    }

    async fn counts(&self) -> Result<Counts, Error> {
        let management = &self.bus.management;
        let closed = *self.is_closed.borrow();
        let in_flight = self.intake.in_flight();
        match management.get(&self.bus.topic, &self.subscription).await {
            Ok(known) => Ok(Counts {
                pending: known.active.saturating_sub(in_flight),
                in_flight,
                dead: known.dead,
                closed,
            }),
            Err(error) if error.kind() == Kind::Unauthorized => {
                let source = self.bus.source(&self.subscription);
                let seen = dead::peek(&self.bus, &source, 0, 1).await;
                let seen = seen.map_err(|error| self.error(error))?;
                Ok(Counts {
                    pending: seen.len().saturating_sub(in_flight),
                    in_flight,
                    dead: 0,
                    closed,
                })
            }
            Err(error) => Err(self.error(error)),
        }
    }

    async fn dead(&self) -> Result<Vec<Dead>, Error> {
        let dead = dead::dead(&self.bus, &self.options).await;
        dead.map_err(|error| self.error(error))
    }

    async fn close(&self) -> Result<Vec<Target>, Error> {
        self.bus.set_closed(&self.subscription, true);
        let drained = self.intake.drain().await;
        drained.map_err(|error| self.error(error))
    }

    async fn remove(&self) -> Result<(), Error> {
        let management = &self.bus.management;
        let removed = management.remove(&self.bus.topic, &self.subscription).await;
        removed.map_err(|error| self.error(error))?;
        self.bus.forget(&self.subscription);
        Ok(())
    }
}
