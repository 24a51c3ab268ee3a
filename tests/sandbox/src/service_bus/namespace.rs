//! The door to a namespace: its entities.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::subscription::Subscription;
use super::topic::Topic;
use super::{
    EntityError, RuleDescription, SubscriptionDescription, SubscriptionSettings, TopicDescription,
    TopicSettings,
};
use crate::clock::Clock;

/// How often locks and lifetimes are looked at besides every use of a mailbox.
const TICK: Duration = Duration::from_millis(25);

/// A Service Bus namespace. Names of entities differ in more than upper and lower case.
#[derive(Debug)]
pub struct ServiceBus {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Counts deletions, so that links to what is gone are detached.
    deletions: watch::Sender<u64>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    topics: BTreeMap<String, Topic>,
    last_id: u64,
}

impl ServiceBus {
    /// A namespace without topics.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
            deletions: watch::Sender::new(0),
        }
    }

    /// Ends locks, lifetimes and idle subscriptions as time goes on; never returns.
    pub async fn keep_time(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.advance();
        }
    }

    /// Makes a topic.
    pub fn create_topic(
        &self,
        name: &str,
        settings: TopicSettings,
    ) -> Result<TopicDescription, EntityError> {
        let now = self.clock.now();
        let mut state = self.lock();
        let key = name.to_lowercase();
        if state.topics.contains_key(&key) {
            return Err(EntityError::AlreadyExists(name.to_owned()));
        }
        let topic = Topic::new(state.next_id(), name, settings, now);
        let description = topic.describe();
        state.topics.insert(key, topic);
        Ok(description)
    }

    /// All topics, by name.
    pub fn topics(&self) -> Vec<TopicDescription> {
        self.lock().topics.values().map(Topic::describe).collect()
    }

    /// One topic.
    pub fn topic(&self, name: &str) -> Result<TopicDescription, EntityError> {
        self.lock().topic(name).map(|topic| topic.describe())
    }

    /// Deletes a topic with its subscriptions. Links to them are detached.
    pub fn delete_topic(&self, name: &str) -> Result<(), EntityError> {
        let topic = self.lock().topics.remove(&name.to_lowercase());
        topic
            .map(drop)
            .ok_or_else(|| EntityError::NotFound(name.to_owned()))?;
        self.tell_of_deletion();
        Ok(())
    }

    /// Makes a subscription with its first rule; without one it gets `$Default`, which takes everything.
    pub fn create_subscription(
        &self,
        topic: &str,
        name: &str,
        settings: SubscriptionSettings,
        rule: Option<RuleDescription>,
    ) -> Result<SubscriptionDescription, EntityError> {
        let now = self.clock.now();
        let mut state = self.lock();
        let id = state.next_id();
        let topic = state.topic(topic)?;
        let subscription = Subscription::new(id, &topic.name, name, settings, rule, now)?;
        let description = subscription.describe();
        topic.add(name, subscription)?;
        Ok(description)
    }

    /// All subscriptions of a topic, by name.
    pub fn subscriptions(&self, topic: &str) -> Result<Vec<SubscriptionDescription>, EntityError> {
        let mut state = self.lock();
        Ok(state
            .topic(topic)?
            .subscriptions
            .values()
            .map(Subscription::describe)
            .collect())
    }

    /// One subscription, with its counts.
    pub fn subscription(
        &self,
        topic: &str,
        name: &str,
    ) -> Result<SubscriptionDescription, EntityError> {
        self.with_subscription(topic, name, |subscription| Ok(subscription.describe()))
    }

    /// Changes the settings of a subscription.
    pub fn update_subscription(
        &self,
        topic: &str,
        name: &str,
        settings: SubscriptionSettings,
    ) -> Result<SubscriptionDescription, EntityError> {
        let now = self.clock.now();
        self.with_subscription(topic, name, |subscription| {
            subscription.update(settings, now)?;
            Ok(subscription.describe())
        })
    }

    /// Deletes a subscription with its messages and dead letters. Links to it are detached.
    pub fn delete_subscription(&self, topic: &str, name: &str) -> Result<(), EntityError> {
        self.lock().topic(topic)?.remove(name)?;
        self.tell_of_deletion();
        Ok(())
    }

    /// Adds a rule. A message is taken once, however many rules take it.
    pub fn create_rule(
        &self,
        topic: &str,
        subscription: &str,
        rule: RuleDescription,
    ) -> Result<RuleDescription, EntityError> {
        let now = self.clock.now();
        self.with_subscription(topic, subscription, |subscription| {
            subscription.create_rule(rule, now)
        })
    }

    /// Puts another filter into the rule of this name.
    pub fn update_rule(
        &self,
        topic: &str,
        subscription: &str,
        rule: RuleDescription,
    ) -> Result<RuleDescription, EntityError> {
        self.with_subscription(topic, subscription, |subscription| {
            subscription.update_rule(rule)
        })
    }

    /// One rule.
    pub fn rule(
        &self,
        topic: &str,
        subscription: &str,
        name: &str,
    ) -> Result<RuleDescription, EntityError> {
        self.with_subscription(topic, subscription, |subscription| subscription.rule(name))
    }

    /// All rules of a subscription, by name.
    pub fn rules(
        &self,
        topic: &str,
        subscription: &str,
    ) -> Result<Vec<RuleDescription>, EntityError> {
        self.with_subscription(topic, subscription, |subscription| Ok(subscription.rules()))
    }

    /// Removes a rule. A subscription without rules takes nothing.
    pub fn delete_rule(
        &self,
        topic: &str,
        subscription: &str,
        name: &str,
    ) -> Result<(), EntityError> {
        self.with_subscription(topic, subscription, |subscription| {
            subscription.delete_rule(name)
        })
    }

    /// Ends all locks of a subscription, of messages and of sessions, as if their time were over. A fault.
    pub fn lose_locks(&self, topic: &str, subscription: &str) -> Result<(), EntityError> {
        let now = self.clock.now();
        self.with_subscription(topic, subscription, |subscription| {
            subscription.messages.lose_locks();
            subscription.move_the_dead(now);
            Ok(())
        })
    }

    /// Ends what is over by the clock.
    pub(crate) fn advance(&self) {
        let now = self.clock.now();
        let mut deleted = false;
        for topic in self.lock().topics.values_mut() {
            deleted |= topic.advance(now);
        }
        if deleted {
            self.tell_of_deletion();
        }
    }

    /// Changes whenever an entity has been deleted.
    pub(crate) fn deletions(&self) -> watch::Receiver<u64> {
        self.deletions.subscribe()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn with_subscription<T>(
        &self,
        topic: &str,
        name: &str,
        action: impl FnOnce(&mut Subscription) -> Result<T, EntityError>,
    ) -> Result<T, EntityError> {
        let now = self.clock.now();
        let mut state = self.lock();
        let subscription = state.topic(topic)?.subscription_mut(name)?;
        subscription.advance(now);
        action(subscription)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_of_deletion(&self) {
        self.deletions.send_modify(|count| *count += 1);
    }
}

impl State {
    pub(super) fn topic(&mut self, name: &str) -> Result<&mut Topic, EntityError> {
        self.topics
            .get_mut(&name.to_lowercase())
            .ok_or_else(|| EntityError::NotFound(name.to_owned()))
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}
