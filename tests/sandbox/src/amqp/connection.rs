//! A connection: takes frames, leaves bytes to be sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp_types::definitions::Role;
use fe2o3_amqp_types::performatives::{Begin, Detach, Flow, Open, Performative};
use jiff::Timestamp;
use tokio::sync::Notify;

use super::attach::Pending;
use super::frame::Frame;
use super::link::{Kind, Link, Messages};
use super::performative;
use super::session::{Output, Session};
use super::{Refusal, message};
use crate::broker::Broker;
use crate::cbs::Claims;
use crate::service_bus::{Wish, management::encode_delivery};

/// How many bytes may wait to be sent before no more messages are fetched.
const ENOUGH: usize = 1024 * 1024;
/// How many messages are fetched under one lock.
const AT_ONCE: usize = 100;

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    GoOn,
    Close,
}

/// A connection after its opening handshake.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) broker: Arc<Broker>,
    pub(super) out: Output,
    pub(super) sessions: BTreeMap<u16, Session>,
    pub(super) claims: Claims,
    /// Told when something may be there that a link of this connection waits for.
    pub(super) waker: Arc<Notify>,
    pub(super) pending: Vec<Pending>,
    /// How often the client wants to hear something.
    pub(super) idle: Option<Duration>,
}

impl Connection {
    pub(crate) fn new(broker: Arc<Broker>, claims: Claims) -> Self {
        Self {
            broker,
            out: Output::new(),
            sessions: BTreeMap::new(),
            claims,
            waker: Arc::new(Notify::new()),
            pending: Vec::new(),
            idle: None,
        }
    }

    /// Takes a frame. What it says wrong about sessions or links ends these; what cannot be read ends the connection.
    pub(crate) fn take(&mut self, frame: Frame) -> Next {
        if frame.body.is_empty() {
            return Next::GoOn;
        }
        let Ok((performative, payload)) = performative::decode(frame.body) else {
            let refusal = Refusal::new("amqp:decode-error", "A frame cannot be read.");
            self.out.frame(0, &performative::close(Some(&refusal)));
            return Next::Close;
        };
        log::trace!("channel {}: {performative:?}", frame.channel);
        let channel = frame.channel;
        match performative {
            Performative::Open(open) => self.open(&open),
            Performative::Begin(begin) => self.begin(channel, &begin),
            Performative::Attach(attach) => self.attach(channel, attach),
            Performative::Flow(flow) => self.flow(channel, &flow),
            Performative::Transfer(transfer) => self.transfer(channel, transfer, &payload),
            Performative::Disposition(disposition) => {
                if disposition.role == Role::Receiver {
                    self.settle(channel, &disposition);
                }
            }
            Performative::Detach(detach) => self.client_detaches(channel, &detach),
            Performative::End(_) => {
                if self.end(channel) {
                    self.out.frame(channel, &performative::end(None));
                }
            }
            Performative::Close(_) => {
                self.out.frame(0, &performative::close(None));
                return Next::Close;
            }
        }
        Next::GoOn
    }

    /// Sends what is there for links that have credit, and answers attaches that waited.
    pub(crate) fn pump(&mut self) {
        self.answer_pending();
        let outputs = self.sessions.iter().flat_map(|(channel, session)| {
            session
                .links
                .values()
                .filter(|link| link.is_output())
                .map(|link| (*channel, link.handle))
        });
        for (channel, handle) in outputs.collect::<Vec<_>>() {
            if let Err(refusal) = self.pump_link(channel, handle) {
                self.detach(channel, handle, &refusal);
            }
        }
    }

    /// Detaches links whose claims have expired or whose entity is gone.
    pub(crate) fn check_links(&mut self) {
        let mut refused = Vec::new();
        for session in self.sessions.values() {
            for link in session.links.values() {
                if let Err(refusal) = self.check_link(link) {
                    refused.push((session.channel, link.handle, refusal));
                }
            }
        }
        for (channel, handle, refusal) in refused {
            self.detach(channel, handle, &refusal);
        }
    }

