//! What clients send: messages, events and requests.

use bytes::Bytes;
use fe2o3_amqp_types::messaging::{Accepted, DeliveryState};
use fe2o3_amqp_types::performatives::Transfer;

use super::connection::Connection;
use super::link::{CREDIT, Input, Kind, Target};
use super::message::Incoming;
use super::request::{Answer, Request};
use super::{Refusal, address, performative};
use crate::cbs;
use crate::cbs::Right;
use crate::{event_hubs, service_bus};

/// A complete delivery.
struct Arrived {
    first: Transfer,
    target: Target,
    /// Its payload, or why it is not taken.
    bytes: Result<Bytes, Refusal>,
}

impl Connection {
    pub(super) fn transfer(&mut self, channel: u16, transfer: Transfer, payload: &[u8]) {
        let handle = transfer.handle.0;
        let Some(session) = self.sessions.get_mut(&channel) else {
            return;
        };
        session.count_incoming(&mut self.out);
        let Some(link) = session.links.get_mut(&handle) else {
            return;
        };
        let Kind::Input(input) = &mut link.kind else {
            return;
        };
        let Some(arrived) = collect(input, transfer, payload) else {
            return;
        };
        link.delivery_count = link.delivery_count.wrapping_add(1);
        link.credit = link.credit.saturating_sub(1);
        if link.credit < CREDIT / 2 {
            link.credit = CREDIT;
            session.send_flow(&mut self.out, Some(handle));
        }
        self.arrived(channel, &arrived);
    }

    fn arrived(&mut self, channel: u16, arrived: &Arrived) {
        let outcome = arrived
            .bytes
            .clone()
            .and_then(|bytes| match &arrived.target {
                Target::Topic { name, .. } => self.send_messages(name, arrived, bytes),
                Target::Hub { name, partition } => {
                    self.send_events(name, partition.as_deref(), arrived, bytes)
                }
                target => self.request(target, bytes),
            });
        if arrived.first.settled == Some(true) {
            return;
        }
        let state = match outcome {
            Ok(()) => DeliveryState::Accepted(Accepted {}),
            Err(refusal) => performative::rejected(&refusal),
        };
        let id = arrived.first.delivery_id.unwrap_or_default();
        self.out
            .frame(channel, &performative::disposition(true, id, id, &state));
    }

    fn send_messages(&self, topic: &str, arrived: &Arrived, bytes: Bytes) -> Result<(), Refusal> {
        let mut messages = self.decoded(arrived, bytes)?;
        if self.broker.faults.twice() {
            messages.extend(messages.clone());
        }
        self.broker.service_bus.send(topic, messages).map(drop)
    }

    fn send_events(
        &self,
        hub: &str,
        partition: Option<&str>,
        arrived: &Arrived,
        bytes: Bytes,
    ) -> Result<(), Refusal> {
        self.broker
            .event_hubs
            .send(hub, partition, self.decoded(arrived, bytes)?)
    }

    fn decoded(&self, arrived: &Arrived, bytes: Bytes) -> Result<Vec<Incoming>, Refusal> {
        if self.broker.faults.is_busy() {
            let text = "The request was terminated because the entity is being throttled. Error code: 50009. \
                Please wait 2 seconds and try again.";
            return Err(Refusal::new("com.microsoft:server-busy", text));
        }
        Incoming::decode_transfer(bytes, arrived.first.message_format.unwrap_or(0))
    }

    fn request(&mut self, target: &Target, bytes: Bytes) -> Result<(), Refusal> {
        let request = Request::decode(bytes)?;
        let (node, answer) = self.answer_to(target, &request);
        self.reply(&node, &request, answer);
        Ok(())
    }

