//! One topic.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::subscription::Subscription;
use super::{EntityError, TopicDescription, TopicSettings};
use crate::amqp::Refusal;
use crate::amqp::message::Incoming;
use crate::clock::later;

/// How many subscriptions a topic may have.
const MOST_SUBSCRIPTIONS: usize = 2000;

/// A topic and its subscriptions by their names in lower case.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) settings: TopicSettings,
    created_at: Timestamp,
    accessed_at: Timestamp,
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    sequence: i64,
    /// Messages for later, which are routed when their time has come.
    scheduled: BTreeMap<(Timestamp, i64), Incoming>,
}

impl Topic {
    pub(super) fn new(id: u64, name: &str, settings: TopicSettings, now: Timestamp) -> Self {
        Self {
            id,
            name: name.to_owned(),
            settings,
            created_at: now,
            accessed_at: now,
            subscriptions: BTreeMap::new(),
            sequence: 0,
            scheduled: BTreeMap::new(),
        }
    }

    pub(super) fn describe(&self) -> TopicDescription {
        TopicDescription {
            name: self.name.clone(),
            settings: self.settings.clone(),
            created_at: self.created_at,
            accessed_at: self.accessed_at,
            subscription_count: self.subscriptions.len(),
            scheduled: u64::try_from(self.scheduled.len()).unwrap_or(u64::MAX),
            size: self.bytes(),
        }
    }

    pub(super) fn add(
        &mut self,
        name: &str,
        subscription: Subscription,
    ) -> Result<(), EntityError> {
        let key = name.to_lowercase();
        if self.subscriptions.contains_key(&key) {
            return Err(EntityError::AlreadyExists(self.path_of(name)));
        }
        if self.subscriptions.len() >= MOST_SUBSCRIPTIONS {
            let text = format!(
                "The maximum of {MOST_SUBSCRIPTIONS} subscriptions of topic '{}' is reached.",
                self.name
            );
            return Err(EntityError::QuotaExceeded(text));
        }
        self.subscriptions.insert(key, subscription);
        Ok(())
    }

    pub(super) fn subscription_mut(
        &mut self,
        name: &str,
    ) -> Result<&mut Subscription, EntityError> {
        let path = self.path_of(name);
        self.subscriptions
            .get_mut(&name.to_lowercase())
            .ok_or(EntityError::NotFound(path))
    }

    pub(super) fn remove(&mut self, name: &str) -> Result<Subscription, EntityError> {
        let found = self.subscriptions.remove(&name.to_lowercase());
        found.ok_or_else(|| EntityError::NotFound(self.path_of(name)))
    }

    /// Takes the messages of one transfer, all or none of them, and gives their sequence numbers.
    pub(super) fn send(
        &mut self,
        messages: Vec<Incoming>,
        now: Timestamp,
    ) -> Result<Vec<i64>, Refusal> {
        self.check_partition(&messages)?;
        if self.bytes() >= self.settings.max_size {
            let text = format!(
                "The maximum entity size has been reached or exceeded for Topic: '{}'.",
                self.name
            );
            return Err(Refusal::new("amqp:resource-limit-exceeded", text));
        }
        self.accessed_at = now;
        Ok(messages
            .into_iter()
            .map(|message| self.accept(message, now))
            .collect())
    }

    /// Takes back messages for later.
    pub(super) fn cancel_scheduled(&mut self, sequences: &[i64]) -> Result<(), Refusal> {
        let due = |wanted: &i64| {
            self.scheduled
                .keys()
                .find(|(_, sequence)| sequence == wanted)
                .copied()
        };
        let keys: Option<Vec<_>> = sequences.iter().map(due).collect();
        let missing = || {
            Refusal::new(
                "com.microsoft:message-not-found",
                "A scheduled message does not exist.",
            )
        };
        keys.ok_or_else(missing)?
            .iter()
            .for_each(|key| drop(self.scheduled.remove(key)));
        Ok(())
    }

    /// Routes what is due and ends what is over; says whether a subscription was deleted.
    pub(super) fn advance(&mut self, now: Timestamp) -> bool {
        while let Some(entry) = self
            .scheduled
            .first_entry()
            .filter(|entry| entry.key().0 <= now)
        {
            let message = entry.remove();
            self.route(&message, now);
        }
        self.subscriptions
            .values_mut()
            .for_each(|subscription| subscription.advance(now));
        let before = self.subscriptions.len();
        self.subscriptions
            .retain(|_, subscription| !subscription.idle(now));
        before != self.subscriptions.len()
    }

    fn accept(&mut self, message: Incoming, now: Timestamp) -> i64 {
        self.sequence += 1;
        match message.scheduled.filter(|at| *at > now) {
            Some(at) => drop(self.scheduled.insert((at, self.sequence), message)),
            None => self.route(&message, now),
        }
        self.sequence
    }

    fn route(&mut self, message: &Incoming, now: Timestamp) {
        let life = message
            .content
            .time_to_live
            .into_iter()
            .chain(self.settings.default_message_time_to_live)
            .min();
        let expires = life.map(|life| later(now, life));
        let mut content = None;
        for subscription in self
            .subscriptions
            .values_mut()
            .filter(|subscription| subscription.takes(message))
        {
            let content = content.get_or_insert_with(|| Arc::new(message.content.clone()));
            subscription.put(message, Arc::clone(content), expires, now);
        }
    }

    /// A partitioned topic stores a batch in one place, which session id or partition key choose.
    fn check_partition(&self, messages: &[Incoming]) -> Result<(), Refusal> {
        let key = |message: &Incoming| {
            message
                .session()
                .map(str::to_owned)
                .or_else(|| message.partition_key.clone())
        };
        let first = messages.first().map(key);
        if self.settings.partitioned && messages.iter().any(|message| Some(key(message)) != first) {
            let text = "Batching brokered messages with distinct SessionId or PartitionKey is not supported for an entity \
                with partitioning enabled.";
            return Err(Refusal::new("amqp:not-allowed", text));
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.subscriptions.values().map(Subscription::bytes).sum()
    }

    fn path_of(&self, subscription: &str) -> String {
        format!("{}/Subscriptions/{subscription}", self.name)
    }
}
