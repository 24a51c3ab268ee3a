//! Misbehaviour of Service Bus and Event Hubs. All of it but lost locks meets every client.

use std::time::Duration;

use serde::Deserialize;

use crate::Broker;
use crate::service_bus::EntityError;

/// What is to happen; what is not said stays as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Disturbance {
    /// Cut every AMQP connection once.
    drop_connections: bool,
    /// Refuse so many transfers because the server is busy.
    busy: Option<u32>,
    /// Milliseconds that every frame waits from now on.
    delay: Option<u64>,
    /// Take every message twice from now on, or not any more.
    twice: Option<bool>,
    /// End all locks of a subscription once.
    lose_locks: Option<Subscription>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscription {
    topic: String,
    subscription: String,
}

impl Disturbance {
    /// Lets it happen; fails when the subscription is not there.
    pub(super) fn disturb(self, broker: &Broker) -> Result<(), EntityError> {
        let faults = &broker.faults;
        if let Some(transfers) = self.busy {
            faults.be_busy(transfers);
        }
        if let Some(milliseconds) = self.delay {
            faults.delay(Duration::from_millis(milliseconds));
        }
        if let Some(twice) = self.twice {
            faults.deliver_twice(twice);
        }
        if self.drop_connections {
            faults.drop_connections();
        }
        match self.lose_locks {
            Some(lost) => broker
                .service_bus
                .lose_locks(&lost.topic, &lost.subscription),
            None => Ok(()),
        }
    }
}
