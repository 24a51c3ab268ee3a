//! What the body of a request says.

use fe2o3_amqp_types::primitives::{SimpleValue, Timestamp as AmqpTimestamp};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

use super::answer::Refusal;
use super::duration;
use super::xml::Element;
use crate::service_bus::{
    CorrelationFilter, Filter, RuleDescription, SubscriptionSettings, TopicSettings,
};

/// The description in an entry: `entry/content/<kind>`.
pub(super) fn description(body: &str, kind: &str) -> Result<Element, Refusal> {
    let entry = Element::parse(body).map_err(Refusal::Bad)?;
    let content = entry
        .child("content")
        .and_then(|content| content.child(kind));
    content
        .cloned()
        .ok_or_else(|| Refusal::Bad(format!("The body has no {kind}.")))
}

/// Settings of a topic.
pub(super) fn topic(given: &Element) -> Result<TopicSettings, Refusal> {
    let standard = TopicSettings::default();
    Ok(TopicSettings {
        partitioned: flag(given, "EnablePartitioning", false)?,
        default_message_time_to_live: time(given, "DefaultMessageTimeToLive", None)?,
        max_message_size: number(
            given,
            "MaxMessageSizeInKilobytes",
            standard.max_message_size / 1024,
        )? * 1024,
        max_size: number(
            given,
            "MaxSizeInMegabytes",
            standard.max_size / (1024 * 1024),
        )? * 1024
            * 1024,
    })
}

/// Settings of a subscription.
pub(super) fn subscription(given: &Element) -> Result<SubscriptionSettings, Refusal> {
    let standard = SubscriptionSettings::default();
    let count = number(
        given,
        "MaxDeliveryCount",
        u64::from(standard.max_delivery_count),
    )?;
    Ok(SubscriptionSettings {
        lock_duration: time(given, "LockDuration", Some(standard.lock_duration))?
            .unwrap_or(Duration::MAX),
        requires_session: flag(given, "RequiresSession", false)?,
        default_message_time_to_live: time(given, "DefaultMessageTimeToLive", None)?,
        dead_lettering_on_message_expiration: flag(
            given,
            "DeadLetteringOnMessageExpiration",
            false,
        )?,
        dead_lettering_on_filter_evaluation_exceptions: flag(
            given,
            "DeadLetteringOnFilterEvaluationExceptions",
            true,
        )?,
        max_delivery_count: u32::try_from(count)
            .map_err(|_| bad("MaxDeliveryCount", &count.to_string()))?,
        enable_batched_operations: flag(given, "EnableBatchedOperations", true)?,
        auto_delete_on_idle: time(given, "AutoDeleteOnIdle", None)?,
        user_metadata: given.value("UserMetadata").map(str::to_owned),
    })
}

/// The rule that a subscription is to begin with, when the body names one.
pub(super) fn default_rule(given: &Element) -> Result<Option<RuleDescription>, Refusal> {
    given
        .child("DefaultRuleDescription")
        .map(|given| rule(given, "$Default"))
        .transpose()
}

/// A rule; `name` is the one that the address says.
pub(super) fn rule(given: &Element, name: &str) -> Result<RuleDescription, Refusal> {
    if given
        .child("Action")
        .is_some_and(|action| !matches!(action.kind(), "" | "EmptyRuleAction"))
    {
        return Err(Refusal::Bad("The sandbox has no rule actions.".to_owned()));
    }
    let filter = given.child("Filter").map_or(Ok(Filter::True), filter)?;
    let name = given.value("Name").unwrap_or(name).to_owned();
    Ok(RuleDescription {
        name,
        filter,
        created_at: Timestamp::now(),
    })
}

fn filter(given: &Element) -> Result<Filter, Refusal> {
    Ok(match given.kind() {
        "TrueFilter" => Filter::True,
        "FalseFilter" => Filter::False,
        "CorrelationFilter" => Filter::Correlation(Box::new(correlation(given)?)),
        "SqlFilter" => Filter::Sql(given.value("SqlExpression").unwrap_or_default().to_owned()),
        other => return Err(bad("Filter", other)),
    })
}

fn correlation(given: &Element) -> Result<CorrelationFilter, Refusal> {
    let text = |name| given.value(name).map(str::to_owned);
    Ok(CorrelationFilter {
        correlation_id: text("CorrelationId"),
        message_id: text("MessageId"),
        to: text("To"),
        reply_to: text("ReplyTo"),
        subject: text("Label"),
        session_id: text("SessionId"),
        reply_to_session_id: text("ReplyToSessionId"),
        content_type: text("ContentType"),
        properties: given
            .child("Properties")
            .map_or(Ok(BTreeMap::new()), properties)?,
    })
}

fn properties(given: &Element) -> Result<BTreeMap<String, SimpleValue>, Refusal> {
    let pairs = given
        .children
        .iter()
        .filter(|pair| pair.name == "KeyValueOfstringanyType");
    pairs
        .map(|pair| {
            Ok((
                pair.value("Key").unwrap_or_default().to_owned(),
                property(pair)?,
            ))
        })
        .collect()
}

fn property(pair: &Element) -> Result<SimpleValue, Refusal> {
    let value = pair.child("Value").ok_or_else(|| bad("Value", ""))?;
    let text = value.text.as_str();
    let parsed = match value.kind() {
        "int" => text.parse().ok().map(SimpleValue::Int),
        "long" => text.parse().ok().map(SimpleValue::Long),
        "double" => text
            .parse::<f64>()
            .ok()
            .map(|number| SimpleValue::Double(number.into())),
        "boolean" => text.parse().ok().map(SimpleValue::Bool),
        "dateTime" => time_value(text),
        _ => Some(SimpleValue::String(text.to_owned())),
    };
    parsed.ok_or_else(|| bad("Value", text))
}

/// With an offset, or in UTC.
fn time_value(text: &str) -> Option<SimpleValue> {
    let time = text
        .parse::<Timestamp>()
        .or_else(|_| format!("{text}Z").parse())
        .ok()?;
    Some(SimpleValue::Timestamp(AmqpTimestamp::from_milliseconds(
        time.as_millisecond(),
    )))
}

fn flag(given: &Element, name: &str, standard: bool) -> Result<bool, Refusal> {
    match given.value(name).map(str::to_lowercase).as_deref() {
        None => Ok(standard),
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(other) => Err(bad(name, other)),
    }
}

fn number(given: &Element, name: &str, standard: u64) -> Result<u64, Refusal> {
    let Some(text) = given.value(name) else {
        return Ok(standard);
    };
    text.parse()
        .ok()
        .filter(|number| *number < u64::from(u32::MAX))
        .ok_or_else(|| bad(name, text))
}

fn time(
    given: &Element,
    name: &str,
    standard: Option<Duration>,
) -> Result<Option<Duration>, Refusal> {
    let Some(text) = given.value(name) else {
        return Ok(standard);
    };
    duration::parse(text).ok_or_else(|| bad(name, text))
}

fn bad(name: &str, value: &str) -> Refusal {
    Refusal::Bad(format!("The value '{value}' is not valid for {name}."))
}
