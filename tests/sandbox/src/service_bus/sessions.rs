//! Sessions: messages in groups, of which each belongs to one receiver at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use fe2o3_amqp_types::primitives::Value;
use jiff::Timestamp;
use tokio::sync::Notify;
use uuid::Uuid;

use super::mailbox::Stored;
use crate::amqp::Refusal;

/// The link that holds a session, and how to wake its connection.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) id: u64,
    pub(crate) waker: Arc<Notify>,
}

#[derive(Debug)]
struct Lock {
    holder: Holder,
    until: Timestamp,
    deliveries: HashSet<Uuid>,
}

#[derive(Debug, Default)]
struct Session {
    ready: BTreeMap<i64, Stored>,
    lock: Option<Lock>,
    /// What receivers keep with the session; as the client encoded it.
    state: Option<Value>,
}

/// All sessions of a mailbox that have messages, a state or a holder.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: HashMap<Arc<str>, Session>,
    /// Sessions that can be accepted, those with the oldest message first.
    free: BTreeSet<(i64, Arc<str>)>,
    ends: BTreeSet<(Timestamp, Arc<str>)>,
    ready: usize,
}

impl Sessions {
    /// How many messages are ready.
    pub(super) fn ready(&self) -> usize {
        self.ready
    }

    /// Adds a message and says whether a session became free by it. If somebody holds the session, he is woken.
    pub(super) fn push(&mut self, id: &Arc<str>, message: Stored) -> bool {
        self.ready += 1;
        self.take_out(id);
        let session = self.all.entry(Arc::clone(id)).or_default();
        session.ready.insert(message.sequence, message);
        if let Some(lock) = &session.lock {
            lock.holder.waker.notify_one();
        }
        self.put_back(id)
    }

    /// The next message of a session.
    pub(super) fn pop(&mut self, id: &str) -> Option<Stored> {
        let sequence = *self.all.get(id)?.ready.first_key_value()?.0;
        self.remove(id, sequence)
    }

    /// Removes a ready message.
    pub(super) fn remove(&mut self, id: &str, sequence: i64) -> Option<Stored> {
        self.take_out(id);
        let message = self
            .all
            .get_mut(id)
            .and_then(|session| session.ready.remove(&sequence));
        self.ready -= usize::from(message.is_some());
        self.put_back(id);
        message
    }

    /// Ready messages from a sequence number on, session by session.
    pub(super) fn range<'a>(
        &'a self,
        from: i64,
        only: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Stored> {
        let wanted = move |id: &str| only.is_none_or(|only| only == id);
        let sessions = self.all.iter().filter(move |(id, _)| wanted(id));
        sessions
            .flat_map(move |(_, session)| session.ready.range(from..).map(|(_, message)| message))
    }

    pub(super) fn accept(
        &mut self,
        wanted: Option<&str>,
        holder: Holder,
        until: Timestamp,
    ) -> Result<Option<Arc<str>>, Refusal> {
        let id = match wanted {
            Some(id) => Arc::from(id),
            None => match self.free.first() {
                Some((_, id)) => Arc::clone(id),
                None => return Ok(None),
            },
        };
        if self
            .all
            .get(&id)
            .is_some_and(|session| session.lock.is_some())
        {
            let text = format!(
                "The requested session '{id}' cannot be accepted. It may be locked by another receiver."
            );
            return Err(Refusal::new("com.microsoft:session-cannot-be-locked", text));
        }
        self.take_out(&id);
        let session = self.all.entry(Arc::clone(&id)).or_default();
        session.lock = Some(Lock {
            holder,
            until,
            deliveries: HashSet::new(),
        });
        self.ends.insert((until, Arc::clone(&id)));
        Ok(Some(id))
    }

    /// Whether this link still holds the session.
    pub(super) fn check(&self, id: &str, holder: u64) -> Result<(), Refusal> {
        let lock = self.all.get(id).and_then(|session| session.lock.as_ref());
        lock.filter(|lock| lock.holder.id == holder)
            .map(drop)
            .ok_or_else(Refusal::session_lock_lost)
    }

    pub(super) fn renew(&mut self, id: &str, until: Timestamp) -> Result<(), Refusal> {
        let entry = self.all.get_key_value(id).map(|(id, _)| Arc::clone(id));
        let lock = self
            .all
            .get_mut(id)
            .and_then(|session| session.lock.as_mut());
        let (id, lock) = entry.zip(lock).ok_or_else(Refusal::session_lock_lost)?;
        self.ends.remove(&(lock.until, Arc::clone(&id)));
        lock.until = until;
        self.ends.insert((until, id));
        Ok(())
    }

    /// Notes a delivery, which is locked as long as its session is.
    pub(super) fn add_delivery(&mut self, id: &str, token: Uuid) -> Option<Timestamp> {
        let lock = self.all.get_mut(id)?.lock.as_mut()?;
        lock.deliveries.insert(token);
        Some(lock.until)
    }

    pub(super) fn remove_delivery(&mut self, id: &str, token: Uuid) {
        if let Some(lock) = self
            .all
            .get_mut(id)
            .and_then(|session| session.lock.as_mut())
        {
            lock.deliveries.remove(&token);
        }
    }

    /// A session whose lock has ended.
    pub(super) fn ended(&self, now: Timestamp) -> Option<Arc<str>> {
        self.ends
            .first()
            .filter(|(until, _)| *until <= now)
            .map(|(_, id)| Arc::clone(id))
    }

    /// All sessions that somebody holds.
    pub(super) fn held(&self) -> Vec<Arc<str>> {
        self.ends.iter().map(|(_, id)| Arc::clone(id)).collect()
    }

    /// Takes a session from its holder, wakes him, and gives what he has not settled.
    pub(super) fn end(&mut self, id: &str) -> HashSet<Uuid> {
        let Some(lock) = self.all.get_mut(id).and_then(|session| session.lock.take()) else {
            return HashSet::new();
        };
        lock.holder.waker.notify_one();
        self.ends.remove(&(lock.until, Arc::from(id)));
        self.put_back(id);
        lock.deliveries
    }

    /// What a receiver has kept with a session.
    pub(super) fn state(&self, id: &str) -> Value {
        self.all
            .get(id)
            .and_then(|session| session.state.clone())
            .unwrap_or_default()
    }

    /// Keeps something with a session; null removes it.
    pub(super) fn set_state(&mut self, id: &str, state: Value) -> Result<(), Refusal> {
        let session = self
            .all
            .get_mut(id)
            .filter(|session| session.lock.is_some());
        let session = session.ok_or_else(Refusal::session_lock_lost)?;
        session.state = Some(state).filter(|state| *state != Value::Null);
        Ok(())
    }

    fn take_out(&mut self, id: &str) {
        let Some((id, session)) = self.all.get_key_value(id) else {
            return;
        };
        if let Some((sequence, _)) = session.ready.first_key_value() {
            self.free.remove(&(*sequence, Arc::clone(id)));
        }
    }

    /// Lists a session as free if it is, or drops it when nothing is left of it.
    fn put_back(&mut self, id: &str) -> bool {
        let Some((id, session)) = self.all.get_key_value(id) else {
            return false;
        };
        if session.lock.is_some() {
            return false;
        }
        if let Some((sequence, _)) = session.ready.first_key_value() {
            return self.free.insert((*sequence, Arc::clone(id)));
        }
        if session.state.is_none() {
            let id = Arc::clone(id);
            self.all.remove(&id);
        }
        false
    }
}
