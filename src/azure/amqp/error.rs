//! What may go wrong with a service, and what that means.

use fe2o3_amqp::{
    connection::OpenError,
    link::{
        LinkStateError, ReceiverAttachError, RecvError, SendError, SenderAttachError,
        SessionStopReason,
    },
    session::BeginError,
};
use fe2o3_amqp_types::definitions;
use serde_amqp::Value;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no connection to the service.
    #[error("{place} cannot be reached: {why}")]
    Unreachable {
        /// Where it should be.
        place: String,
        /// What went wrong.
        why: String,
    },
    /// The connection ended before there was an answer; what was asked for may have been done.
    #[error("the connection was lost: {why}")]
    Lost {
        /// What is known of it.
        why: String,
    },
    /// There was no answer in time; what was asked for may have been done.
    #[error("{what} was not answered in time")]
    TimedOut {
        /// What was asked for.
        what: String,
    },
    /// The service answered that it does not do it.
    #[error("{description} ({condition})")]
    Refused {
        /// The service's word for why.
        condition: String,
        /// Its words.
        description: String,
    },
    /// No token of Entra ID.
    #[error("there is no token: {source}")]
    Token {
        /// What was tried.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What an error means for whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no such entity.
    NotFound,
    /// It is there already.
    Exists,
    /// The lock has ended.
    LockLost,
    /// The service has too much to do.
    Busy,
    /// Nothing came within the time that the service was given.
    Nothing,
    /// The right is missing.
    Unauthorized,
    /// It did not work, and may work another time.
    Transient,
    /// It does not work.
    Permanent,
}

impl Error {
    pub(in crate::azure) fn timed_out(what: impl Into<String>) -> Self {
        Self::TimedOut { what: what.into() }
    }

    pub(in crate::azure) fn lost(why: impl ToString) -> Self {
        Self::Lost {
            why: why.to_string(),
        }
    }

    /// What it means.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } | Self::TimedOut { .. } => Kind::Transient,
            Self::Token { .. } => Kind::Unauthorized,
            Self::Refused { condition, .. } => kind_of(condition),
        }
    }

    /// Whether it is known that nothing was done.
    pub(in crate::azure) fn is_definite(&self) -> bool {
        !matches!(self, Self::Lost { .. } | Self::TimedOut { .. })
    }
}

fn kind_of(condition: &str) -> Kind {
    match condition {
        "amqp:not-found" | "amqp:resource-deleted" | "404" => Kind::NotFound,
        "com.microsoft:entity-already-exists" | "409" => Kind::Exists,
        "com.microsoft:message-lock-lost" | "com.microsoft:session-lock-lost" | "410" => {
            Kind::LockLost
        }
        "com.microsoft:server-busy" | "com.microsoft:device-throttled" | "429" | "503" => {
            Kind::Busy
        }
        "com.microsoft:timeout" => Kind::Nothing,
        "amqp:unauthorized-access" | "com.microsoft:auth-failed" | "401" | "403" => {
            Kind::Unauthorized
        }
        "amqp:internal-error"
        | "amqp:connection:forced"
        | "amqp:link:detach-forced"
        | "com.microsoft:operation-cancelled"
        | "com.microsoft:container-close"
        | "com.microsoft:session-cannot-be-locked"
        | "500"
        | "502"
        | "504" => Kind::Transient,
        _ => Kind::Permanent,
    }
}

/// The name of an error condition.
fn condition(condition: &definitions::ErrorCondition) -> String {
    match serde_amqp::to_value(condition) {
        Ok(Value::Symbol(name)) => name.into_inner(),
        _ => "unknown".to_owned(),
    }
}

impl From<definitions::Error> for Error {
    fn from(error: definitions::Error) -> Self {
        Self::Refused {
            condition: condition(&error.condition),
            description: error.description.unwrap_or_default(),
        }
    }
}

impl From<SessionStopReason> for Error {
    fn from(reason: SessionStopReason) -> Self {
        match reason {
            SessionStopReason::RemoteEndedWithError(error) => error.into(),
            other => Self::lost(format!("{other:?}")),
        }
    }
}

impl From<LinkStateError> for Error {
    fn from(error: LinkStateError) -> Self {
        match error {
            LinkStateError::RemoteDetachedWithError(error)
            | LinkStateError::RemoteClosedWithError(error) => error.into(),
            LinkStateError::SessionStopped(reason) => reason.into(),
            other => Self::lost(other),
        }
    }
}

impl From<RecvError> for Error {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::LinkStateError(error) => error.into(),
            other => Self::lost(other),
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::LinkStateError(error) => error.into(),
            SendError::Detached(error) => LinkStateError::from(error).into(),
            SendError::MessageSizeExceeded(error) => Self::Refused {
                condition: "amqp:link:message-size-exceeded".to_owned(),
                description: format!("{error:?}"),
            },
            other => Self::lost(other),
        }
    }
}

impl From<SenderAttachError> for Error {
    fn from(error: SenderAttachError) -> Self {
        match error {
            SenderAttachError::RemoteClosedWithError(error) => error.into(),
            SenderAttachError::SessionStopped(reason) => reason.into(),
            other => Self::lost(other),
        }
    }
}

impl From<ReceiverAttachError> for Error {
    fn from(error: ReceiverAttachError) -> Self {
        match error {
            ReceiverAttachError::RemoteClosedWithError(error) => error.into(),
            ReceiverAttachError::SessionStopped(reason) => reason.into(),
            other => Self::lost(other),
        }
    }
}

impl From<BeginError> for Error {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::RemoteEndedWithError(error) => error.into(),
            other => Self::lost(other),
        }
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::RemoteClosedWithError(error) => error.into(),
            other => Self::lost(other),
        }
    }
}
