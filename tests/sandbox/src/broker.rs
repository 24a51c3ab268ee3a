//! What an AMQP connection reaches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

use crate::cbs::{Keys, TokenCheck};
use crate::clock::Clock;
use crate::event_hubs::EventHubs;
use crate::faults::Faults;
use crate::service_bus::ServiceBus;

/// Service Bus and Event Hubs behind one address. A topic and a hub should not have the same name: the hub would be found.
#[derive(Debug)]
pub struct Broker {
    /// Topics and subscriptions.
    pub service_bus: Arc<ServiceBus>,
    /// Event hubs.
    pub event_hubs: Arc<EventHubs>,
    /// Who may do what by a key.
    pub keys: Keys,
    /// Who may do what by a token.
    pub tokens: Arc<dyn TokenCheck>,
    /// Misbehaviour.
    pub faults: Arc<Faults>,
    /// The time by which tokens expire.
    pub clock: Arc<dyn Clock>,
    last_link: AtomicU64,
}

impl Broker {
    /// A broker without topics and hubs, whose locks and tokens end by `clock`.
    pub fn new(clock: Arc<dyn Clock>, keys: Keys, tokens: Arc<dyn TokenCheck>) -> Self {
        Self {
            service_bus: Arc::new(ServiceBus::new(Arc::clone(&clock))),
            event_hubs: Arc::new(EventHubs::new(Arc::clone(&clock))),
            keys,
            tokens,
            faults: Arc::default(),
            clock,
            last_link: AtomicU64::new(0),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells a link from all others of all connections.
    pub(crate) fn next_link(&self) -> u64 {
        self.last_link.fetch_add(1, Ordering::Relaxed) + 1
    }
}
