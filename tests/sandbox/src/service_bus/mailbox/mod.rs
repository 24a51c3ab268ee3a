//! The messages of a subscription, or its dead letters: which are ready, locked or deferred, and until when.
//!
//! Whatever ends by itself stands in an ordered set by its end, and leaves it when it is settled, so that neither finding
//! what has ended nor settling looks at more messages than it concerns.

mod held;
mod stored;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;
use uuid::Uuid;

use super::sessions::Sessions;
use crate::amqp::Refusal;
use crate::clock::later;
pub(super) use stored::Limits;
use stored::Locked;
pub(crate) use stored::{Death, Delivery, MessageState, Settlement, Stored};

/// The messages of a subscription, or its dead letters.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(super) limits: Limits,
    /// Ready messages of a mailbox without sessions.
    ready: BTreeMap<i64, Stored>,
    /// Ready messages of a mailbox with sessions, and who holds these.
    pub(super) sessions: Option<Sessions>,
    locked: HashMap<Uuid, Locked>,
    /// Ends of locks; those of sessions end with their session.
    lock_ends: BTreeSet<(Timestamp, Uuid)>,
    deferred: BTreeMap<i64, Stored>,
    lifetimes: BTreeMap<(Timestamp, i64), Option<Arc<str>>>,
    waiting: Vec<Arc<Notify>>,
    bytes: u64,
    /// Messages that died here and wait to be moved.
    dying: Vec<Stored>,
}

impl Mailbox {
    pub(super) fn new(limits: Limits, with_sessions: bool) -> Self {
        Self {
            limits,
            ready: BTreeMap::new(),
            sessions: with_sessions.then(Sessions::default),
            locked: HashMap::new(),
            lock_ends: BTreeSet::new(),
            deferred: BTreeMap::new(),
            lifetimes: BTreeMap::new(),
            waiting: Vec::new(),
            bytes: 0,
            dying: Vec::new(),
        }
    }

    /// How many messages there are, locked and deferred ones included.
    pub(crate) fn len(&self) -> usize {
        let ready = self
            .sessions
            .as_ref()
            .map_or(self.ready.len(), Sessions::ready);
        ready + self.locked.len() + self.deferred.len()
    }

    /// About how many bytes they have.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a message. In a mailbox with sessions it has one.
    pub(super) fn put(&mut self, message: Stored) {
        self.bytes += size_of(&message);
        if let Some(expires) = message.expires {
            self.lifetimes
                .insert((expires, message.sequence), message.session.clone());
        }
        self.make_ready(message);
    }

    /// Takes the next ready message: of the session that `holder` has, when there are sessions.
    pub(super) fn take(
        &mut self,
        now: Timestamp,
        session: Option<(&str, u64)>,
        forget: bool,
    ) -> Result<Option<Delivery>, Refusal> {
        let message = match (&mut self.sessions, session) {
            (Some(sessions), Some((session, holder))) => {
                sessions.check(session, holder)?;
                sessions.pop(session)
            }
            (Some(_), None) => None,
            (None, _) => self.ready.pop_first().map(|(_, message)| message),
        };
        Ok(message.map(|message| self.deliver(message, now, forget)))
    }

    /// Takes deferred messages. What is not there is an error, as in the service.
    pub(super) fn take_deferred(
        &mut self,
        now: Timestamp,
        sequences: &[i64],
        forget: bool,
    ) -> Result<Vec<Delivery>, Refusal> {
        if sequences
            .iter()
            .any(|sequence| !self.deferred.contains_key(sequence))
        {
            let text = "Failed to lock one or more specified messages. The message does not exist.";
            return Err(Refusal::new("com.microsoft:message-not-found", text));
        }
        let messages: Vec<_> = sequences
            .iter()
            .filter_map(|sequence| self.deferred.remove(sequence))
            .collect();
        Ok(messages
            .into_iter()
            .map(|message| self.deliver(message, now, forget))
            .collect())
    }

