//! Misbehaviour on demand, as it happens to clients of the real services.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// Faults of the AMQP side. Locks are lost by [`ServiceBus::lose_locks`](crate::service_bus::ServiceBus::lose_locks).
#[derive(Debug)]
pub struct Faults {
    busy: AtomicU32,
    delay: AtomicU64,
    twice: AtomicBool,
    drops: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            busy: AtomicU32::new(0),
            delay: AtomicU64::new(0),
            twice: AtomicBool::new(false),
            drops: watch::Sender::new(0),
        }
    }
}

impl Faults {
    /// Cuts every AMQP connection, without a word to the client; new ones are taken.
    pub fn drop_connections(&self) {
        self.drops.send_modify(|count| *count += 1);
    }

    /// Refuses the next sends with `com.microsoft:server-busy`: so many transfers, each a message or a batch.
    pub fn be_busy(&self, transfers: u32) {
        self.busy.store(transfers, Ordering::Relaxed);
    }

    /// Waits this long before it is looked at what a client has sent, once for all of it; zero ends it.
    pub fn delay(&self, by: Duration) {
        self.delay.store(
            u64::try_from(by.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    /// Takes every message that is sent twice: with one message id and two sequence numbers, as when a sender that got no
    /// answer sends again.
    pub fn deliver_twice(&self, yes: bool) {
        self.twice.store(yes, Ordering::Relaxed);
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.be_busy(0);
        self.delay(Duration::ZERO);
        self.deliver_twice(false);
    }

    pub(crate) fn drops(&self) -> watch::Receiver<u64> {
        self.drops.subscribe()
    }

    pub(crate) fn is_busy(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.busy
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    pub(crate) fn delayed(&self) -> Duration {
        Duration::from_millis(self.delay.load(Ordering::Relaxed))
    }

    pub(crate) fn twice(&self) -> bool {
        self.twice.load(Ordering::Relaxed)
    }
}
