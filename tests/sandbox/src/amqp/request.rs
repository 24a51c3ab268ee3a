//! Requests and answers: the pattern behind `$cbs` and `$management`.

use std::collections::BTreeMap;

use bytes::Bytes;
use fe2o3_amqp_types::messaging::{ApplicationProperties, MessageId, Properties};
use fe2o3_amqp_types::primitives::{OrderedMap, SimpleValue, Symbol, Timestamp, Value};
use jiff::Timestamp as Time;
use uuid::Uuid;

use super::Refusal;
use super::encode::encoded;
use super::message::Incoming;
use super::raw;

const AMQP_VALUE: u64 = 0x77;

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    properties: Properties,
    application: ApplicationProperties,
    body: Value,
}

/// The body of a request or answer: a map with texts as keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body(BTreeMap<String, Value>);

/// What is answered, before it is a message.
#[derive(Debug)]
pub(crate) struct Answer {
    application: OrderedMap<String, SimpleValue>,
    body: Value,
}

impl Request {
    pub(crate) fn decode(bytes: Bytes) -> Result<Self, Refusal> {
        let malformed = |_| Refusal::new("amqp:decode-error", "The request is not well-formed.");
        let message = Incoming::decode(&bytes)?;
        let sections = raw::sections(bytes).map_err(malformed)?;
        let body = sections.iter().find(|section| section.code == AMQP_VALUE);
        let body = body
            .and_then(|section| serde_amqp::from_slice(&section.value).ok())
            .unwrap_or_default();
        Ok(Self {
            properties: message.properties,
            application: message.application,
            body,
        })
    }

    /// What is asked for.
    pub(crate) fn operation(&self) -> String {
        self.property("operation")
    }

    /// An application property; empty when it is missing or no text.
    pub(crate) fn property(&self, name: &str) -> String {
        match self.application.0.get(name) {
            Some(SimpleValue::String(text)) => text.clone(),
            Some(SimpleValue::Symbol(text)) => text.as_str().to_owned(),
            _ => String::new(),
        }
    }

    /// The body, if it is a text.
    pub(crate) fn text_body(&self) -> Option<String> {
        match &self.body {
            Value::String(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// The body as a map; empty when it is none.
    pub(crate) fn map_body(&self) -> Body {
        Body::from(&self.body)
    }

    /// The address of the link that the answer goes to.
    pub(crate) fn reply_to(&self) -> &str {
        self.properties.reply_to.as_deref().unwrap_or_default()
    }

    pub(super) fn id(&self) -> Option<MessageId> {
        self.properties.message_id.clone()
    }
}

impl From<&Value> for Body {
    fn from(value: &Value) -> Self {
        let Value::Map(map) = value else {
            return Self::default();
        };
        let entries = map
            .iter()
            .filter_map(|(key, value)| Some((super::message::text_of(key)?, value.clone())));
        Self(entries.collect())
    }
}

impl Body {
    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        self.0.insert(key.to_owned(), value);
        self
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// A text; empty when it is missing.
    pub(crate) fn text(&self, key: &str) -> String {
        self.0
            .get(key)
            .and_then(super::message::text_of)
            .unwrap_or_default()
    }

    /// A whole number of any width.
    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        self.0.get(key).and_then(number_of)
    }

    /// The elements of a list or array.
    pub(crate) fn list(&self, key: &str) -> Vec<Value> {
        match self.0.get(key) {
            Some(Value::List(list)) => list.clone(),
            Some(Value::Array(array)) => array.0.clone(),
            Some(Value::Null) | None => Vec::new(),
            Some(single) => vec![single.clone()],
        }
    }

    /// The elements of a list or array that are UUIDs.
    pub(crate) fn uuids(&self, key: &str) -> Vec<Uuid> {
        let uuid = |value: &Value| match value {
            Value::Uuid(uuid) => Some(Uuid::from_bytes(*uuid.as_inner())),
            _ => None,
        };
        self.list(key).iter().filter_map(uuid).collect()
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Map(
            self.0
                .into_iter()
                .map(|(key, value)| (Value::String(key), value))
                .collect(),
        )
    }
}

impl Answer {
    /// An answer of `$cbs`.
    pub(crate) fn cbs(code: i32, description: &str) -> Self {
        Self::dashed(code, description, Value::Null)
    }

    /// An answer of the management of Event Hubs.
    pub(crate) fn hub(code: i32, description: &str, body: Option<Body>) -> Self {
        Self::dashed(
            code,
            description,
            body.map(Body::into_value).unwrap_or_default(),
        )
    }

    /// An answer of the management of Service Bus.
    pub(crate) fn entity(code: i32, body: Body) -> Self {
        let description = if code == 204 { "No Content" } else { "OK" };
        Self {
            application: status("statusCode", code, "statusDescription", description),
            body: body.into_value(),
        }
    }

    /// A refusal by the management of Service Bus.
    pub(crate) fn refused(refusal: &Refusal) -> Self {
        let code = code_of(refusal.condition);
        let mut application = status(
            "statusCode",
            code,
            "statusDescription",
            &refusal.description,
        );
        application.insert(
            "errorCondition".to_owned(),
            SimpleValue::Symbol(Symbol::from(refusal.condition)),
        );
        Self {
            application,
            body: Value::Null,
        }
    }

    /// The message that answers a request.
    pub(super) fn encode(self, request: &Request) -> Vec<u8> {
        let properties = Properties {
            correlation_id: request.id(),
            ..Properties::default()
        };
        let mut bytes = encoded(&properties);
        bytes.extend(encoded(&ApplicationProperties(self.application)));
        bytes.extend([0x00, 0x53, 0x77]);
        bytes.extend(encoded(&self.body));
        bytes
    }

    fn dashed(code: i32, description: &str, body: Value) -> Self {
        Self {
            application: status("status-code", code, "status-description", description),
            body,
        }
    }
}

/// A time as clients get it.
pub(crate) fn time_value(time: Time) -> Value {
    Value::Timestamp(Timestamp::from_milliseconds(time.as_millisecond()))
}

/// A whole number of any width.
pub(crate) fn number_of(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(i64::from(*number)),
        Value::Long(number) => Some(*number),
        Value::Uint(number) => Some(i64::from(*number)),
        Value::Ulong(number) => i64::try_from(*number).ok(),
        Value::Short(number) => Some(i64::from(*number)),
        Value::Byte(number) => Some(i64::from(*number)),
        Value::Ubyte(number) => Some(i64::from(*number)),
        Value::Ushort(number) => Some(i64::from(*number)),
        _ => None,
    }
}

fn status(
    code_key: &str,
    code: i32,
    description_key: &str,
    description: &str,
) -> OrderedMap<String, SimpleValue> {
    let mut properties = OrderedMap::new();
    properties.insert(code_key.to_owned(), SimpleValue::Int(code));
    properties.insert(
        description_key.to_owned(),
        SimpleValue::String(description.to_owned()),
    );
    properties
}

/// The status that goes with an error condition.
fn code_of(condition: &str) -> i32 {
    match condition {
        "amqp:unauthorized-access" => 401,
        "amqp:not-found" | "com.microsoft:message-not-found" | "com.microsoft:entity-not-found" => {
            404
        }
        "com.microsoft:entity-already-exists" => 409,
        "com.microsoft:message-lock-lost" | "com.microsoft:session-lock-lost" => 410,
        "com.microsoft:session-cannot-be-locked" => 410,
        "com.microsoft:server-busy" => 503,
        "amqp:not-implemented" => 501,
        "amqp:resource-limit-exceeded" => 403,
        _ => 400,
    }
}
