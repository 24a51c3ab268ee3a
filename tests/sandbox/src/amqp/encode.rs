//! Writes lists and maps with every field, in the order in which they are asked for.
//!
//! The library leaves out trailing fields that are null. That is allowed, but the Python client for Event Hubs indexes all
//! fields of a performative, and clients take a missing delivery count for an unknown one.

use fe2o3_amqp_types::primitives::{Timestamp, Value};
use jiff::Timestamp as Time;
use serde::Serialize;

/// A list or map under construction.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    bytes: Vec<u8>,
    count: u32,
}

impl Fields {
    pub(crate) fn null(self) -> Self {
        self.raw(&[0x40])
    }

    pub(crate) fn bool(self, value: bool) -> Self {
        self.raw(&[if value { 0x41 } else { 0x42 }])
    }

    pub(crate) fn ubyte(self, value: u8) -> Self {
        self.raw(&[0x50, value])
    }

    pub(crate) fn ushort(mut self, value: u16) -> Self {
        self.bytes.push(0x60);
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn uint(mut self, value: u32) -> Self {
        self.bytes.push(0x70);
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn ulong(mut self, value: u64) -> Self {
        self.bytes.push(0x80);
        self.raw(&value.to_be_bytes())
    }

    pub(crate) fn time(mut self, value: Time) -> Self {
        self.bytes.push(0x83);
        self.raw(&value.as_millisecond().to_be_bytes())
    }

    pub(crate) fn uuid(mut self, value: uuid::Uuid) -> Self {
        self.bytes.push(0x98);
        self.raw(value.as_bytes())
    }

    pub(crate) fn binary(self, value: &[u8]) -> Self {
        self.sized(0xa0, value)
    }

    pub(crate) fn string(self, value: &str) -> Self {
        self.sized(0xa1, value.as_bytes())
    }

    pub(crate) fn symbol(self, value: &str) -> Self {
        self.sized(0xa3, value.as_bytes())
    }

    pub(crate) fn option<T>(self, value: Option<T>, write: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => write(self, value),
            None => self.null(),
        }
    }

    pub(crate) fn value(self, value: &impl Serialize) -> Self {
        self.raw(&encoded(value))
    }

    /// A field that is encoded already.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self.count += 1;
        self
    }

    /// The list, described by `code`.
    pub(crate) fn list(self, code: u8) -> Vec<u8> {
        self.finish(code, 0xc0)
    }

    /// The map, described by `code`; keys and values were written in turn.
    pub(crate) fn map(self, code: u8) -> Vec<u8> {
        self.finish(code, 0xc1)
    }

    /// Short and long forms differ in one bit of the constructor.
    fn sized(mut self, short: u8, value: &[u8]) -> Self {
        match u8::try_from(value.len()) {
            Ok(length) => self.bytes.extend([short, length]),
            Err(_) => {
                self.bytes.push(short | 0x10);
                self.bytes.extend(as_u32(value.len()).to_be_bytes());
            }
        }
        self.raw(value)
    }

    fn finish(self, code: u8, short: u8) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.bytes.len() + 12);
        whole.extend([0x00, 0x53, code]);
        match (u8::try_from(self.bytes.len() + 1), u8::try_from(self.count)) {
            (Ok(size), Ok(count)) => whole.extend([short, size, count]),
            _ => {
                whole.push(short | 0x10);
                whole.extend(as_u32(self.bytes.len() + 4).to_be_bytes());
                whole.extend(self.count.to_be_bytes());
            }
        }
        whole.extend(self.bytes);
        whole
    }
}

/// A value of the library, encoded. It fails for no value that the sandbox makes; if it did, null is sent and logged.
pub(crate) fn encoded(value: &impl Serialize) -> Vec<u8> {
    serde_amqp::to_vec(value).unwrap_or_else(|error| {
        log::error!("a value cannot be encoded: {error}");
        vec![0x40]
    })
}

/// A time as the library's value.
pub(crate) fn timestamp(time: Time) -> Value {
    Value::Timestamp(Timestamp::from_milliseconds(time.as_millisecond()))
}

fn as_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::messaging::Header;

    use super::*;

    #[test]
    fn what_is_written_is_what_the_library_reads() {
        let bytes = Fields::default()
            .bool(true)
            .ubyte(4)
            .uint(1000)
            .bool(false)
            .uint(0)
            .list(0x70);
        let header: Header = serde_amqp::from_slice(&bytes).unwrap();
        assert!(header.durable);
        assert_eq!((header.ttl, header.delivery_count), (Some(1000), 0));
        assert_eq!(
            bytes.get(4..6),
            Some(&[15, 5][..]),
            "all five fields are there"
        );
    }

    #[test]
    fn long_lists_have_long_sizes() {
        let text = "x".repeat(300);
        let bytes = Fields::default().string(&text).list(0x70);
        assert_eq!(super::super::raw::value_length(&bytes), Ok(bytes.len()));
    }
}
