//! Messages as a mailbox keeps them, and what receivers make of them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use crate::amqp::message::Content;

/// A message of one subscription.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) sequence: i64,
    pub(crate) enqueued: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) session: Option<Arc<str>>,
    /// Deliveries that came to nothing.
    pub(crate) failures: u32,
    pub(crate) content: Arc<Content>,
    pub(crate) death: Option<Arc<Death>>,
}

/// Why a message is a dead letter. Texts may be empty, when a receiver gave none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    pub(crate) reason: String,
    pub(crate) description: String,
}

impl Death {
    pub(crate) fn new(reason: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            description: description.into(),
        }
    }
}

/// What a receiver makes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Settlement {
    Complete,
    /// Counts as a delivery in vain.
    Abandon,
    /// Does not count: the receiver has not looked at it.
    Release,
    Defer,
    DeadLetter(Death),
}

/// A message handed to a receiver.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Stored,
    /// Token and end of the lock; none when the message was taken for good.
    pub(crate) lock: Option<(Uuid, Timestamp)>,
}

/// What a subscription's settings mean for its messages.
#[derive(Clone, Copy, Debug)]
pub(in crate::service_bus) struct Limits {
    pub(in crate::service_bus) lock: Duration,
    /// None for dead letters, which stay.
    pub(in crate::service_bus) max_deliveries: Option<u32>,
    pub(in crate::service_bus) expired_become_dead_letters: bool,
}

/// A message that a receiver has.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) message: Stored,
    pub(super) until: Timestamp,
}

/// The state of a message that is peeked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageState {
    Active = 0,
    Deferred = 1,
}
