//! Taking out everything that nobody has.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::{sleep, timeout};

use super::{
    Intake, Settlement, janitor,
    state::{Start, State},
};
use crate::{
    azure::amqp::{Error, Kind},
    clock::Moment,
    protocol::Target,
    queue::DeliveryId,
};

/// How often the service is asked whether anything is left.
const LOOK: Duration = Duration::from_millis(200);

/// How long taking out may last in one go; the rest comes with the next.
const MOST: Duration = Duration::from_secs(120);

/// Ends draining also when it is given up.
struct Draining<'a>(&'a Intake);

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        self.0.state().is_draining = false;
    }
}

impl Intake {
    /// Takes out what is pending, in its order within each session. What other receivers hold is left to a later call.
    pub(in crate::azure::service_bus) async fn drain(
        self: &Arc<Self>,
    ) -> Result<Vec<Target>, Error> {
        janitor::begin(self);
        self.state().is_draining = true;
        let _draining = Draining(self);
        let mut targets = Vec::new();
        let mut quiet = Moment::now();
        let until = Moment::now() + MOST;
        while !until.has_passed() {
            let (taken, start) = self.state().take_all()?;
            self.start(start);
            if taken.is_empty() {
                if quiet.elapsed() >= self.options.least_wait || self.is_empty().await? {
                    break;
                }
                drop(timeout(LOOK, self.changed.notified()).await);
                continue;
            }
            let ended = taken
                .iter()
                .map(|(id, _)| self.settle(*id, Settlement::Complete));
            for (done, (_, target)) in join_all(ended).await.into_iter().zip(taken.iter()) {
                match done {
                    Ok(()) => targets.push(target.clone()),
                    // It is pending again, or somebody else's.
                    Err(error) if error.kind() == Kind::LockLost => {}
                    Err(error) => return Err(error),
                }
            }
            quiet = Moment::now();
        }
        Ok(targets)
    }

    /// Whether the service says that nothing is pending; it is not asked by whoever may not know.
    async fn is_empty(&self) -> Result<bool, Error> {
        let known = self
            .bus
            .management
            .get(&self.bus.topic, &self.options.subscription())
            .await;
        match known {
            Ok(known) => Ok(known.active <= self.in_flight()),
            Err(error) if error.kind() == Kind::Unauthorized => {
                sleep(LOOK).await;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

impl State {
    /// Everything that has come, as if it were handed out, and the links that are to be made for more.
    fn take_all(&mut self) -> Result<(Vec<(DeliveryId, Target)>, Start), Error> {
        if let Some(error) = self.take_trouble() {
            return Err(error);
        }
        let mut taken = Vec::new();
        let mut ids: Vec<u64> = self.links.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            while let Some(delivery) = self.hand_out(id) {
                taken.push((delivery.id, delivery.target));
            }
        }
        let start = self.look_for_all();
        self.refill();
        Ok((taken, start))
    }
}
