//! A Service Bus namespace: topics with subscriptions, whose rules choose messages.
//!
//! [`ServiceBus`] is the door. All state is behind one lock, which is held for single operations in memory and never while
//! something is waited for: a sandbox has one or two cores, so a task for every entity would add hand-overs and win nothing,
//! and one lock makes "the message went to all subscriptions or to none" true without further thought.
//! Time is handed in with every operation, so the state has no clock of its own and tests move time as they like.
//!
//! Not there: queues, forwarding, duplicate detection, transactions, rule actions, and listing the sessions of a subscription.

mod description;
mod error;
mod mailbox;
pub(crate) mod management;
mod messages;
mod namespace;
mod rule;
mod rule_codec;
mod sessions;
mod sql;
mod subscription;
#[cfg(test)]
mod tests;
mod topic;

pub use description::{
    Counts, SubscriptionDescription, SubscriptionSettings, TopicDescription, TopicSettings,
};
pub use error::EntityError;
pub(crate) use mailbox::{Death, Delivery, Mailbox, Settlement, Stored};
pub(crate) use messages::{SubscriptionAddress, Wish};
pub use namespace::ServiceBus;
pub use rule::{CorrelationFilter, Filter, RuleDescription};
pub(crate) use sessions::Holder;
