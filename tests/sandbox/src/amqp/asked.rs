//! What an attach of a client asks for.

use std::time::Duration;

use fe2o3_amqp_types::messaging::TargetArchetype;
use fe2o3_amqp_types::performatives::Attach;
use fe2o3_amqp_types::primitives::{Symbol, Value};

use super::address::{self, Node};
use super::message::text_of;
use super::request::number_of;
use crate::cbs::Right;

pub(super) const SESSION_FILTER: &str = "com.microsoft:session-filter";
/// How long a client waits for a session when it does not say.
const SESSION_WAIT: Duration = Duration::from_secs(60);

/// What somebody has to be allowed to attach such a link. Anybody may talk to `$cbs`.
pub(super) fn claim_of(node: &Node, client_sends: bool, address: &str) -> Option<(Right, String)> {
    let path = address::path(address);
    match node {
        Node::Cbs => None,
        // Both links of a request need the same: listening for subscriptions, where also rules are managed, and hubs.
        Node::SubscriptionManagement(_) => Some((Right::Listen, path)),
        Node::Management(name) if name.is_empty() => None,
        Node::Management(_) => Some((Right::Send, path)),
        _ => Some((
            if client_sends {
                Right::Send
            } else {
                Right::Listen
            },
            path,
        )),
    }
}

/// The address that is sent to.
pub(super) fn target_of(attach: &Attach) -> String {
    match attach.target.as_deref() {
        Some(TargetArchetype::Target(target)) => target.address.clone().unwrap_or_default(),
        _ => String::new(),
    }
}

/// The address that is received from.
pub(super) fn source_of(attach: &Attach) -> String {
    attach
        .source
        .as_ref()
        .and_then(|source| source.address.clone())
        .unwrap_or_default()
}

/// The session that is wanted, if one is; null is the next that is free.
pub(super) fn session_filter_of(attach: &Attach) -> Option<Option<String>> {
    let filter = attach
        .source
        .as_ref()?
        .filter
        .as_ref()?
        .get(&Symbol::from(SESSION_FILTER))?;
    Some(text_of(undescribed(filter)))
}

/// The selector of a reader of events.
pub(super) fn selector_of(attach: &Attach) -> String {
    let filters = attach
        .source
        .as_ref()
        .and_then(|source| source.filter.as_ref());
    let selector = filters.and_then(|filters| {
        filters
            .iter()
            .find(|(key, _)| key.as_str().starts_with("apache.org:selector-filter"))
            .map(|(_, value)| value)
    });
    selector
        .and_then(|selector| text_of(undescribed(selector)))
        .unwrap_or_default()
}

/// How long the client waits for a session.
pub(super) fn session_wait_of(attach: &Attach) -> Duration {
    let property = attach
        .properties
        .as_ref()
        .and_then(|properties| properties.get(&Symbol::from("com.microsoft:timeout")));
    let milliseconds = property
        .and_then(number_of)
        .and_then(|number| u64::try_from(number).ok());
    milliseconds.map_or(SESSION_WAIT, Duration::from_millis)
}

fn undescribed(value: &Value) -> &Value {
    match value {
        Value::Described(described) => &described.value,
        value => value,
    }
}