    /// Gives everything back that this connection holds.
    pub(crate) fn leave(&mut self) {
        for channel in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.end(channel);
        }
    }

    /// Detaches a link, saying why.
    pub(super) fn detach(&mut self, channel: u16, handle: u32, refusal: &Refusal) {
        log::debug!(
            "link {handle} of channel {channel} is detached: {} {}",
            refusal.condition,
            refusal.description
        );
        self.remove_link(channel, handle);
        self.out
            .frame(channel, &performative::detach(handle, true, Some(refusal)));
    }

    fn open(&mut self, open: &Open) {
        self.out.set_largest(open.max_frame_size.0);
        self.idle = open
            .idle_time_out
            .map(|milliseconds| Duration::from_millis(milliseconds.into()));
        self.out.frame(0, &performative::open());
    }

    fn begin(&mut self, channel: u16, begin: &Begin) {
        let session = Session::new(channel, begin.next_outgoing_id, begin.incoming_window);
        self.sessions.insert(channel, session);
        self.out.frame(channel, &performative::begin(channel));
    }

    fn flow(&mut self, channel: u16, flow: &Flow) {
        let Some(session) = self.sessions.get_mut(&channel) else {
            return;
        };
        session.set_remote_window(flow.next_incoming_id, flow.incoming_window);
        let handle = flow.handle.as_ref().map(|handle| handle.0);
        let link = handle
            .and_then(|handle| session.links.get_mut(&handle))
            .filter(|link| link.is_output());
        if let Some(link) = link {
            let end = flow
                .delivery_count
                .unwrap_or(0)
                .wrapping_add(flow.link_credit.unwrap_or(0));
            link.credit = end.wrapping_sub(link.delivery_count);
            link.drain = flow.drain;
        }
        if flow.echo {
            session.send_flow(&mut self.out, handle);
        }
    }

    /// A detach is answered, unless it is the answer to ours: some clients take a second one for a breach of the protocol.
    fn client_detaches(&mut self, channel: u16, detach: &Detach) {
        let handle = detach.handle.0;
        let pending = self.pending.len();
        self.pending.retain(|pending| !pending.is(channel, handle));
        if self.remove_link(channel, handle) || pending != self.pending.len() {
            self.out
                .frame(channel, &performative::detach(handle, detach.closed, None));
        }
    }

    /// Ends a session and says whether there was one.
    fn end(&mut self, channel: u16) -> bool {
        self.pending.retain(|pending| !pending.is_on(channel));
        let Some(session) = self.sessions.get(&channel) else {
            return false;
        };
        for handle in session.links.keys().copied().collect::<Vec<_>>() {
            self.remove_link(channel, handle);
        }
        self.sessions.remove(&channel).is_some()
    }

    /// Removes a link and says whether there was one.
    fn remove_link(&mut self, channel: u16, handle: u32) -> bool {
        let Some(session) = self.sessions.get_mut(&channel) else {
            return false;
        };
        let Some(link) = session.links.remove(&handle) else {
            return false;
        };
        session
            .unsettled
            .retain(|_, unsettled| unsettled.handle != handle);
        if let Kind::Messages(messages) = &link.kind {
            self.release(messages);
        }
        true
    }

    /// A receiver goes: its session is free at once; messages without session stay locked until their locks end.
    fn release(&self, messages: &Messages) {
        let bus = &self.broker.service_bus;
        if let Some(session) = &messages.session {
            let released = bus.in_mailbox(&messages.address, messages.id, |mailbox, _| {
                mailbox.release_session(session, messages.link);
                Ok(())
            });
            // When the subscription is gone, so is the session.
            drop(released);
        }
        bus.count_receiver(&messages.address, messages.id, false);
    }

    fn check_link(&self, link: &Link) -> Result<(), Refusal> {
        if let Some((right, path)) = &link.claim {
            self.claims.check(*right, path, self.broker.now())?;
        }
        match &link.kind {
            Kind::Input(input) => self.check_target(&input.target),
            Kind::Messages(messages) => {
                self.broker
                    .service_bus
                    .in_mailbox(&messages.address, messages.id, |_, _| Ok(()))
            }
            Kind::Events { .. } | Kind::Replies { .. } => Ok(()),
        }
    }

    fn pump_link(&mut self, channel: u16, handle: u32) -> Result<(), Refusal> {
        self.check_session(channel, handle)?;
        while let Some((credit, window)) = self.room(channel, handle) {
            let most = AT_ONCE.min(credit.min(window) as usize);
            if most == 0 || self.out.bytes.len() >= ENOUGH {
                break;
            }
            if self.send_some(channel, handle, most)? < most {
                break;
            }
        }
        self.finish_drain(channel, handle);
        Ok(())
    }

    /// A receiver whose session is lost is told at once, even when it has no credit.
    fn check_session(&self, channel: u16, handle: u32) -> Result<(), Refusal> {
        let link = self
            .sessions
            .get(&channel)
            .and_then(|session| session.links.get(&handle));
        let Some(Link {
            kind: Kind::Messages(messages),
            ..
        }) = link
        else {
            return Ok(());
        };
        let Some(session) = messages.session.as_deref() else {
            return Ok(());
        };
        self.broker
            .service_bus
            .in_mailbox(&messages.address, messages.id, |mailbox, _| {
                mailbox.check_session(session, messages.link)
            })
    }

    fn room(&self, channel: u16, handle: u32) -> Option<(u32, u32)> {
        let session = self.sessions.get(&channel)?;
        Some((session.links.get(&handle)?.credit, session.remote_window))
    }

    /// Sends up to `most` messages, and says how many there were.
    fn send_some(&mut self, channel: u16, handle: u32, most: usize) -> Result<usize, Refusal> {
        let Some(session) = self.sessions.get_mut(&channel) else {
            return Ok(0);
        };
        let Some(link) = session.links.get_mut(&handle) else {
            return Ok(0);
        };
        let messages = match &mut link.kind {
            Kind::Input(_) => Vec::new(),
            Kind::Replies { waiting, .. } => {
                let count = waiting.len().min(most);
                waiting.drain(..count).map(|reply| (None, reply)).collect()
            }
            Kind::Events { partition, next } => {
                let events = self
                    .broker
                    .event_hubs
                    .read(partition, *next, most, &self.waker)?;
                *next = events.last().map_or(*next, |event| event.sequence + 1);
                events
                    .iter()
                    .map(|event| (None, message::encode_event(event)))
                    .collect()
            }
            Kind::Messages(messages) => {
                let session = messages
                    .session
                    .as_deref()
                    .map(|session| (session, messages.link));
                let wish = Wish {
                    id: messages.id,
                    session,
                    forget: messages.forget,
                    most,
                };
                let deliveries =
                    self.broker
                        .service_bus
                        .receive(&messages.address, wish, &self.waker)?;
                let encoded = deliveries.iter().map(|delivery| {
                    (
                        delivery.lock.map(|(token, _)| token),
                        encode_delivery(delivery),
                    )
                });
                encoded.collect::<Vec<_>>()
            }
        };
        for (token, message) in &messages {
            session.deliver(&mut self.out, handle, *token, message);
        }
        Ok(messages.len())
    }

    /// A client that drains wants to hear that nothing is left: its credit is used up without messages.
    fn finish_drain(&mut self, channel: u16, handle: u32) {
        let full = self.out.bytes.len() >= ENOUGH;
        let Some(session) = self.sessions.get_mut(&channel) else {
            return;
        };
        let window = session.remote_window;
        let Some(link) = session.links.get_mut(&handle).filter(|link| link.drain) else {
            return;
        };
        if link.credit > 0 && (full || window == 0) {
            return;
        }
        link.delivery_count = link.delivery_count.wrapping_add(link.credit);
        link.credit = 0;
        session.send_flow(&mut self.out, Some(handle));
        if let Some(link) = session.links.get_mut(&handle) {
            link.drain = false;
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.broker.now()
    }
}
