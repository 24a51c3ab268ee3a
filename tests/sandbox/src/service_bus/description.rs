//! Entities as their management describes them.

use std::time::Duration;

use jiff::Timestamp;

use super::EntityError;

/// Settings of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// Whether one batch has to have one session id or partition key.
    pub partitioned: bool,
    /// The longest time that a message lives; none is for ever.
    pub default_message_time_to_live: Option<Duration>,
    /// Bytes that a message, or a batch, may have.
    pub max_message_size: u64,
    /// Bytes that all subscriptions of the topic may hold together.
    pub max_size: u64,
}

impl Default for TopicSettings {
    /// What the reference program's infrastructure creates in the Standard tier.
    fn default() -> Self {
        Self {
            partitioned: true,
            default_message_time_to_live: Some(Duration::from_secs(14 * 86_400)),
            max_message_size: 256 * 1024,
            max_size: 4096 * 1024 * 1024,
        }
    }
}

/// A topic and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name as it was given.
    pub name: String,
    /// Its settings.
    pub settings: TopicSettings,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a message was last sent to it.
    pub accessed_at: Timestamp,
    /// How many subscriptions it has.
    pub subscription_count: usize,
    /// How many messages were sent to it for a later time.
    pub scheduled: u64,
    /// Bytes of all messages.
    pub size: u64,
}

/// Settings of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionSettings {
    /// How long a delivery, or a session, belongs to its receiver; five minutes at most.
    pub lock_duration: Duration,
    /// Whether messages are received by session. Cannot be changed later.
    pub requires_session: bool,
    /// The longest time that a message lives; none is for ever.
    pub default_message_time_to_live: Option<Duration>,
    /// Whether messages that expire become dead letters, or vanish.
    pub dead_lettering_on_message_expiration: bool,
    /// Whether messages become dead letters when a filter fails on them. No filter of the sandbox fails.
    pub dead_lettering_on_filter_evaluation_exceptions: bool,
    /// After how many deliveries in vain a message becomes a dead letter.
    pub max_delivery_count: u32,
    /// Kept and given back; without effect.
    pub enable_batched_operations: bool,
    /// The subscription is deleted when nobody has used it for so long; five minutes at least; none is never.
    pub auto_delete_on_idle: Option<Duration>,
    /// Kept and given back.
    pub user_metadata: Option<String>,
}

impl Default for SubscriptionSettings {
    fn default() -> Self {
        Self {
            lock_duration: Duration::from_secs(60),
            requires_session: false,
            default_message_time_to_live: None,
            dead_lettering_on_message_expiration: false,
            dead_lettering_on_filter_evaluation_exceptions: true,
            max_delivery_count: 10,
            enable_batched_operations: true,
            auto_delete_on_idle: None,
            user_metadata: None,
        }
    }
}

impl SubscriptionSettings {
    /// Refuses what the service refuses.
    ///
    /// The service also refuses locks below five seconds; the sandbox takes them, so that tests need not wait.
    pub(super) fn validate(&self) -> Result<(), EntityError> {
        let refuse = |text: &str| Err(EntityError::BadRequest(text.to_owned()));
        if self.lock_duration.is_zero() || self.lock_duration > Duration::from_secs(300) {
            return refuse(
                "The supplied lock time exceeds the allowed maximum of '5' minutes, or is zero.",
            );
        }
        if self.max_delivery_count == 0 || self.max_delivery_count > 2_147_483_647 {
            return refuse("The value of MaxDeliveryCount has to be at least 1.");
        }
        if self
            .auto_delete_on_idle
            .is_some_and(|idle| idle < Duration::from_secs(300))
        {
            return refuse("The value supplied for AutoDeleteOnIdle has to be at least 5 minutes.");
        }
        if self
            .default_message_time_to_live
            .is_some_and(|life| life.is_zero())
        {
            return refuse(
                "The value supplied for DefaultMessageTimeToLive has to be greater than zero.",
            );
        }
        Ok(())
    }
}

/// How many messages a subscription holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// To be received; those that are locked are included.
    pub active: u64,
    /// In the dead-letter queue.
    pub dead_letter: u64,
    /// Sent for a later time. These are the topic's until then, so it is zero.
    pub scheduled: u64,
}

impl Counts {
    /// All of them: `MessageCount`.
    pub fn total(&self) -> u64 {
        self.active + self.dead_letter + self.scheduled
    }
}

/// A subscription and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionDescription {
    /// The name of its topic.
    pub topic: String,
    /// Its name as it was given.
    pub name: String,
    /// Its settings.
    pub settings: SubscriptionSettings,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its settings were last changed.
    pub updated_at: Timestamp,
    /// When somebody last received from it or managed its messages.
    pub accessed_at: Timestamp,
    /// How many messages it holds.
    pub counts: Counts,
}
