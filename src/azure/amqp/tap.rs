//! Reads along what a service sends, for the answers to settlements that the library does not pass on.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use fe2o3_amqp_types::performatives::{Disposition, Transfer};
use serde::Deserialize;
use serde_amqp::{de::Deserializer, read::SliceReader};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::{
    outcomes::{LockToken, Outcomes},
    stream::Bytes,
};

/// The descriptors of what is of interest.
const BEGIN: u8 = 0x11;
const TRANSFER: u8 = 0x14;
const DISPOSITION: u8 = 0x15;

/// What is kept of a transfer: all of it but its message.
const HEAD: usize = 256;

/// A connection that is read along.
#[derive(Debug)]
pub(super) struct Tap {
    inner: Box<dyn Bytes>,
    frames: Frames,
    outcomes: Arc<Outcomes>,
    ended: CancellationToken,
}

impl Tap {
    /// `ended` is told when nothing comes any more.
    pub(super) fn new(
        inner: Box<dyn Bytes>,
        outcomes: Arc<Outcomes>,
        ended: CancellationToken,
    ) -> Self {
        Self {
            inner,
            frames: Frames::default(),
            outcomes,
            ended,
        }
    }

    fn end(&self) {
        self.outcomes.close();
        self.ended.cancel();
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.end();
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        if let Poll::Ready(read) = &polled {
            let new = buffer.filled().get(before..).unwrap_or_default();
            if read.is_err() || (new.is_empty() && buffer.remaining() > 0) {
                self.end();
            }
            let this = &mut *self;
            let outcomes = &this.outcomes;
            this.frames
                .read(new, |channel, body| look(outcomes, channel, body));
        }
        polled
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// Notes what a frame means for settlements.
fn look(outcomes: &Outcomes, channel: u16, body: &[u8]) {
    match descriptor(body) {
        Some(BEGIN) => outcomes.forget(channel),
        Some(TRANSFER) => {
            if let Some(transfer) = read::<Transfer>(body)
                && transfer.settled != Some(true)
                && let Some(id) = transfer.delivery_id
                && let Some(tag) = transfer.delivery_tag
                && let Some(token) = LockToken::of_tag(&tag)
            {
                outcomes.arrived(channel, id, token);
            }
        }
        Some(DISPOSITION) => {
            if let Some(disposition) = read::<Disposition>(body)
                && disposition.settled
            {
                let last = disposition.last.unwrap_or(disposition.first);
                outcomes.settled(channel, disposition.first, last, disposition.state.as_ref());
            }
        }
        _ => {}
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    T::deserialize(&mut Deserializer::new(SliceReader::new(body))).ok()
}

/// Which performative a frame holds.
fn descriptor(body: &[u8]) -> Option<u8> {
    match body {
        [0, 0x53, code, ..] => Some(*code),
        [0, 0x80, 0, 0, 0, 0, 0, 0, 0, code, ..] => Some(*code),
        _ => None,
    }
}

/// Cuts bytes into frames.
#[derive(Debug, Default)]
struct Frames {
    header: Vec<u8>,
    /// What is left of the present frame, and what is kept of it.
    left: usize,
    kept: Vec<u8>,
}

/// Every frame, and every protocol header, begins with so many bytes.
const HEADER: usize = 8;

impl Frames {
    /// Calls `found` with channel and body of each AMQP frame that ends in `bytes`.
    fn read(&mut self, mut bytes: &[u8], mut found: impl FnMut(u16, &[u8])) {
        while !bytes.is_empty() {
            if self.left == 0 {
                bytes = self.begin(bytes);
            } else {
                let (now, later) = bytes.split_at(bytes.len().min(self.left));
                self.keep(now);
                self.left -= now.len();
                bytes = later;
            }
            if self.left == 0 && self.header.len() == HEADER {
                self.end(&mut found);
            }
        }
    }

    /// Takes bytes of a header.
    fn begin<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (now, later) = bytes.split_at(bytes.len().min(HEADER - self.header.len()));
        self.header.extend_from_slice(now);
        if let [a, b, c, d, ..] = self.header[..]
            && self.header.len() == HEADER
            && !self.header.starts_with(b"AMQP")
        {
            let size = u32::from_be_bytes([a, b, c, d]);
            self.left = usize::try_from(size).unwrap_or(0).saturating_sub(HEADER);
        }
        later
    }

    fn keep(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(HEAD.saturating_sub(self.kept.len())));
        self.kept.extend_from_slice(head);
        // An answer may carry the words of an error.
        if descriptor(&self.kept) == Some(DISPOSITION) {
            self.kept.extend_from_slice(rest);
        }
    }

    fn end(&mut self, found: &mut impl FnMut(u16, &[u8])) {
        if let [_, _, _, _, offset, kind, high, low] = self.header[..]
            && !self.header.starts_with(b"AMQP")
            && kind == 0
        {
            let extended = (usize::from(offset) * 4).saturating_sub(HEADER);
            let body = self.kept.get(extended..).unwrap_or_default();
            found(u16::from_be_bytes([high, low]), body);
        }
        self.header.clear();
        self.kept.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, channel: u16, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        let mut frame = size.to_be_bytes().to_vec();
        frame.extend([2, kind]);
        frame.extend(channel.to_be_bytes());
        frame.extend(body);
        frame
    }

    #[test]
    fn frames_are_found_wherever_the_bytes_are_cut() {
        let long = [&[0, 0x53, TRANSFER][..], &[7; 1_000]].concat();
        let answer = [&[0, 0x53, DISPOSITION][..], &[9; 1_000]].concat();
        let bytes = [
            b"AMQP\x03\x01\x00\x00".to_vec(),
            frame(1, 0, b"sasl"),
            b"AMQP\x00\x01\x00\x00".to_vec(),
            frame(0, 3, &long),
            frame(0, 0, b""),
            frame(0, 0x102, &answer),
        ]
        .concat();
        for size in [1, 2, 3, 7, 8, 9, 300, 5_000] {
            let mut found = Vec::new();
            let mut frames = Frames::default();
            for part in bytes.chunks(size) {
                frames.read(part, |channel, body| found.push((channel, body.to_vec())));
            }
            assert_eq!(found.len(), 3, "{size}");
            assert_eq!(found[0], (3, long[..HEAD].to_vec()), "{size}");
            assert_eq!(found[1], (0, Vec::new()), "{size}");
            assert_eq!(found[2], (0x102, answer.clone()), "{size}");
        }
    }

    #[test]
    fn bytes_that_are_no_frames_do_no_harm() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut frames = Frames::default();
        let outcomes = Outcomes::default();
        for _ in 0..1_000 {
            let bytes: Vec<u8> = (0..random.usize(0..64)).map(|_| random.u8(..)).collect();
            frames.read(&bytes, |channel, body| look(&outcomes, channel, body));
            look(&outcomes, 1, &bytes);
        }
    }
}
