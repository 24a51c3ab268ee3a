//! Sessions: windows, delivery numbers and links.

use std::collections::BTreeMap;

use bytes::BytesMut;
use uuid::Uuid;

use super::frame::{self, Kind, LARGEST};
use super::link::Link;
use super::performative::{self, OutFlow, OutTransfer, WINDOW};

/// How much of the frame is left for the payload.
const OVERHEAD: usize = 128;

/// A session as this side sees it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) channel: u16,
    next_incoming: u32,
    /// Transfers that came since the window was last told.
    unreported: u32,
    next_outgoing: u32,
    /// How many transfers the client takes before it tells of more.
    pub(super) remote_window: u32,
    next_delivery: u32,
    pub(super) links: BTreeMap<u32, Link>,
    /// Deliveries that the client has to settle.
    pub(super) unsettled: BTreeMap<u32, Unsettled>,
}

/// A delivery that the client has to settle.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsettled {
    pub(super) handle: u32,
    pub(super) token: Uuid,
}

/// Where frames go, and how large they may be.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) bytes: BytesMut,
    /// The largest frame that the client takes.
    pub(super) largest: usize,
}

impl Output {
    pub(super) fn new() -> Self {
        Self {
            bytes: BytesMut::with_capacity(16 * 1024),
            largest: 512,
        }
    }

    pub(super) fn frame(&mut self, channel: u16, performative: &[u8]) {
        frame::write(&mut self.bytes, Kind::Amqp, channel, performative, &[]);
    }

    pub(super) fn set_largest(&mut self, asked: u32) {
        self.largest = usize::try_from(asked.clamp(512, LARGEST)).unwrap_or(512);
    }
}

impl Session {
    pub(super) fn new(channel: u16, next_incoming: u32, remote_window: u32) -> Self {
        Self {
            channel,
            next_incoming,
            unreported: 0,
            next_outgoing: 1,
            remote_window,
            next_delivery: 0,
            links: BTreeMap::new(),
            unsettled: BTreeMap::new(),
        }
    }

    /// Counts a transfer from the client, and tells it of a new window before the old is used up.
    pub(super) fn count_incoming(&mut self, out: &mut Output) {
        self.next_incoming = self.next_incoming.wrapping_add(1);
        self.unreported += 1;
        if self.unreported > WINDOW / 2 {
            self.send_flow(out, None);
        }
    }

    /// Takes the client's word on its window.
    pub(super) fn set_remote_window(&mut self, next_incoming: Option<u32>, window: u32) {
        let end = next_incoming.unwrap_or(1).wrapping_add(window);
        self.remote_window = end.wrapping_sub(self.next_outgoing);
    }

    pub(super) fn send_flow(&mut self, out: &mut Output, handle: Option<u32>) {
        self.unreported = 0;
        let link = handle.and_then(|handle| self.links.get(&handle));
        let flow = OutFlow {
            next_incoming: self.next_incoming,
            next_outgoing: self.next_outgoing,
            link: link.map(|link| (link.handle, link.delivery_count, link.credit, link.drain)),
        };
        out.frame(self.channel, &performative::flow(&flow));
    }

    /// Sends a delivery on a link that has credit. With a token, the client has to settle it.
    pub(super) fn deliver(
        &mut self,
        out: &mut Output,
        handle: u32,
        token: Option<Uuid>,
        message: &[u8],
    ) {
        let id = self.next_delivery;
        self.next_delivery = self.next_delivery.wrapping_add(1);
        if let Some(link) = self.links.get_mut(&handle) {
            link.delivery_count = link.delivery_count.wrapping_add(1);
            link.credit = link.credit.saturating_sub(1);
        }
        // Lock tokens travel as delivery tags, in the byte order of .NET.
        let tag = token.unwrap_or_else(Uuid::new_v4).to_bytes_le();
        let room = out.largest - OVERHEAD;
        let parts = message.len().div_ceil(room).max(1);
        for part in 0..parts {
            let payload = message
                .get(part * room..message.len().min((part + 1) * room))
                .unwrap_or_default();
            let first = (part == 0).then_some((id, tag.as_slice()));
            let transfer = OutTransfer {
                handle,
                first,
                settled: token.is_none(),
                more: part + 1 < parts,
            };
            let performative = performative::transfer(&transfer);
            frame::write(
                &mut out.bytes,
                Kind::Amqp,
                self.channel,
                &performative,
                payload,
            );
            self.next_outgoing = self.next_outgoing.wrapping_add(1);
            self.remote_window = self.remote_window.saturating_sub(1);
        }
        if let Some(token) = token {
            self.unsettled.insert(id, Unsettled { handle, token });
        }
    }
}
