//! Questions about a hub and its partitions, as clients ask them over AMQP.

use fe2o3_amqp_types::primitives::{Array, Value};

use super::EventHubs;
use crate::amqp::request::{Answer, Body, Request, time_value};

/// Answers one question. Its properties are written with hyphens here, unlike those of Service Bus.
pub(crate) fn answer(hubs: &EventHubs, request: &Request) -> Answer {
    let (name, kind) = (request.property("name"), request.property("type"));
    let body = match (request.operation().as_str(), kind.as_str()) {
        ("READ", "com.microsoft:eventhub") => describe_hub(hubs, &name),
        ("READ", "com.microsoft:partition") => {
            describe_partition(hubs, &name, &request.property("partition"))
        }
        (operation, _) => {
            return Answer::hub(
                501,
                &format!("NotImplemented: '{operation}' of '{kind}'."),
                None,
            );
        }
    };
    match body {
        Some(body) => Answer::hub(200, "OK", Some(body)),
        None => Answer::hub(
            404,
            &format!("The messaging entity '{name}' could not be found."),
            None,
        ),
    }
}

fn describe_hub(hubs: &EventHubs, name: &str) -> Option<Body> {
    let hub = hubs.hub(name)?;
    let count = i32::try_from(hub.partition_ids.len()).unwrap_or(i32::MAX);
    let ids = hub.partition_ids.into_iter().map(Value::String).collect();
    let body = Body::default()
        .with("name", Value::String(hub.name))
        .with("type", text("com.microsoft:eventhub"));
    let body = body
        .with("created_at", time_value(hub.created_at))
        .with("partition_count", Value::Int(count));
    Some(body.with("partition_ids", Value::Array(Array(ids))))
}

fn describe_partition(hubs: &EventHubs, name: &str, id: &str) -> Option<Body> {
    let hub = hubs.hub(name)?;
    let partition = hubs.partition(name, id)?;
    let body = Body::default()
        .with("name", Value::String(hub.name))
        .with("type", text("com.microsoft:partition"));
    let body = body.with("partition", text(id));
    let body = body.with(
        "begin_sequence_number",
        Value::Long(partition.begin_sequence_number),
    );
    let body = body.with(
        "last_enqueued_sequence_number",
        Value::Long(partition.last_sequence_number),
    );
    let body = body.with("last_enqueued_offset", Value::String(partition.last_offset));
    let body = body.with(
        "last_enqueued_time_utc",
        time_value(partition.last_enqueued_at),
    );
    Some(body.with("is_partition_empty", Value::Bool(partition.is_empty)))
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}
