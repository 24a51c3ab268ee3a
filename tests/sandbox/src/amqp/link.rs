//! Links: what a client sends to or receives from.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use fe2o3_amqp_types::performatives::Transfer;

use crate::cbs::Right;
use crate::event_hubs::PartitionAddress;
use crate::service_bus::SubscriptionAddress;

/// How many transfers a client may send on a link before it gets new credit.
pub(super) const CREDIT: u32 = 1_000;

/// A link as this side sees it. Both sides use the client's handle.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) handle: u32,
    /// What the client has to be allowed, and on which entity.
    pub(super) claim: Option<(Right, String)>,
    pub(super) credit: u32,
    pub(super) delivery_count: u32,
    pub(super) drain: bool,
    pub(super) kind: Kind,
}

/// Which way a link goes, and to what.
#[derive(Debug)]
pub(super) enum Kind {
    /// The client sends.
    Input(Input),
    /// The client receives messages.
    Messages(Messages),
    /// The client reads events.
    Events {
        partition: PartitionAddress,
        next: i64,
    },
    /// The client receives answers.
    Replies {
        node: String,
        address: String,
        waiting: VecDeque<Vec<u8>>,
    },
}

/// A link that a client sends on.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) target: Target,
    pub(super) max_size: u64,
    /// The first frame of a delivery that is not complete yet, and what came of it.
    pub(super) partial: Option<Transfer>,
    pub(super) bytes: BytesMut,
    /// How large that delivery is so far, whether it is kept or not.
    pub(super) size: u64,
}

impl Input {
    pub(super) fn new(target: Target, max_size: u64) -> Self {
        Self {
            target,
            max_size,
            partial: None,
            bytes: BytesMut::new(),
            size: 0,
        }
    }

    /// Makes room for the next delivery.
    pub(super) fn forget(&mut self) {
        self.partial = None;
        self.bytes.clear();
        self.size = 0;
    }
}

/// What takes the messages that a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Topic {
        name: String,
        id: u64,
    },
    Hub {
        name: String,
        partition: Option<String>,
    },
    Cbs,
    TopicManagement(String),
    SubscriptionManagement(SubscriptionAddress),
    HubManagement,
}

/// A link that a client receives messages on.
#[derive(Debug)]
pub(super) struct Messages {
    pub(super) address: SubscriptionAddress,
    /// The identity of the subscription.
    pub(super) id: u64,
    /// The identity of this link.
    pub(super) link: u64,
    pub(super) session: Option<Arc<str>>,
    /// Whether messages are taken for good when they are sent.
    pub(super) forget: bool,
}

impl Link {
    pub(super) fn is_output(&self) -> bool {
        !matches!(self.kind, Kind::Input(_))
    }
}
