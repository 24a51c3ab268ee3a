//! One subscription.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::mailbox::{Death, Limits, Mailbox, Stored};
use super::rule::Rule;
use super::{
    Counts, EntityError, Filter, RuleDescription, SubscriptionDescription, SubscriptionSettings,
};
use crate::amqp::message::Incoming;
use crate::clock::later;

/// The name of the rule that a subscription gets when it is made without one.
const DEFAULT_RULE: &str = "$Default";
/// How long the name of a rule or subscription may be.
const LONGEST_NAME: usize = 50;

/// A subscription: rules, settings and messages.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// Tells it from another of the same name that was made when this one was deleted.
    pub(super) id: u64,
    topic: String,
    name: String,
    settings: SubscriptionSettings,
    rules: BTreeMap<String, Rule>,
    created_at: Timestamp,
    updated_at: Timestamp,
    accessed_at: Timestamp,
    /// How many links receive from it; while there is one, it is not idle.
    pub(super) receivers: usize,
    sequence: i64,
    pub(super) messages: Mailbox,
    pub(super) dead_letters: Mailbox,
}

impl Subscription {
    pub(super) fn new(
        id: u64,
        topic: &str,
        name: &str,
        settings: SubscriptionSettings,
        rule: Option<RuleDescription>,
        now: Timestamp,
    ) -> Result<Self, EntityError> {
        check_name(name)?;
        settings.validate()?;
        let mut subscription = Self {
            id,
            topic: topic.to_owned(),
            name: name.to_owned(),
            rules: BTreeMap::new(),
            created_at: now,
            updated_at: now,
            accessed_at: now,
            receivers: 0,
            sequence: 0,
            messages: Mailbox::new(limits(&settings), settings.requires_session),
            dead_letters: Mailbox::new(limits_of_the_dead(&settings), false),
            settings,
        };
        let match_all = || RuleDescription {
            name: DEFAULT_RULE.to_owned(),
            filter: Filter::True,
            created_at: now,
        };
        subscription.create_rule(rule.unwrap_or_else(match_all), now)?;
        Ok(subscription)
    }

    pub(super) fn describe(&self) -> SubscriptionDescription {
        let counted = |mailbox: &Mailbox| u64::try_from(mailbox.len()).unwrap_or(u64::MAX);
        SubscriptionDescription {
            topic: self.topic.clone(),
            name: self.name.clone(),
            settings: self.settings.clone(),
            created_at: self.created_at,
            updated_at: self.updated_at,
            accessed_at: self.accessed_at,
            counts: Counts {
                active: counted(&self.messages),
                dead_letter: counted(&self.dead_letters),
                scheduled: 0,
            },
        }
    }

    pub(super) fn update(
        &mut self,
        settings: SubscriptionSettings,
        now: Timestamp,
    ) -> Result<(), EntityError> {
        settings.validate()?;
        if settings.requires_session != self.settings.requires_session {
            let text = "The value for the RequiresSession property of an existing Subscription cannot be changed.";
            return Err(EntityError::BadRequest(text.to_owned()));
        }
        self.messages.limits = limits(&settings);
        self.dead_letters.limits = limits_of_the_dead(&settings);
        self.settings = settings;
        self.updated_at = now;
        self.accessed_at = now;
        Ok(())
    }

    pub(super) fn create_rule(
        &mut self,
        rule: RuleDescription,
        now: Timestamp,
    ) -> Result<RuleDescription, EntityError> {
        check_name(&rule.name)?;
        let key = rule.name.to_lowercase();
        if self.rules.contains_key(&key) {
            return Err(EntityError::AlreadyExists(self.path_of(&rule.name)));
        }
        let rule = RuleDescription {
            created_at: now,
            ..rule
        };
        self.rules.insert(key, Rule::new(rule.clone())?);
        self.accessed_at = now;
        Ok(rule)
    }

    pub(super) fn update_rule(
        &mut self,
        rule: RuleDescription,
    ) -> Result<RuleDescription, EntityError> {
        let path = self.path_of(&rule.name);
        let old = self
            .rules
            .get_mut(&rule.name.to_lowercase())
            .ok_or(EntityError::NotFound(path))?;
        let rule = RuleDescription {
            created_at: old.description.created_at,
            ..rule
        };
        *old = Rule::new(rule.clone())?;
        Ok(rule)
    }

    pub(super) fn rule(&self, name: &str) -> Result<RuleDescription, EntityError> {
        let rule = self.rules.get(&name.to_lowercase());
        rule.map(|rule| rule.description.clone())
            .ok_or_else(|| EntityError::NotFound(self.path_of(name)))
    }

