//! Frames.

use bytes::{Buf, Bytes, BytesMut};

use super::raw::Malformed;

/// The largest frame that either side sends.
pub(crate) const LARGEST: u32 = 65_536;
const HEADER: usize = 8;

/// What a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Amqp = 0,
    Sasl = 1,
}

/// A frame; an empty one only says that its sender lives.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) channel: u16,
    pub(crate) body: Bytes,
}

/// Takes a frame from the front of a buffer, if it is all there.
pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
    let Some(header) = buffer.get(..HEADER) else {
        return Ok(None);
    };
    let mut header = header;
    let size = header.get_u32();
    let (offset, kind, channel) = (
        usize::from(header.get_u8()) * 4,
        header.get_u8(),
        header.get_u16(),
    );
    let kind = match kind {
        0 => Kind::Amqp,
        1 => Kind::Sasl,
        _ => return Err(Malformed),
    };
    let length = usize::try_from(size).map_err(|_| Malformed)?;
    if size > LARGEST || offset < HEADER || offset > length {
        return Err(Malformed);
    }
    if buffer.len() < length {
        return Ok(None);
    }
    let mut frame = buffer.split_to(length);
    frame.advance(offset);
    Ok(Some(Frame {
        kind,
        channel,
        body: frame.freeze(),
    }))
}

/// Appends a frame to what is to be sent.
pub(crate) fn write(
    out: &mut BytesMut,
    kind: Kind,
    channel: u16,
    performative: &[u8],
    payload: &[u8],
) {
    let size = HEADER + performative.len() + payload.len();
    out.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&[2, kind as u8]);
    out.extend_from_slice(&channel.to_be_bytes());
    out.extend_from_slice(performative);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_when_they_are_whole() {
        let mut buffer = BytesMut::new();
        write(&mut buffer, Kind::Amqp, 7, b"abc", b"de");
        let mut part = BytesMut::from(&buffer[..buffer.len() - 1]);
        assert!(take(&mut part).unwrap().is_none());
        let frame = take(&mut buffer).unwrap().unwrap();
        assert_eq!(
            (frame.kind, frame.channel, &frame.body[..]),
            (Kind::Amqp, 7, &b"abcde"[..])
        );
        assert!(buffer.is_empty());
    }

    #[test]
    fn frames_that_lie_about_their_size_are_refused() {
        for bytes in [
            [0, 0, 0, 7, 2, 0, 0, 0],
            [0, 0, 0, 8, 1, 0, 0, 0],
            [9, 0, 0, 8, 2, 0, 0, 0],
            [0, 0, 0, 8, 2, 9, 0, 0],
        ] {
            assert!(take(&mut BytesMut::from(&bytes[..])).is_err(), "{bytes:?}");
        }
    }
}