    /// Settles a delivery whose lock is still held.
    pub(crate) fn settle(&mut self, token: Uuid, settlement: &Settlement) -> Result<(), Refusal> {
        let message = self.unlock(token).ok_or_else(Refusal::message_lock_lost)?;
        match settlement {
            Settlement::Complete => self.forget(&message),
            Settlement::Abandon => self.give_back(message, 1),
            Settlement::Release => self.give_back(message, 0),
            Settlement::Defer => {
                self.deferred.insert(message.sequence, message);
            }
            Settlement::DeadLetter(death) => self.bury(message, death.clone()),
        }
        Ok(())
    }

    /// Makes the lock of a delivery last its whole duration again.
    pub(super) fn renew(&mut self, now: Timestamp, token: Uuid) -> Result<Timestamp, Refusal> {
        let until = later(now, self.limits.lock);
        let locked = self
            .locked
            .get_mut(&token)
            .ok_or_else(Refusal::message_lock_lost)?;
        if locked.message.session.is_none() || self.sessions.is_none() {
            self.lock_ends.remove(&(locked.until, token));
            self.lock_ends.insert((until, token));
        }
        locked.until = until;
        Ok(until)
    }

    /// Up to `count` messages from a sequence number on, in their order, without locking them.
    pub(super) fn peek(
        &self,
        from: i64,
        count: usize,
        session: Option<&str>,
    ) -> Vec<(Stored, MessageState)> {
        let ready = self
            .ready
            .range(from..)
            .map(|(_, message)| (message, MessageState::Active));
        let of_sessions = self
            .sessions
            .iter()
            .flat_map(|sessions| sessions.range(from, session));
        let of_sessions = of_sessions.map(|message| (message, MessageState::Active));
        let deferred = self
            .deferred
            .range(from..)
            .map(|(_, message)| (message, MessageState::Deferred));
        let locked = self
            .locked
            .values()
            .map(|locked| (&locked.message, MessageState::Active));
        let wanted = |message: &Stored| {
            message.sequence >= from
                && session.is_none_or(|session| message.session.as_deref() == Some(session))
        };
        // Of what is ordered already, no more than `count` can be among the first `count`.
        let mut all: Vec<_> = ready
            .filter(|(message, _)| wanted(message))
            .take(count)
            .collect();
        all.extend(
            of_sessions
                .chain(deferred)
                .chain(locked)
                .filter(|(message, _)| wanted(message)),
        );
        all.sort_by_key(|(message, _)| message.sequence);
        all.into_iter()
            .take(count)
            .map(|(message, state)| (message.clone(), state))
            .collect()
    }

    /// Gives back what is locked too long, and removes what is too old.
    pub(super) fn advance(&mut self, now: Timestamp) {
        while let Some(&(until, token)) = self.lock_ends.first().filter(|(until, _)| *until <= now)
        {
            self.lock_ends.remove(&(until, token));
            if let Some(locked) = self.locked.remove(&token) {
                self.give_back(locked.message, 1);
            }
        }
        while let Some(session) = self
            .sessions
            .as_ref()
            .and_then(|sessions| sessions.ended(now))
        {
            self.end_session(&session, 1);
        }
        while let Some(entry) = self
            .lifetimes
            .first_entry()
            .filter(|entry| entry.key().0 <= now)
        {
            let ((_, sequence), session) = entry.remove_entry();
            self.expire(sequence, session.as_deref());
        }
    }

    /// Ends all locks at once, as if their time were over. A fault.
    pub(super) fn lose_locks(&mut self) {
        let sessions = self
            .sessions
            .as_ref()
            .map(Sessions::held)
            .unwrap_or_default();
        sessions
            .iter()
            .for_each(|session| self.end_session(session, 1));
        for token in self.locked.keys().copied().collect::<Vec<_>>() {
            if let Some(message) = self.unlock(token) {
                self.give_back(message, 1);
            }
        }
    }

