//! Values of AMQP in the small forms in which they are needed.

use fe2o3_amqp_types::{
    messaging::{ApplicationProperties, Body, Data, Message, MessageAnnotations, Properties},
    primitives::SimpleValue,
};
use serde::Serialize;
use serde_amqp::{
    Value,
    primitives::{Array, OrderedMap, Symbol, Uuid},
};

/// The format of a message that holds others, each of them encoded as one data section.
pub(in crate::azure) const BATCH_FORMAT: u32 = 0x8001_3700;

/// A map from names to values, as bodies of requests and answers are.
#[derive(Clone, Debug, Default)]
pub(in crate::azure) struct Fields(OrderedMap<Value, Value>);

impl Fields {
    /// With one more field.
    pub(in crate::azure) fn with(mut self, name: &str, value: Value) -> Self {
        self.0.insert(Value::String(name.to_owned()), value);
        self
    }

    /// The map.
    pub(in crate::azure) fn into_value(self) -> Value {
        Value::Map(self.0)
    }

    /// What is a map; anything else has no fields.
    pub(in crate::azure) fn of(value: Value) -> Self {
        match value {
            Value::Map(map) => Self(map),
            _ => Self::default(),
        }
    }

    /// The value of this name, whether the name is a string or a symbol.
    pub(in crate::azure) fn get(&self, name: &str) -> Option<&Value> {
        let named = |key: &Value| match key {
            Value::String(text) => text == name,
            Value::Symbol(symbol) => symbol.as_str() == name,
            _ => false,
        };
        self.0
            .iter()
            .find(|(key, _)| named(key))
            .map(|(_, value)| value)
    }
}

/// A symbol.
pub(in crate::azure) fn symbol(name: &str) -> Symbol {
    Symbol::from(name)
}

/// The text of a string or a symbol.
pub(in crate::azure) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Symbol(symbol) => Some(symbol.as_str()),
        _ => None,
    }
}

/// A number of any width.
pub(in crate::azure) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Byte(number) => Some((*number).into()),
        Value::Short(number) => Some((*number).into()),
        Value::Int(number) => Some((*number).into()),
        Value::Long(number) => Some(*number),
        Value::Ubyte(number) => Some((*number).into()),
        Value::Ushort(number) => Some((*number).into()),
        Value::Uint(number) => Some((*number).into()),
        Value::Ulong(number) => i64::try_from(*number).ok(),
        _ => None,
    }
}

/// The values of a list or an array.
pub(in crate::azure) fn items(value: &Value) -> &[Value] {
    match value {
        Value::List(items) | Value::Array(Array(items)) => items,
        _ => &[],
    }
}

/// The number of an answer.
pub(super) fn number(value: &SimpleValue) -> Option<i64> {
    match value {
        SimpleValue::Int(number) => Some((*number).into()),
        SimpleValue::Long(number) => Some(*number),
        SimpleValue::Uint(number) => Some((*number).into()),
        _ => None,
    }
}

/// An array of GUIDs.
pub(in crate::azure) fn uuids(uuids: impl IntoIterator<Item = [u8; 16]>) -> Value {
    let values = uuids.into_iter().map(|uuid| Value::Uuid(Uuid::from(uuid)));
    Value::Array(Array(values.collect()))
}

/// The bytes of a message's body, whichever way they came; none when the body is no bytes.
pub(in crate::azure) fn bytes_of(body: Body<Value>) -> Option<Vec<u8>> {
    match body {
        Body::Data(batch) => {
            let mut sections = batch.into_iter().map(|Data(bytes)| bytes.into_vec());
            let first = sections.next()?;
            Some(sections.fold(first, |mut all, more| {
                all.extend(more);
                all
            }))
        }
        Body::Value(value) => match value.0 {
            Value::Binary(bytes) => Some(bytes.into_vec()),
            Value::String(text) => Some(text.into_bytes()),
            _ => None,
        },
        Body::Sequence(_) | Body::Empty => None,
    }
}

/// The sections of a message with bytes as its body, as it stands within a batch.
pub(in crate::azure) fn encode(
    annotations: Option<&MessageAnnotations>,
    properties: &Properties,
    application: &ApplicationProperties,
    body: Vec<u8>,
) -> Result<Vec<u8>, serde_amqp::Error> {
    let mut bytes = Vec::with_capacity(body.len() + 256);
    if let Some(annotations) = annotations {
        append(&mut bytes, annotations)?;
    }
    append(&mut bytes, properties)?;
    append(&mut bytes, application)?;
    append(&mut bytes, &Data(body.into()))?;
    Ok(bytes)
}

fn append(bytes: &mut Vec<u8>, section: &impl Serialize) -> Result<(), serde_amqp::Error> {
    bytes.extend(serde_amqp::to_vec(section)?);
    Ok(())
}

/// Reads the sections of a message.
pub(in crate::azure) fn decode(bytes: &[u8]) -> Result<Message<Body<Value>>, serde_amqp::Error> {
    use fe2o3_amqp_types::messaging::message::DecodeIntoMessage;

    Body::<Value>::decode_message_from_reader(serde_amqp::read::SliceReader::new(bytes))
}
