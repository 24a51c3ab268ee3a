//! Attaching links.

use std::collections::VecDeque;
use std::sync::Arc;

use fe2o3_amqp_types::definitions::{Fields, Role, SenderSettleMode};
use fe2o3_amqp_types::messaging::FilterSet;
use fe2o3_amqp_types::performatives::Attach;
use fe2o3_amqp_types::primitives::{Symbol, Value};
use jiff::Timestamp;

use super::address::Node;
use super::asked::{
    SESSION_FILTER, claim_of, selector_of, session_filter_of, session_wait_of, source_of, target_of,
};
use super::connection::Connection;
use super::link::{CREDIT, Input, Kind, Link, Messages, Target};
use super::performative;
use super::{Refusal, address};
use crate::cbs::Right;
use crate::clock::later;
use crate::event_hubs::Position;
use crate::service_bus::{Holder, SubscriptionAddress};

/// The largest message or batch that a hub takes.
const HUB_MESSAGE: u64 = 1024 * 1024;
/// Seconds from the first day of .NET's calendar to the first day of Unix's.
const DOTNET_EPOCH: i64 = 62_135_596_800;

/// An attach that waits for a session.
#[derive(Debug)]
pub(super) struct Pending {
    channel: u16,
    attach: Attach,
    address: SubscriptionAddress,
    id: u64,
    wanted: Option<String>,
    claim: (Right, String),
    deadline: Timestamp,
    link: u64,
}

impl Pending {
    pub(super) fn is(&self, channel: u16, handle: u32) -> bool {
        self.channel == channel && self.attach.handle.0 == handle
    }

    pub(super) fn is_on(&self, channel: u16) -> bool {
        self.channel == channel
    }
}

/// What becomes of an attach.
enum Attached {
    /// It is answered with a link.
    Link(Kind),
    /// It is answered when a session is free.
    Waits(Pending),
}

impl Connection {
    pub(super) fn attach(&mut self, channel: u16, attach: Attach) {
        if !self.sessions.contains_key(&channel) {
            return;
        }
        let client_sends = attach.role == Role::Sender;
        let address = if client_sends {
            target_of(&attach)
        } else {
            source_of(&attach)
        };
        let node = Node::parse(&address);
        let claim = claim_of(&node, client_sends, &address);
        let allowed = claim.as_ref().map_or(Ok(()), |(right, path)| {
            self.claims.check(*right, path, self.now())
        });
        let attached = allowed.and_then(|()| match client_sends {
            true => self
                .input(&node, &address)
                .map(|input| Attached::Link(Kind::Input(input))),
            false => self.output(channel, &attach, node, claim.clone()),
        });
        match attached {
            Ok(Attached::Link(kind)) => self.accept(channel, attach, kind, claim),
            Ok(Attached::Waits(pending)) => self.pending.push(pending),
            Err(refusal) => self.refuse(channel, attach, &refusal),
        }
    }

