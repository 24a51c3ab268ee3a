//! Messages as the broker keeps them: what it has to know, and the rest as it came.

use std::time::Duration;

use bytes::Bytes;
use fe2o3_amqp_types::messaging::annotations::{Annotations, OwnedKey};
use fe2o3_amqp_types::messaging::{
    ApplicationProperties, Header, MessageAnnotations, MessageId, Properties,
};
use fe2o3_amqp_types::primitives::Value;
use jiff::Timestamp;
use uuid::Uuid;

use super::Refusal;
use super::encode::{Fields, encoded, timestamp};
use super::raw::{self, Malformed};
use crate::event_hubs::Event;

/// The message format of a batch: its data sections are messages.
pub(crate) const BATCH: u32 = 0x8001_3700;

const HEADER: u64 = 0x70;
const MESSAGE_ANNOTATIONS: u64 = 0x72;
const PROPERTIES: u64 = 0x73;
const APPLICATION_PROPERTIES: u64 = 0x74;
const DATA: u64 = 0x75;

/// Annotations that only the service writes; what a sender wrote under these names is dropped.
const OF_THE_SERVICE: [&str; 6] = [
    "x-opt-sequence-number",
    "x-opt-enqueued-time",
    "x-opt-locked-until",
    "x-opt-offset",
    "x-opt-scheduled-enqueue-time",
    "x-opt-message-state",
];

/// A message that was sent, before it is routed: what rules look at is decoded.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) properties: Properties,
    pub(crate) application: ApplicationProperties,
    pub(crate) scheduled: Option<Timestamp>,
    pub(crate) partition_key: Option<String>,
    pub(crate) content: Content,
}

/// What stays the same however often a message is copied and delivered.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    durable: bool,
    priority: u8,
    pub(crate) time_to_live: Option<Duration>,
    annotations: Annotations,
    /// The section of properties, encoded, with a message id.
    properties: Bytes,
    /// The section of application properties, encoded, or nothing.
    application: Bytes,
    /// Body and footer, encoded.
    body: Bytes,
}

/// What differs from delivery to delivery.
#[derive(Clone, Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) delivery_count: u32,
    pub(crate) lock: Option<(Uuid, Timestamp)>,
    /// Annotations of the service besides the end of the lock.
    pub(crate) annotations: &'a [(&'static str, Value)],
    /// Application properties to be added: why it is a dead letter.
    pub(crate) added: Option<(&'a str, &'a str)>,
}

impl Incoming {
    /// Reads one message. The bytes are copied, so that a message does not keep the whole batch it came in.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        Self::read(Bytes::copy_from_slice(bytes)).map_err(|Malformed| {
            Refusal::new(
                "amqp:decode-error",
                "The message is no well-formed AMQP message.",
            )
        })
    }

    fn read(bytes: Bytes) -> Result<Self, Malformed> {
        let mut header = Header::default();
        let mut annotations = Annotations::new();
        let (mut properties, mut encoded_properties) = (Properties::default(), Bytes::new());
        let (mut application, mut encoded_application) =
            (ApplicationProperties::default(), Bytes::new());
        let mut body_starts = bytes.len();
        let mut position = 0;
        for section in raw::sections(bytes.clone())? {
            match section.code {
                HEADER => header = decoded(&section.whole)?,
                MESSAGE_ANNOTATIONS => {
                    annotations = decoded::<MessageAnnotations>(&section.whole)?.0
                }
                PROPERTIES => {
                    properties = decoded(&section.whole)?;
                    encoded_properties = section.whole.clone();
                }
                APPLICATION_PROPERTIES => {
                    application = decoded(&section.whole)?;
                    encoded_application = section.whole.clone();
                }
                code if code >= DATA => body_starts = body_starts.min(position),
                _ => {}
            }
            position += section.whole.len();
        }
        // Clients of JavaScript cannot settle a message that has no id.
        if properties.message_id.is_none() {
            properties.message_id = Some(MessageId::String(Uuid::new_v4().simple().to_string()));
            encoded_properties = encoded(&properties).into();
        }
        let scheduled = annotation(&annotations, "x-opt-scheduled-enqueue-time").and_then(time_of);
        let partition_key = annotation(&annotations, "x-opt-partition-key").and_then(text_of);
        OF_THE_SERVICE
            .iter()
            .for_each(|name| drop(annotations.swap_remove(&OwnedKey::from(*name))));
        let content = Content {
            durable: header.durable,
            priority: header.priority.into(),
            time_to_live: header.ttl.map(|ttl| Duration::from_millis(ttl.into())),
            annotations,
            properties: encoded_properties,
            application: encoded_application,
            body: bytes.slice(body_starts..),
        };
        Ok(Self {
            properties,
            application,
            scheduled,
            partition_key,
            content,
        })
    }

    /// Reads what one transfer brought: a message, or a batch of them.
    pub(crate) fn decode_transfer(bytes: Bytes, format: u32) -> Result<Vec<Self>, Refusal> {
        if format != BATCH {
            return Ok(vec![Self::decode(&bytes)?]);
        }
        let malformed =
            |Malformed| Refusal::new("amqp:decode-error", "The batch is not well-formed.");
        let sections = raw::sections(bytes).map_err(malformed)?;
        let key = partition_key_of(&sections).map_err(malformed)?;
        let messages = sections.iter().filter(|section| section.code == DATA);
        messages
            .map(|section| {
                let mut message = Self::decode(&raw::binary(&section.value).map_err(malformed)?)?;
                if let (None, Some(key)) = (&message.partition_key, &key) {
                    let value = Value::String(key.clone());
                    message
                        .content
                        .annotations
                        .insert("x-opt-partition-key".into(), value);
                    message.partition_key = Some(key.clone());
                }
                Ok(message)
            })
            .collect()
    }

    /// The session of the message.
    pub(crate) fn session(&self) -> Option<&str> {
        self.properties.group_id.as_deref()
    }
}

