//! Addresses of nodes: what a link is attached to.

use crate::service_bus::SubscriptionAddress;

const MANAGEMENT: &str = "$management";
const DEAD_LETTERS: &str = "$deadletterqueue";

/// A node by its address alone. Whether it exists is for others to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Takes tokens.
    Cbs,
    /// Management of a subscription's messages.
    SubscriptionManagement(SubscriptionAddress),
    /// Management of an entity with this name; the empty name is the namespace.
    Management(String),
    /// A subscription or its dead letters.
    Subscription(SubscriptionAddress),
    /// A topic or an event hub.
    Entity(String),
    /// A partition of an event hub, to send to.
    Partition { hub: String, partition: String },
    /// A partition of an event hub, to read from.
    Reader {
        hub: String,
        group: String,
        partition: String,
    },
    /// Nothing that the sandbox knows.
    Unknown,
}

impl Node {
    pub(crate) fn parse(address: &str) -> Self {
        let path = path(address);
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["$cbs"] => Self::Cbs,
            [MANAGEMENT] => Self::Management(String::new()),
            [entity, MANAGEMENT] => Self::Management((*entity).to_owned()),
            [topic, "subscriptions", rest @ ..] => Self::below_subscriptions(topic, rest),
            [hub, "partitions", partition] => Self::Partition {
                hub: (*hub).to_owned(),
                partition: (*partition).to_owned(),
            },
            [hub, "consumergroups", group, "partitions", partition] => Self::Reader {
                hub: (*hub).to_owned(),
                group: (*group).to_owned(),
                partition: (*partition).to_owned(),
            },
            [entity] if !entity.is_empty() => Self::Entity((*entity).to_owned()),
            _ => Self::Unknown,
        }
    }

    fn below_subscriptions(topic: &str, rest: &[&str]) -> Self {
        let address = |subscription: &str, dead_letters| SubscriptionAddress {
            topic: topic.to_owned(),
            subscription: subscription.to_owned(),
            dead_letters,
        };
        match rest {
            [name] => Self::Subscription(address(name, false)),
            [name, DEAD_LETTERS] => Self::Subscription(address(name, true)),
            [name, MANAGEMENT] => Self::SubscriptionManagement(address(name, false)),
            [name, DEAD_LETTERS, MANAGEMENT] => Self::SubscriptionManagement(address(name, true)),
            _ => Self::Unknown,
        }
    }
}

/// The path of a URI or address, in lower case and without slashes at its ends.
pub(crate) fn path(address: &str) -> String {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => address,
    };
    path.trim_matches('/').to_lowercase()
}

/// The host of a URI, without port.
pub(crate) fn host(uri: &str) -> String {
    let rest = uri.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or_default();
    authority
        .split(':')
        .next()
        .unwrap_or_default()
        .to_lowercase()
}

/// Whether a path is the other, or above it; the empty path is above all.
pub(crate) fn covers(above: &str, path: &str) -> bool {
    let below = path.strip_prefix(above);
    above.is_empty() || below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_host_and_in_any_case() {
        let subscription = |dead_letters| SubscriptionAddress {
            topic: "sbm".to_owned(),
            subscription: "job".to_owned(),
            dead_letters,
        };
        let of = |address: &str| Node::parse(address);
        assert_eq!(
            of("amqps://host:5671/sbm/Subscriptions/Job"),
            Node::Subscription(subscription(false))
        );
        assert_eq!(
            of("sbm/Subscriptions/Job/$DeadLetterQueue"),
            Node::Subscription(subscription(true))
        );
        assert_eq!(
            of("sbm/Subscriptions/Job/$DeadLetterQueue/$management"),
            Node::SubscriptionManagement(subscription(true))
        );
        assert_eq!(of("$cbs"), Node::Cbs);
        assert_eq!(
            of("amqp://host/$management"),
            Node::Management(String::new())
        );
        assert_eq!(of("sbm/$management"), Node::Management("sbm".to_owned()));
        assert_eq!(of("amqps://host"), Node::Unknown);
        let reader = Node::Reader {
            hub: "hub".into(),
            group: "$default".into(),
            partition: "1".into(),
        };
        assert_eq!(of("hub/ConsumerGroups/$Default/Partitions/1"), reader);
    }

    #[test]
    fn a_path_covers_what_is_below_it() {
        assert!(covers("", "topic/a") && covers("topic", "topic") && covers("topic", "topic/a"));
        assert!(!covers("topic", "topic2") && !covers("topic/a", "topic"));
    }
}
