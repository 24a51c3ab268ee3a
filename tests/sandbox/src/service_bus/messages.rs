//! The door to a namespace: its messages.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::subscription::Subscription;
use super::{Delivery, EntityError, Holder, Mailbox, ServiceBus};
use crate::amqp::Refusal;
use crate::amqp::message::Incoming;

/// Which mailbox is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionAddress {
    pub(crate) topic: String,
    pub(crate) subscription: String,
    pub(crate) dead_letters: bool,
}

/// What a link wants of a mailbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    /// The entity that the link was attached to; another of the same name is not it.
    pub(crate) id: u64,
    /// Session and holder.
    pub(crate) session: Option<(&'a str, u64)>,
    /// Whether messages are taken for good.
    pub(crate) forget: bool,
    pub(crate) most: usize,
}

impl From<EntityError> for Refusal {
    fn from(error: EntityError) -> Self {
        let condition = match &error {
            EntityError::NotFound(_) => "amqp:not-found",
            EntityError::AlreadyExists(_) => "com.microsoft:entity-already-exists",
            EntityError::BadRequest(_) => "com.microsoft:argument-error",
            EntityError::QuotaExceeded(_) => "amqp:resource-limit-exceeded",
        };
        Self::new(condition, error.to_string())
    }
}

impl ServiceBus {
    /// The identity of a topic, and how large its messages may be.
    pub(crate) fn find_topic(&self, name: &str) -> Result<(u64, u64), Refusal> {
        let mut state = self.lock();
        let topic = state.topic(name)?;
        Ok((topic.id, topic.settings.max_message_size))
    }

    /// The identity of a subscription, and whether it is received by session.
    pub(crate) fn find_subscription(
        &self,
        address: &SubscriptionAddress,
    ) -> Result<(u64, bool), Refusal> {
        let sessions =
            |subscription: &Subscription| subscription.requires_session() && !address.dead_letters;
        let found = self.with_subscription(&address.topic, &address.subscription, |subscription| {
            Ok((subscription.id, sessions(subscription)))
        });
        Ok(found?)
    }

    /// Notes that a link receives from a subscription, or does so no longer.
    pub(crate) fn count_receiver(&self, address: &SubscriptionAddress, id: u64, comes: bool) {
        let now = self.now();
        let counted =
            self.with_subscription(&address.topic, &address.subscription, |subscription| {
                if subscription.id == id {
                    let receivers = subscription.receivers;
                    subscription.receivers = if comes {
                        receivers + 1
                    } else {
                        receivers.saturating_sub(1)
                    };
                    subscription.touch(now);
                }
                Ok(())
            });
        // One that is gone counts nothing any more.
        drop(counted);
    }

    /// Routes the messages of one transfer to the subscriptions whose rules take them, all or none.
    pub(crate) fn send(&self, topic: &str, messages: Vec<Incoming>) -> Result<Vec<i64>, Refusal> {
        let now = self.now();
        self.lock().topic(topic)?.send(messages, now)
    }

    /// Takes back messages for later.
    pub(crate) fn cancel_scheduled(&self, topic: &str, sequences: &[i64]) -> Result<(), Refusal> {
        self.lock().topic(topic)?.cancel_scheduled(sequences)
    }

    /// What is ready now. When that is less than wanted, `waker` is woken as soon as there is more.
    pub(crate) fn receive(
        &self,
        address: &SubscriptionAddress,
        wish: Wish<'_>,
        waker: &Arc<Notify>,
    ) -> Result<Vec<Delivery>, Refusal> {
        self.in_mailbox(address, wish.id, |mailbox, now| {
            let mut deliveries = Vec::new();
            while deliveries.len() < wish.most {
                match mailbox.take(now, wish.session, wish.forget)? {
                    Some(delivery) => deliveries.push(delivery),
                    None => {
                        mailbox.wait(waker);
                        break;
                    }
                }
            }
            Ok(deliveries)
        })
    }

    /// Gives a session to `holder`, if there is one; else its waker is woken when there may be one.
    pub(crate) fn accept_session(
        &self,
        address: &SubscriptionAddress,
        id: u64,
        wanted: Option<&str>,
        holder: &Holder,
    ) -> Result<Option<(Arc<str>, Timestamp)>, Refusal> {
        self.in_mailbox(address, id, |mailbox, now| {
            let accepted = mailbox.accept(now, wanted, holder.clone())?;
            if accepted.is_none() {
                mailbox.wait(&holder.waker);
            }
            Ok(accepted)
        })
    }

    /// Does something with the mailbox of the subscription with this identity.
    pub(crate) fn in_mailbox<T>(
        &self,
        address: &SubscriptionAddress,
        id: u64,
        action: impl FnOnce(&mut Mailbox, Timestamp) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.with_mailbox(address, Some(id), action)
    }

    /// Does something with the mailbox of the subscription of this name.
    pub(crate) fn in_any_mailbox<T>(
        &self,
        address: &SubscriptionAddress,
        action: impl FnOnce(&mut Mailbox, Timestamp) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.with_mailbox(address, None, action)
    }

    fn with_mailbox<T>(
        &self,
        address: &SubscriptionAddress,
        id: Option<u64>,
        action: impl FnOnce(&mut Mailbox, Timestamp) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let now = self.now();
        let outcome =
            self.with_subscription(&address.topic, &address.subscription, |subscription| {
                if id.is_some_and(|id| id != subscription.id) {
                    return Ok(Err(Refusal::not_found(&address.subscription)));
                }
                subscription.touch(now);
                let outcome = action(subscription.mailbox(address.dead_letters), now);
                subscription.move_the_dead(now);
                Ok(outcome)
            });
        outcome?
    }
}
