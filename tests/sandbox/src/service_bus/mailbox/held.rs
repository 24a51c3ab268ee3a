//! The part of a mailbox that concerns sessions.

use std::sync::Arc;

use fe2o3_amqp_types::primitives::Value;
use jiff::Timestamp;

use super::Mailbox;
use crate::amqp::Refusal;
use crate::clock::later;
use crate::service_bus::Holder;

impl Mailbox {
    /// Gives a session to `holder`: this one, or the next that has messages and belongs to nobody.
    pub(in crate::service_bus) fn accept(
        &mut self,
        now: Timestamp,
        wanted: Option<&str>,
        holder: Holder,
    ) -> Result<Option<(Arc<str>, Timestamp)>, Refusal> {
        let until = later(now, self.limits.lock);
        let sessions = self.sessions.as_mut().ok_or_else(no_sessions)?;
        Ok(sessions
            .accept(wanted, holder, until)?
            .map(|session| (session, until)))
    }

    /// Makes the lock of a session last its whole duration again.
    pub(in crate::service_bus) fn renew_session(
        &mut self,
        now: Timestamp,
        session: &str,
    ) -> Result<Timestamp, Refusal> {
        let until = later(now, self.limits.lock);
        self.sessions
            .as_mut()
            .ok_or_else(no_sessions)?
            .renew(session, until)?;
        Ok(until)
    }

    /// Whether a link still holds a session.
    pub(crate) fn check_session(&self, session: &str, holder: u64) -> Result<(), Refusal> {
        self.sessions
            .as_ref()
            .ok_or_else(no_sessions)?
            .check(session, holder)
    }

    /// What receivers keep with a session.
    pub(in crate::service_bus) fn session_state(&self, session: &str) -> Value {
        self.sessions
            .as_ref()
            .map(|sessions| sessions.state(session))
            .unwrap_or_default()
    }

    /// Keeps something with a session.
    pub(in crate::service_bus) fn set_session_state(
        &mut self,
        session: &str,
        state: Value,
    ) -> Result<(), Refusal> {
        self.sessions
            .as_mut()
            .ok_or_else(no_sessions)?
            .set_state(session, state)
    }

    /// The holder of a session gives it up: deliveries that it has not settled do not count.
    pub(crate) fn release_session(&mut self, session: &str, holder: u64) {
        if self
            .sessions
            .as_ref()
            .is_some_and(|sessions| sessions.check(session, holder).is_ok())
        {
            self.end_session(session, 0);
        }
    }

    /// Takes a session from its holder; what he has not settled counts as so many deliveries in vain.
    pub(super) fn end_session(&mut self, session: &str, failures: u32) {
        let tokens = self
            .sessions
            .as_mut()
            .map(|sessions| sessions.end(session))
            .unwrap_or_default();
        for token in tokens {
            if let Some(locked) = self.locked.remove(&token) {
                self.give_back(locked.message, failures);
            }
        }
        self.waiting
            .drain(..)
            .for_each(|waiting| waiting.notify_one());
    }
}

fn no_sessions() -> Refusal {
    let text = "A sessionful message receiver cannot be created on an entity that does not require sessions. \
        Ensure RequiresSession is set to true when creating a Queue or Subscription to enable sessionful behavior.";
    Refusal::new("amqp:not-allowed", text)
}