    fn answer_to(&mut self, target: &Target, request: &Request) -> (String, Answer) {
        let (now, bus) = (self.now(), &self.broker.service_bus);
        match target {
            Target::Cbs => {
                let (keys, tokens) = (&self.broker.keys, &*self.broker.tokens);
                (
                    "$cbs".to_owned(),
                    cbs::put_token(request, &mut self.claims, keys, tokens, now),
                )
            }
            Target::SubscriptionManagement(address) => {
                let holder = self.holder_of(address, &request.map_body().text("session-id"));
                let node = format!("{}/subscriptions/{}", address.topic, address.subscription);
                let below = if address.dead_letters {
                    "/$deadletterqueue/$management"
                } else {
                    "/$management"
                };
                (
                    node + below,
                    service_bus::management::of_subscription(bus, address, holder, request),
                )
            }
            Target::TopicManagement(topic) => (
                format!("{topic}/$management"),
                service_bus::management::of_topic(bus, topic, request),
            ),
            Target::HubManagement | Target::Topic { .. } | Target::Hub { .. } => {
                ("$management".to_owned(), self.ask_hubs(request))
            }
        }
    }

    /// Who may send to a hub or read from it may also ask about it. JavaScript's client shows a token for just that.
    fn ask_hubs(&self, request: &Request) -> Answer {
        let hub = address::path(&request.property("name"));
        let (path, now) = (format!("{hub}/$management"), self.now());
        let rights = [Right::Listen, Right::Send].map(|right| self.claims.check(right, &path, now));
        match rights.into_iter().reduce(Result::or) {
            Some(Err(refusal)) => Answer::hub(401, &refusal.description, None),
            _ => event_hubs::management::answer(&self.broker.event_hubs, request),
        }
    }

    /// The link of this connection that was given a session of this subscription.
    fn holder_of(&self, address: &service_bus::SubscriptionAddress, session: &str) -> Option<u64> {
        let links = self
            .sessions
            .values()
            .flat_map(|session| session.links.values());
        let holders = links.filter_map(|link| match &link.kind {
            Kind::Messages(messages) if messages.address == *address => Some(messages),
            _ => None,
        });
        // The newest: another link may have lost the session before and not be detached yet.
        holders
            .filter(|messages| messages.session.as_deref() == Some(session))
            .map(|messages| messages.link)
            .max()
    }

    /// Queues an answer on the link whose address the request names, or else on one that is attached to the same node.
    fn reply(&mut self, node: &str, request: &Request, answer: Answer) {
        let encoded = answer.encode(request);
        let links = self
            .sessions
            .values_mut()
            .flat_map(|session| session.links.values_mut());
        let mut replies = links.filter_map(|link| match &mut link.kind {
            Kind::Replies {
                node,
                address,
                waiting,
            } => Some((node, address, waiting)),
            _ => None,
        });
        let wanted = request.reply_to();
        let mut fallback = None;
        let found = replies.find_map(|(of, address, waiting)| {
            if !wanted.is_empty() && address == wanted {
                return Some(waiting);
            }
            if of == node {
                fallback.get_or_insert(waiting);
            }
            None
        });
        match found.or(fallback) {
            Some(waiting) => waiting.push_back(encoded),
            None => log::debug!("there is no link for the answer of {node}"),
        }
    }
}

/// Adds a frame to a delivery and gives it when it is complete. What is too large is counted but not kept.
fn collect(input: &mut Input, transfer: Transfer, payload: &[u8]) -> Option<Arrived> {
    if transfer.aborted {
        input.forget();
        return None;
    }
    input.size += u64::try_from(payload.len()).unwrap_or(u64::MAX);
    if input.size <= input.max_size {
        input.bytes.extend_from_slice(payload);
    }
    let more = transfer.more;
    let first = input.partial.get_or_insert(transfer).clone();
    if more {
        return None;
    }
    let bytes = match input.size <= input.max_size {
        true => Ok(std::mem::take(&mut input.bytes).freeze()),
        false => Err(too_large(&first, input.size, input.max_size)),
    };
    input.forget();
    Some(Arrived {
        first,
        target: input.target.clone(),
        bytes,
    })
}

fn too_large(first: &Transfer, size: u64, limit: u64) -> Refusal {
    let id = first.delivery_id.unwrap_or_default();
    let text = format!(
        "The received message (delivery-id:{id}, size:{size} bytes) exceeds the limit ({limit} bytes) currently allowed on the link."
    );
    Refusal::new("amqp:link:message-size-exceeded", text)
}
