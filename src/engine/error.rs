//! What can go wrong with a database, sorted by what a build can do about it.

use std::time::Duration;

/// An error of a session or of a login.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings of the connection are wrong, whatever the target.
    #[error("{0}")]
    Settings(String),
    /// The login failed.
    #[error("cannot connect to {place}: {message}")]
    Connect {
        /// Server and database.
        place: String,
        /// What the server, the driver or the system said.
        message: String,
        /// The server's code, if it answered.
        code: Option<String>,
        /// Whether another try may succeed.
        transient: bool,
    },
    /// Somebody else holds the database's lock.
    #[error("another build held the database for longer than {} s", wait.as_secs())]
    Busy {
        /// How long was waited.
        wait: Duration,
    },
    /// The database refused a statement.
    #[error(transparent)]
    Sql(#[from] Box<SqlError>),
    /// What was to be read is not one query that only reads.
    #[error("this is not one query that only reads: {0}")]
    NotAQuery(String),
    /// The batch took too long and was cancelled.
    #[error("cancelled after {} s: the script's time-out", timeout.as_secs_f64())]
    Timeout {
        /// The time-out of the batch.
        timeout: Duration,
        /// What became of the transaction.
        fate: TransactionFate,
    },
    /// The build was told to stop.
    #[error("stopped on request")]
    Stopped,
    /// The batch succeeded, but the transaction is no longer ours.
    #[error("the script ended the build's transaction; what it committed stays")]
    TransactionEnded,
    /// The connection is gone, or its state is not known.
    #[error("lost the connection: {0}")]
    Lost(String),
    /// The connection is gone in the middle of a build that may have written to tables which no rollback reaches.
    #[error("lost the connection: {0}; what was written to tables without transactions stays")]
    Kept(String),
}

/// What became of the build's transaction when a batch failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionFate {
    /// It is still ours; a savepoint can be returned to.
    Alive,
    /// The server rolled it back as a whole; nothing of it remains.
    RolledBack,
    /// A script ended it, or wrote to tables that know no transactions; a part may be there to stay.
    EndedByScript,
}

/// A statement that the database refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SqlError {
    /// The server's number or SQLSTATE.
    pub code: Option<String>,
    /// The server's severity.
    pub severity: Option<String>,
    /// What the server said, with its detail and hint.
    pub message: String,
    /// Where in the sent text, as a byte offset.
    pub offset: Option<usize>,
    /// What became of the transaction.
    pub fate: TransactionFate,
    /// Whether the same build may succeed when it is tried again (a dead-lock, say).
    pub transient: bool,
    /// What the server said before the error.
    pub messages: Vec<String>,
}

impl Error {
    /// Whether the server answered, so that what it says is so.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Sql(_))
    }

    /// Whether building the target again may succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { transient, .. } => *transient,
            Self::Sql(error) => error.transient,
            Self::Lost(_) => true,
            _ => false,
        }
    }

    /// The server's code, if it gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Connect { code, .. } => code.as_deref(),
            Self::Sql(error) => error.code.as_deref(),
            _ => None,
        }
    }

    /// How long a login that failed so is repeated, when that is longer than usual: a serverless database of Azure SQL that
    /// was paused, or one that moves to another node, answers 40613 until it is there.
    pub fn login_budget(&self) -> Option<Duration> {
        match self {
            Self::Connect { code, .. } if code.as_deref() == Some("40613") => {
                Some(Duration::from_secs(180))
            }
            _ => None,
        }
    }

    /// What became of the transaction in which the batch ran.
    pub fn fate(&self) -> TransactionFate {
        match self {
            Self::Sql(error) => error.fate,
            Self::Timeout { fate, .. } => *fate,
            Self::TransactionEnded | Self::Kept(_) => TransactionFate::EndedByScript,
            // The connection is dropped, and a transaction whose COMMIT was never sent cannot commit.
            _ => TransactionFate::RolledBack,
        }
    }
}