impl Content {
    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        self.properties.len() + self.application.len() + self.body.len()
    }

    /// The message on the wire.
    pub(crate) fn encode(&self, envelope: &Envelope<'_>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size() + 256);
        bytes.extend(self.header(envelope.delivery_count));
        if let Some((token, _)) = envelope.lock {
            bytes.extend(
                Fields::default()
                    .symbol("x-opt-lock-token")
                    .uuid(token)
                    .map(0x71),
            );
        }
        bytes.extend(self.annotations(envelope));
        bytes.extend_from_slice(&self.properties);
        match envelope.added {
            Some((reason, description)) => bytes.extend(self.application_with(reason, description)),
            None => bytes.extend_from_slice(&self.application),
        }
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The delivery count is written although it is zero: clients take a missing one for unknown.
    fn header(&self, delivery_count: u32) -> Vec<u8> {
        let ttl = self
            .time_to_live
            .map(|ttl| u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX));
        let fields = Fields::default().bool(self.durable).ubyte(self.priority);
        fields
            .option(ttl, Fields::uint)
            .bool(false)
            .uint(delivery_count)
            .list(0x70)
    }

    fn annotations(&self, envelope: &Envelope<'_>) -> Vec<u8> {
        let mut fields = Fields::default();
        for (key, value) in envelope.annotations {
            fields = fields.symbol(key).value(value);
        }
        if let Some((_, until)) = envelope.lock {
            fields = fields.symbol("x-opt-locked-until").time(until);
        }
        for (key, value) in &self.annotations {
            fields = fields.value(key).value(value);
        }
        fields.map(0x72)
    }

    fn application_with(&self, reason: &str, description: &str) -> Vec<u8> {
        let mut properties =
            decoded::<ApplicationProperties>(&self.application).unwrap_or_default();
        for (key, text) in [
            ("DeadLetterReason", reason),
            ("DeadLetterErrorDescription", description),
        ] {
            if !text.is_empty() {
                properties.0.insert(key.to_owned(), text.to_owned().into());
            }
        }
        encoded(&properties)
    }
}

/// The partition key that a batch has as a whole.
fn partition_key_of(sections: &[raw::Section]) -> Result<Option<String>, Malformed> {
    let Some(section) = sections
        .iter()
        .find(|section| section.code == MESSAGE_ANNOTATIONS)
    else {
        return Ok(None);
    };
    let annotations = decoded::<MessageAnnotations>(&section.whole)?.0;
    Ok(annotation(&annotations, "x-opt-partition-key").and_then(text_of))
}

fn decoded<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Malformed> {
    serde_amqp::from_slice(bytes).map_err(|_| Malformed)
}

fn annotation<'a>(annotations: &'a Annotations, name: &str) -> Option<&'a Value> {
    annotations.get(&OwnedKey::from(name))
}

/// The time of a timestamp.
pub(crate) fn time_of(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Timestamp(time) => Timestamp::from_millisecond(time.milliseconds()).ok(),
        _ => None,
    }
}

/// The text of a string or symbol.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Symbol(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

/// An event as it is sent to a reader.
pub(crate) fn encode_event(event: &Event) -> Vec<u8> {
    event.content.encode(&Envelope {
        delivery_count: 0,
        lock: None,
        annotations: &[
            ("x-opt-sequence-number", Value::Long(event.sequence)),
            ("x-opt-offset", Value::String(event.offset.to_string())),
            ("x-opt-enqueued-time", timestamp(event.enqueued)),
        ],
        added: None,
    })
}