    /// Answers attaches that waited for a session, when there is one or their time is over.
    pub(super) fn answer_pending(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            let holder = Holder {
                id: pending.link,
                waker: Arc::clone(&self.waker),
            };
            let wanted = pending.wanted.as_deref();
            let accepted = self.broker.service_bus.accept_session(
                &pending.address,
                pending.id,
                wanted,
                &holder,
            );
            match accepted {
                Ok(Some((session, until))) => self.give_session(pending, session, until),
                Ok(None) if pending.deadline <= self.now() => {
                    let text = "The operation did not complete within the allotted timeout.";
                    self.refuse(
                        pending.channel,
                        pending.attach,
                        &Refusal::new("com.microsoft:timeout", text),
                    );
                }
                Ok(None) => self.pending.push(pending),
                Err(refusal) => self.refuse(pending.channel, pending.attach, &refusal),
            }
        }
    }

    /// Whether what a link sends to is still there.
    pub(super) fn check_target(&self, target: &Target) -> Result<(), Refusal> {
        match target {
            Target::Topic { name, id } => match self.broker.service_bus.find_topic(name)? {
                (found, _) if found == *id => Ok(()),
                _ => Err(Refusal::not_found(name)),
            },
            Target::Hub { name, partition } => {
                self.broker.event_hubs.check(name, partition.as_deref())
            }
            _ => Ok(()),
        }
    }

    fn input(&self, node: &Node, address: &str) -> Result<Input, Refusal> {
        let bus = &self.broker.service_bus;
        let (target, max_size) = match node {
            Node::Cbs => (Target::Cbs, HUB_MESSAGE),
            Node::Entity(name) if self.broker.event_hubs.check(name, None).is_ok() => (
                Target::Hub {
                    name: name.clone(),
                    partition: None,
                },
                HUB_MESSAGE,
            ),
            Node::Entity(name) => {
                let (id, max_size) = bus.find_topic(name)?;
                (
                    Target::Topic {
                        name: name.clone(),
                        id,
                    },
                    max_size,
                )
            }
            Node::Partition { hub, partition } => {
                self.broker.event_hubs.check(hub, Some(partition))?;
                (
                    Target::Hub {
                        name: hub.clone(),
                        partition: Some(partition.clone()),
                    },
                    HUB_MESSAGE,
                )
            }
            Node::Management(name)
                if name.is_empty() || self.broker.event_hubs.check(name, None).is_ok() =>
            {
                (Target::HubManagement, HUB_MESSAGE)
            }
            Node::Management(name) => (
                Target::TopicManagement(name.clone()),
                bus.find_topic(name)?.1,
            ),
            Node::SubscriptionManagement(address) => {
                bus.find_subscription(address)?;
                (Target::SubscriptionManagement(address.clone()), HUB_MESSAGE)
            }
            Node::Subscription(_) | Node::Reader { .. } => {
                return Err(Refusal::new(
                    "amqp:not-allowed",
                    format!("Nothing can be sent to '{address}'."),
                ));
            }
            Node::Unknown => return Err(Refusal::not_found(address)),
        };
        Ok(Input::new(target, max_size))
    }

    fn output(
        &self,
        channel: u16,
        attach: &Attach,
        node: Node,
        claim: Option<(Right, String)>,
    ) -> Result<Attached, Refusal> {
        match node {
            Node::Cbs | Node::Management(_) | Node::SubscriptionManagement(_) => {
                let (node, address) = (address::path(&source_of(attach)), target_of(attach));
                Ok(Attached::Link(Kind::Replies {
                    node,
                    address,
                    waiting: VecDeque::new(),
                }))
            }
            Node::Reader {
                hub,
                group,
                partition,
            } => {
                let wrong = |text| Refusal::new("amqp:invalid-field", text);
                let position = Position::parse(&selector_of(attach)).map_err(wrong)?;
                let (partition, next) = self
                    .broker
                    .event_hubs
                    .open(&hub, &group, &partition, &position)?;
                Ok(Attached::Link(Kind::Events { partition, next }))
            }
            Node::Subscription(address) => self.messages(channel, attach, address, claim),
            Node::Entity(name) => {
                // What is not there is not found; what is there is no place to receive from.
                self.input(&Node::Entity(name.clone()), &name)?;
                Err(Refusal::new(
                    "amqp:not-allowed",
                    format!("Nothing can be received from '{name}'."),
                ))
            }
            Node::Partition { .. } | Node::Unknown => Err(Refusal::not_found(&source_of(attach))),
        }
    }

    fn messages(
        &self,
        channel: u16,
        attach: &Attach,
        address: SubscriptionAddress,
        claim: Option<(Right, String)>,
    ) -> Result<Attached, Refusal> {
        let (id, by_session) = self.broker.service_bus.find_subscription(&address)?;
        let link = self.broker.next_link();
        match (session_filter_of(attach), claim) {
            (Some(wanted), Some(claim)) => {
                let deadline = later(self.now(), session_wait_of(attach));
                let (channel, attach) = (channel, attach.clone());
                Ok(Attached::Waits(Pending {
                    channel,
                    attach,
                    address,
                    id,
                    wanted,
                    claim,
                    deadline,
                    link,
                }))
            }
            _ if by_session => {
                let text = "It is not possible for an entity that requires sessions to create a non-sessionful message receiver.";
                Err(Refusal::new("amqp:not-allowed", text))
            }
            _ => {
                let forget = attach.snd_settle_mode == SenderSettleMode::Settled;
                Ok(Attached::Link(Kind::Messages(Messages {
                    address,
                    id,
                    link,
                    session: None,
                    forget,
                })))
            }
        }
    }

    fn give_session(&mut self, pending: Pending, session: Arc<str>, until: Timestamp) {
        let mut attach = pending.attach;
        let mut filter = FilterSet::new();
        filter.insert(
            Symbol::from(SESSION_FILTER),
            Value::String(session.to_string()),
        );
        if let Some(source) = attach.source.as_mut() {
            source.filter = Some(filter);
        }
        let mut properties = Fields::new();
        properties.insert(
            Symbol::from("com.microsoft:locked-until-utc"),
            Value::Long(ticks(until)),
        );
        attach.properties = Some(properties);
        let forget = attach.snd_settle_mode == SenderSettleMode::Settled;
        let (address, id, link) = (pending.address, pending.id, pending.link);
        let messages = Messages {
            address,
            id,
            link,
            session: Some(session),
            forget,
        };
        self.answer(
            pending.channel,
            attach,
            Kind::Messages(messages),
            Some(pending.claim),
        );
    }

    fn accept(
        &mut self,
        channel: u16,
        mut attach: Attach,
        kind: Kind,
        claim: Option<(Right, String)>,
    ) {
        attach.properties = None;
        self.answer(channel, attach, kind, claim);
    }

    fn answer(
        &mut self,
        channel: u16,
        mut attach: Attach,
        kind: Kind,
        claim: Option<(Right, String)>,
    ) {
        let handle = attach.handle.0;
        let client_sends = attach.role == Role::Sender;
        let delivery_count = if client_sends {
            attach.initial_delivery_count.unwrap_or(0)
        } else {
            0
        };
        attach.role = if client_sends {
            Role::Receiver
        } else {
            Role::Sender
        };
        attach.max_message_size = Some(match &kind {
            Kind::Input(input) => input.max_size,
            _ => HUB_MESSAGE,
        });
        self.out.frame(channel, &performative::attach(&attach));
        if let Kind::Messages(messages) = &kind {
            self.broker
                .service_bus
                .count_receiver(&messages.address, messages.id, true);
        }
        let credit = if client_sends { CREDIT } else { 0 };
        let link = Link {
            handle,
            claim,
            credit,
            delivery_count,
            drain: false,
            kind,
        };
        let Some(session) = self.sessions.get_mut(&channel) else {
            return;
        };
        session.links.insert(handle, link);
        if client_sends {
            session.send_flow(&mut self.out, Some(handle));
        }
    }

    /// A link that is refused is attached without source or target and then detached with the reason.
    fn refuse(&mut self, channel: u16, mut attach: Attach, refusal: &Refusal) {
        log::debug!(
            "an attach is refused: {} {}",
            refusal.condition,
            refusal.description
        );
        let handle = attach.handle.0;
        if attach.role == Role::Sender {
            attach.role = Role::Receiver;
            attach.target = None;
        } else {
            attach.role = Role::Sender;
            attach.source = None;
        }
        attach.properties = None;
        self.out.frame(channel, &performative::attach(&attach));
        self.out
            .frame(channel, &performative::detach(handle, true, Some(refusal)));
    }
}

/// A time as .NET counts it: tenths of microseconds since the year 1.
fn ticks(time: Timestamp) -> i64 {
    (time.as_second() + DOTNET_EPOCH) * 10_000_000 + i64::from(time.subsec_nanosecond()) / 100
}
