//! Rules as `$management` carries them: written as maps by clients, read as described lists.

use fe2o3_amqp_types::primitives::{OrderedMap, SimpleValue, Value};
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;

use super::{CorrelationFilter, Filter, RuleDescription};
use crate::amqp::Refusal;
use crate::amqp::message::text_of;
use crate::amqp::request::{Body, time_value};

// Filters and rules differ by one digit; so it is in the service.
const RULE: u64 = 0x0137_0000_0004;
const EMPTY_ACTION: u64 = 0x0137_0000_0005;
const SQL_FILTER: u64 = 0x0013_7000_0006;
const TRUE_FILTER: u64 = 0x0013_7000_0007;
const FALSE_FILTER: u64 = 0x0013_7000_0008;
const CORRELATION_FILTER: u64 = 0x0013_7000_0009;

/// The filter of a rule that a client adds.
pub(super) fn decode(rule: &Body) -> Result<Filter, Refusal> {
    if let Some(filter) = rule.get("sql-filter") {
        return Ok(Filter::Sql(Body::from(filter).text("expression")));
    }
    let filter = rule.get("correlation-filter").map(Body::from);
    let filter = filter
        .ok_or_else(|| Refusal::new("com.microsoft:argument-error", "The rule has no filter."))?;
    let text = |key: &str| filter.get(key).and_then(text_of);
    Ok(Filter::Correlation(Box::new(CorrelationFilter {
        correlation_id: text("correlation-id"),
        message_id: text("message-id"),
        to: text("to"),
        reply_to: text("reply-to"),
        subject: text("label"),
        session_id: text("session-id"),
        reply_to_session_id: text("reply-to-session-id"),
        content_type: text("content-type"),
        properties: properties(filter.get("properties")),
    })))
}

/// A rule that a client reads.
pub(super) fn encode(rule: &RuleDescription) -> Value {
    let filter = match &rule.filter {
        Filter::True => described(TRUE_FILTER, Vec::new()),
        Filter::False => described(FALSE_FILTER, Vec::new()),
        Filter::Sql(expression) => described(
            SQL_FILTER,
            vec![Value::String(expression.clone()), Value::Int(20)],
        ),
        Filter::Correlation(filter) => correlation(filter),
    };
    let name = Value::String(rule.name.clone());
    described(
        RULE,
        vec![
            filter,
            described(EMPTY_ACTION, Vec::new()),
            name,
            time_value(rule.created_at),
        ],
    )
}

fn correlation(filter: &CorrelationFilter) -> Value {
    let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::String);
    let properties = filter
        .properties
        .iter()
        .map(|(key, value)| (Value::String(key.clone()), value.clone().into()));
    let fields = vec![
        text(&filter.correlation_id),
        text(&filter.message_id),
        text(&filter.to),
        text(&filter.reply_to),
        text(&filter.subject),
        text(&filter.session_id),
        text(&filter.reply_to_session_id),
        text(&filter.content_type),
        Value::Map(properties.collect::<OrderedMap<_, _>>()),
    ];
    described(CORRELATION_FILTER, fields)
}

fn properties(value: Option<&Value>) -> std::collections::BTreeMap<String, SimpleValue> {
    let Some(Value::Map(map)) = value else {
        return Default::default();
    };
    let simple = |value: &Value| SimpleValue::try_from(value.clone()).ok();
    map.iter()
        .filter_map(|(key, value)| Some((text_of(key)?, simple(value)?)))
        .collect()
}

fn described(code: u64, fields: Vec<Value>) -> Value {
    Value::Described(Box::new(Described {
        descriptor: Descriptor::Code(code),
        value: Value::List(fields),
    }))
}
