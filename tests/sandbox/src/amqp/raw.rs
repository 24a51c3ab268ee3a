//! Encoded values, without decoding them.
//!
//! A broker passes most of a message on as it came. Finding where a value ends is enough for that, keeps every bit of what
//! the sender wrote, and costs little.

use bytes::Bytes;

/// What is wrong with bytes that should be AMQP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A section of a message: its descriptor, all its bytes, and the bytes of its value.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) code: u64,
    pub(crate) whole: Bytes,
    pub(crate) value: Bytes,
}

/// How many bytes the value at the start of `bytes` has.
pub(crate) fn value_length(bytes: &[u8]) -> Result<usize, Malformed> {
    let constructor = *bytes.first().ok_or(Malformed)?;
    if constructor == 0 {
        let descriptor = value_length(simple(bytes.get(1..))?)?;
        let value = value_length(simple(bytes.get(1 + descriptor..))?)?;
        return Ok(1 + descriptor + value);
    }
    let length = match constructor >> 4 {
        0x4 => 1,
        0x5 => 2,
        0x6 => 3,
        0x7 => 5,
        0x8 => 9,
        0x9 => 17,
        0xa | 0xc | 0xe => 2 + usize::from(*bytes.get(1).ok_or(Malformed)?),
        0xb | 0xd | 0xf => 5 + long_size(bytes)?,
        _ => return Err(Malformed),
    };
    if length <= bytes.len() {
        Ok(length)
    } else {
        Err(Malformed)
    }
}

/// A descriptor inside a descriptor would let a sender choose how deep we recurse.
fn simple(bytes: Option<&[u8]>) -> Result<&[u8], Malformed> {
    bytes
        .filter(|bytes| bytes.first().is_some_and(|first| *first != 0))
        .ok_or(Malformed)
}

fn long_size(bytes: &[u8]) -> Result<usize, Malformed> {
    let size = bytes
        .get(1..5)
        .and_then(|size| size.try_into().ok())
        .ok_or(Malformed)?;
    usize::try_from(u32::from_be_bytes(size)).map_err(|_| Malformed)
}

/// The sections of a message.
pub(crate) fn sections(mut bytes: Bytes) -> Result<Vec<Section>, Malformed> {
    let mut sections = Vec::with_capacity(4);
    while !bytes.is_empty() {
        let whole = bytes.split_to(value_length(&bytes)?);
        let (code, start) = descriptor(&whole)?;
        sections.push(Section {
            code,
            value: whole.slice(start..),
            whole,
        });
    }
    Ok(sections)
}

/// The numeric descriptor at the start, and where the described value begins.
pub(crate) fn descriptor(bytes: &[u8]) -> Result<(u64, usize), Malformed> {
    match bytes {
        [0, 0x53, code, ..] => Ok((u64::from(*code), 3)),
        [0, 0x80, rest @ ..] => {
            let code = rest
                .get(..8)
                .and_then(|code| code.try_into().ok())
                .ok_or(Malformed)?;
            Ok((u64::from_be_bytes(code), 10))
        }
        _ => Err(Malformed),
    }
}

/// The content of a binary value.
pub(crate) fn binary(value: &Bytes) -> Result<Bytes, Malformed> {
    let length = value_length(value)?;
    match value.first() {
        Some(0xa0) => Ok(value.slice(2..length)),
        Some(0xb0) => Ok(value.slice(5..length)),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_the_library() {
        let values = [
            serde_amqp::to_vec(&true),
            serde_amqp::to_vec(&7_u32),
            serde_amqp::to_vec(&i64::MAX),
            serde_amqp::to_vec(&"x".repeat(300)),
            serde_amqp::to_vec(&vec!["a".to_owned(), "b".to_owned()]),
            serde_amqp::to_vec(&fe2o3_amqp_types::messaging::Header::default()),
        ];
        for value in values {
            let mut value = value.unwrap();
            let length = value.len();
            value.push(0x40);
            assert_eq!(value_length(&value), Ok(length));
            assert_eq!(value_length(&value[..length - 1]), Err(Malformed));
        }
    }

    #[test]
    fn descriptors_in_descriptors_are_refused() {
        assert_eq!(value_length(&[0; 100_000]), Err(Malformed));
    }
}
