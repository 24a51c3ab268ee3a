//! Errors as AMQP carries them.

use fe2o3_amqp_types::definitions::{Error, ErrorCondition, Fields};
use fe2o3_amqp_types::primitives::Symbol;

/// Why something is refused: an error condition that clients act on, and words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) condition: &'static str,
    pub(crate) description: String,
}

impl Refusal {
    pub(crate) fn new(condition: &'static str, description: impl Into<String>) -> Self {
        Self {
            condition,
            description: description.into(),
        }
    }

    pub(crate) fn not_found(entity: &str) -> Self {
        let text = format!("The messaging entity '{entity}' could not be found.");
        Self::new("amqp:not-found", text)
    }

    pub(crate) fn unauthorized(claim: &str, entity: &str) -> Self {
        let text = format!(
            "Unauthorized access. '{claim}' claim(s) are required to perform this operation. Resource: '{entity}'."
        );
        Self::new("amqp:unauthorized-access", text)
    }

    pub(crate) fn message_lock_lost() -> Self {
        let text = "The lock supplied is invalid. Either the lock expired, or the message has already been removed from the queue.";
        Self::new("com.microsoft:message-lock-lost", text)
    }

    pub(crate) fn session_lock_lost() -> Self {
        let text =
            "The session lock has expired on the MessageSession. Accept a new MessageSession.";
        Self::new("com.microsoft:session-lock-lost", text)
    }

    /// The error on the wire. `info` is there although it is empty: Python's client indexes it.
    pub(crate) fn to_error(&self) -> Error {
        Error {
            condition: ErrorCondition::Custom(Symbol::from(self.condition)),
            description: Some(self.description.clone()),
            info: Some(Box::new(Fields::new())),
        }
    }
}