    /// Wakes `who` once when something becomes ready.
    pub(super) fn wait(&mut self, who: &Arc<Notify>) {
        // Nobody else has the waker of a connection that is gone.
        self.waiting
            .retain(|waiting| Arc::strong_count(waiting) > 1);
        if !self.waiting.iter().any(|waiting| Arc::ptr_eq(waiting, who)) {
            self.waiting.push(Arc::clone(who));
        }
    }

    /// Takes what has died since it was last asked.
    pub(super) fn dead(&mut self) -> Vec<Stored> {
        std::mem::take(&mut self.dying)
    }

    /// Marks a message that is not in the mailbox as dead.
    pub(super) fn bury_at_once(&mut self, mut message: Stored, death: Death) {
        message.death = Some(Arc::new(death));
        self.dying.push(message);
    }

    fn deliver(&mut self, message: Stored, now: Timestamp, forget: bool) -> Delivery {
        if forget {
            self.forget(&message);
            return Delivery {
                message,
                lock: None,
            };
        }
        let token = Uuid::new_v4();
        let mut until = later(now, self.limits.lock);
        match self.sessions.as_mut().zip(message.session.as_deref()) {
            Some((sessions, session)) => {
                until = sessions.add_delivery(session, token).unwrap_or(until)
            }
            None => {
                self.lock_ends.insert((until, token));
            }
        }
        self.locked.insert(
            token,
            Locked {
                message: message.clone(),
                until,
            },
        );
        Delivery {
            message,
            lock: Some((token, until)),
        }
    }

    fn unlock(&mut self, token: Uuid) -> Option<Stored> {
        let locked = self.locked.remove(&token)?;
        self.lock_ends.remove(&(locked.until, token));
        if let Some((sessions, session)) = self
            .sessions
            .as_mut()
            .zip(locked.message.session.as_deref())
        {
            sessions.remove_delivery(session, token);
        }
        Some(locked.message)
    }

    fn give_back(&mut self, mut message: Stored, failures: u32) {
        message.failures += failures;
        if self
            .limits
            .max_deliveries
            .is_some_and(|most| message.failures >= most)
        {
            let text = format!(
                "Message could not be consumed after {} delivery attempts.",
                message.failures
            );
            self.bury(message, Death::new("MaxDeliveryCountExceeded", text));
        } else {
            self.make_ready(message);
        }
    }

    fn make_ready(&mut self, message: Stored) {
        match self.sessions.as_mut().zip(message.session.clone()) {
            Some((sessions, session)) => {
                if !sessions.push(&session, message) {
                    return;
                }
            }
            None => {
                self.ready.insert(message.sequence, message);
            }
        }
        self.waiting
            .drain(..)
            .for_each(|waiting| waiting.notify_one());
    }

    /// A message whose time is over; one that is locked ends when its lock does.
    fn expire(&mut self, sequence: i64, session: Option<&str>) {
        let ready = match self.sessions.as_mut().zip(session) {
            Some((sessions, session)) => sessions.remove(session, sequence),
            None => self.ready.remove(&sequence),
        };
        let Some(message) = ready.or_else(|| self.deferred.remove(&sequence)) else {
            return;
        };
        if self.limits.expired_become_dead_letters {
            self.bury(
                message,
                Death::new(
                    "TTLExpiredException",
                    "The message expired and was dead lettered.",
                ),
            );
        } else {
            self.forget(&message);
        }
    }

    fn bury(&mut self, message: Stored, death: Death) {
        self.forget(&message);
        self.bury_at_once(message, death);
    }

    fn forget(&mut self, message: &Stored) {
        self.bytes = self.bytes.saturating_sub(size_of(message));
        if let Some(expires) = message.expires {
            self.lifetimes.remove(&(expires, message.sequence));
        }
    }
}

fn size_of(message: &Stored) -> u64 {
    u64::try_from(message.content.size()).unwrap_or(u64::MAX)
}
