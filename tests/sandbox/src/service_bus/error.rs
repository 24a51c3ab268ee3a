//! Why the management of entities refuses something.

use thiserror::Error;

/// What the management of entities refuses. `Display` is the text of the answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EntityError {
    /// No such entity: HTTP 404.
    #[error("The messaging entity '{0}' could not be found.")]
    NotFound(String),
    /// There is one of this name: HTTP 409.
    #[error("The messaging entity '{0}' already exists.")]
    AlreadyExists(String),
    /// A value that the service does not take, or a change it does not allow: HTTP 400.
    #[error("{0}")]
    BadRequest(String),
    /// The namespace or topic is full: HTTP 403.
    #[error("{0}")]
    QuotaExceeded(String),
}
