//! Why a storage did not do what it was asked.

use std::{error, io, path::PathBuf};

use super::MAX_PIECE;

/// Why a storage did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The place is not there.
    #[error("{place} is not made for objects of sbm, or has been removed")]
    NoPlace {
        /// The storage.
        place: String,
    },
    /// The object is not there.
    #[error("{place} has no object {name}")]
    NoObject {
        /// The storage.
        place: String,
        /// The object.
        name: String,
    },
    /// The name is none that every storage takes.
    #[error("`{name}` cannot name an object: {why}")]
    Name {
        /// What was given.
        name: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// The condition of a write does not hold.
    #[error("object {name} in {place} is not as expected; somebody else has written it")]
    Changed {
        /// The storage.
        place: String,
        /// The object.
        name: String,
    },
    /// Another holds the lease.
    #[error("object {name} in {place} is leased by somebody else")]
    Leased {
        /// The storage.
        place: String,
        /// The object.
        name: String,
    },
    /// The lease is not, or no longer, that of the caller.
    #[error("the lease of object {name} in {place} has lapsed or is lost")]
    LeaseLost {
        /// The storage.
        place: String,
        /// The object.
        name: String,
    },
    /// The object was written in a way that excludes this one: as a whole, or piece by piece.
    #[error("object {name} in {place} is of another kind, and cannot be written so")]
    OtherKind {
        /// The storage.
        place: String,
        /// The object.
        name: String,
    },
    /// The piece is too long to be appended at once.
    #[error(
        "{size} bytes are too long a piece for object {name} in {place}; at most {MAX_PIECE} are appended at once"
    )]
    TooLong {
        /// The storage.
        place: String,
        /// The object.
        name: String,
        /// The bytes of the piece.
        size: usize,
    },
    /// A file of the caller cannot be read or written.
    #[error("cannot use the file {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The storage itself failed.
    #[error("cannot {action} {name} in {place}: {source}")]
    Failed {
        /// The storage.
        place: String,
        /// The object.
        name: String,
        /// What was to be done.
        action: &'static str,
        /// What the storage says.
        source: Box<dyn error::Error + Send + Sync>,
    },
}