    pub(super) fn rules(&self) -> Vec<RuleDescription> {
        self.rules
            .values()
            .map(|rule| rule.description.clone())
            .collect()
    }

    pub(super) fn delete_rule(&mut self, name: &str) -> Result<(), EntityError> {
        let rule = self.rules.remove(&name.to_lowercase());
        rule.map(drop)
            .ok_or_else(|| EntityError::NotFound(self.path_of(name)))
    }

    /// Whether one of the rules takes a message.
    pub(super) fn takes(&self, message: &Incoming) -> bool {
        self.rules.values().any(|rule| rule.takes(message))
    }

    /// Adds a message that a rule has taken. `expires` is when it does by the message's and the topic's word.
    pub(super) fn put(
        &mut self,
        message: &Incoming,
        content: Arc<crate::amqp::message::Content>,
        expires: Option<Timestamp>,
        now: Timestamp,
    ) {
        self.sequence += 1;
        let own = self
            .settings
            .default_message_time_to_live
            .map(|life| later(now, life));
        let stored = Stored {
            sequence: self.sequence,
            enqueued: now,
            expires: expires.into_iter().chain(own).min(),
            session: message.session().map(Arc::from),
            failures: 0,
            content,
            death: None,
        };
        if self.settings.requires_session && stored.session.is_none() {
            let text =
                "Session enabled entity doesn't allow a message whose session identifier is null.";
            self.messages
                .bury_at_once(stored, Death::new("Session ID is null.", text));
        } else {
            self.messages.put(stored);
        }
        self.move_the_dead(now);
    }

    /// Ends locks and lifetimes that are over.
    pub(super) fn advance(&mut self, now: Timestamp) {
        self.messages.advance(now);
        self.dead_letters.advance(now);
        self.move_the_dead(now);
    }

    /// Moves what has died to the dead letters.
    pub(super) fn move_the_dead(&mut self, now: Timestamp) {
        for message in self.messages.dead() {
            self.dead_letters.put(Stored {
                expires: None,
                enqueued: now,
                ..message
            });
        }
        // A dead letter that is dead-lettered stays where it is.
        for message in self.dead_letters.dead() {
            self.dead_letters.put(message);
        }
    }

    /// Whether nobody has used it for as long as its settings allow.
    pub(super) fn idle(&self, now: Timestamp) -> bool {
        let end = self
            .settings
            .auto_delete_on_idle
            .map(|idle| later(self.accessed_at, idle));
        self.receivers == 0 && end.is_some_and(|end| end <= now)
    }

    /// Notes that somebody uses it.
    pub(super) fn touch(&mut self, now: Timestamp) {
        self.accessed_at = now;
    }

    pub(super) fn bytes(&self) -> u64 {
        self.messages.bytes() + self.dead_letters.bytes()
    }

    pub(super) fn requires_session(&self) -> bool {
        self.settings.requires_session
    }

    /// The messages, or the dead letters.
    pub(super) fn mailbox(&mut self, dead_letters: bool) -> &mut Mailbox {
        if dead_letters {
            &mut self.dead_letters
        } else {
            &mut self.messages
        }
    }

    fn path_of(&self, rule: &str) -> String {
        format!("{}/Subscriptions/{}/Rules/{rule}", self.topic, self.name)
    }
}

fn limits(settings: &SubscriptionSettings) -> Limits {
    Limits {
        lock: settings.lock_duration,
        max_deliveries: Some(settings.max_delivery_count),
        expired_become_dead_letters: settings.dead_lettering_on_message_expiration,
    }
}

fn limits_of_the_dead(settings: &SubscriptionSettings) -> Limits {
    Limits {
        lock: settings.lock_duration,
        max_deliveries: None,
        expired_become_dead_letters: false,
    }
}

/// Names begin with a letter, a digit or, for the rule `$Default`, a dollar sign; inside also `.`, `-` and `_` are allowed.
fn check_name(name: &str) -> Result<(), EntityError> {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let begins = name.strip_prefix('$').unwrap_or(name);
    if !begins.is_empty() && name.chars().count() <= LONGEST_NAME && begins.chars().all(inside) {
        return Ok(());
    }
    let text = format!(
        "'{name}' is no name for a subscription or rule: 1 to 50 letters, digits, '.', '-' and '_'."
    );
    Err(EntityError::BadRequest(text))
}
