//! The dead of a queue, which are looked at and left where they are.

use fe2o3_amqp_types::messaging::{Body, Message};
use serde_amqp::Value;

use super::{
    Options, ServiceBus,
    message::{self, string},
};
use crate::{
    azure::amqp::{Error, Fields, Request, decode, integer, items},
    queue::Dead,
};

/// The service's reason for a message that was delivered too often.
const WORN_OUT: &str = "MaxDeliveryCountExceeded";

/// How many are looked at in one go.
const AT_ONCE: i32 = 200;

/// Looks at everything that was put with the dead. What is no target of the run is passed over, and told in the log.
pub(super) async fn dead(bus: &ServiceBus, options: &Options) -> Result<Vec<Dead>, Error> {
    let source = format!("{}/$DeadLetterQueue", bus.source(&options.subscription()));
    let mut dead = Vec::new();
    let mut from = 0;
    loop {
        let messages = peek(bus, &source, from, AT_ONCE).await?;
        let Some((last, _)) = messages.last() else {
            return Ok(dead);
        };
        from = last + 1;
        for (_, message) in messages {
            dead.extend(one(message, options));
        }
    }
}

/// Messages from a number on, with their numbers; none when there are no more.
pub(super) async fn peek(
    bus: &ServiceBus,
    source: &str,
    from: i64,
    count: i32,
) -> Result<Vec<(i64, Message<Body<Value>>)>, Error> {
    let connection = bus.client.connection_for(source).await?;
    let arguments = Fields::default()
        .with("from-sequence-number", Value::Long(from))
        .with("message-count", Value::Int(count));
    let request = Request::new("com.microsoft:peek-message", arguments.into_value());
    let reply = connection
        .request(&format!("{source}/$management"), request)
        .await?;
    let messages = reply.body.get("messages").map(items).unwrap_or_default();
    Ok(messages.iter().filter_map(peeked).collect())
}

fn peeked(entry: &Value) -> Option<(i64, Message<Body<Value>>)> {
    let Value::Binary(bytes) = Fields::of(entry.clone()).get("message").cloned()? else {
        return None;
    };
    let message = decode(&bytes).ok()?;
    let annotations = message.message_annotations.as_ref()?;
    let number = annotations.0.iter().find_map(|(name, value)| {
        use fe2o3_amqp_types::messaging::annotations::OwnedKey;
        match name {
            OwnedKey::Symbol(name) if name.as_str() == "x-opt-sequence-number" => integer(value),
            _ => None,
        }
    })?;
    Some((number, message))
}

fn one(message: Message<Body<Value>>, options: &Options) -> Option<Dead> {
    let properties = message.application_properties.clone().unwrap_or_default();
    let word = |name| string(&properties, name).unwrap_or_default().to_owned();
    let reason = word("DeadLetterReason");
    let description = word("DeadLetterErrorDescription");
    match message::read(message, options) {
        Ok(content) => Some(Dead {
            target: content.target,
            purpose: content.purpose,
            // The delivery that ended with this is not counted among those that came to nothing.
            count: content.deliveries + u32::from(reason != WORN_OUT),
            reason,
            description,
        }),
        Err(_) => {
            log::warn!("a message of somebody else was put with the dead: {reason}: {description}");
            None
        }
    }
}
