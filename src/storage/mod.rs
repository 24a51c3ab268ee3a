//! Where the files of a run are kept: named objects in one place per job, and the lines that workers append to them.
//!
//! A [`Storage`] keeps objects; [`ResultLines`] and [`ResultReader`] carry result lines through it, and the local events
//! use it in the same way. The names of a run's objects are in [`RunPaths`](crate::protocol::RunPaths).

mod consolidate;
mod error;
mod journal;
mod line_reader;
mod local;
mod name;
mod result_lines;
mod result_reader;

use std::{
    fmt::{self, Debug, Display},
    path::Path,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

pub use consolidate::consolidate;
pub use error::Error;
pub(crate) use journal::{FULL, Journal};
pub(crate) use line_reader::LineReader;
pub use local::LocalFolder;
pub(crate) use name::{check as check_name, check_prefix};
pub use result_lines::{LinesError, LinesSettings, ResultLines};
pub use result_reader::ResultReader;

/// The most bytes that [`Storage::append`] takes at once.
pub const MAX_PIECE: usize = 4 * 1024 * 1024;

/// One place with named objects.
///
/// A name is a path: parts of ASCII letters, digits and `-_.+%~`, joined by `/`, none of which begins or ends with a dot.
/// What one caller has written, every other one reads from then on, in whatever process. A write is done wholly or not at
/// all, also when the process is killed in it or the disk is full; only a piece that is appended may be cut off, when the
/// machine loses its power. All methods may be called from any number of tasks at once, all may be repeated, and all but
/// [`create`](Self::create) and [`exists`](Self::exists) fail with [`Error::NoPlace`] where there is no place.
///
/// While an object is leased, nobody but the holder writes or deletes it; everybody may read it.
#[async_trait]
pub trait Storage: Debug + Display + Send + Sync {
    /// Makes the place. Whether it was this call that made it; `false` says that it was there.
    async fn create(&self) -> Result<bool, Error>;

    /// Whether the place is there.
    async fn exists(&self) -> Result<bool, Error>;

    /// Writes a whole object if `condition` holds at that moment; the version that it has now.
    ///
    /// Fails with [`Error::Changed`] when the object is not as `Absent` or `Unchanged` want it, with [`Error::Leased`] when
    /// another holds a lease, and with [`Error::LeaseLost`] when `Leased` names a lease that has lapsed or is lost.
    async fn put(&self, name: &str, bytes: Bytes, condition: Condition) -> Result<Version, Error>;

    /// Writes the content of a file as `put` does, without holding it in memory.
    async fn put_file(
        &self,
        name: &str,
        from: &Path,
        condition: Condition,
    ) -> Result<Version, Error>;

    /// The object as it is; `None` when there is none.
    async fn get(&self, name: &str) -> Result<Option<Object>, Error>;

    /// Copies the object into the file `to`, which is replaced as a whole, without holding it in memory. Its size;
    /// `None` when there is no object, and then the file is left as it is.
    async fn get_file(&self, name: &str, to: &Path) -> Result<Option<u64>, Error>;

    /// At most `at_most` bytes from the position `from` on: fewer at the end of the object, none behind it. `None` when
    /// there is no object.
    async fn get_range(
        &self,
        name: &str,
        from: u64,
        at_most: usize,
    ) -> Result<Option<Bytes>, Error>;

    /// Makes an empty object for appending. Whether it was this call that made it; `false` says that it was there.
    async fn begin(&self, name: &str) -> Result<bool, Error>;

    /// Puts a piece, at most [`MAX_PIECE`] bytes, at the end of an object, which is made when there is none.
    ///
    /// Pieces of several callers stand one behind the other, each whole. After an error the piece may be there or not.
    /// An object takes 50,000 pieces at most, and may have been written by `begin` and `append` only.
    async fn append(&self, name: &str, piece: Bytes) -> Result<(), Error>;

    /// The objects whose names begin with `prefix`, in the byte order of their names. What is written or deleted
    /// meanwhile may be in the list or not.
    fn list(&self, prefix: &str) -> BoxStream<'_, Result<Listed, Error>>;

    /// Deletes an object, and its lease with it. Whether there was one. `lease` is needed when it is leased.
    async fn delete(&self, name: &str, lease: Option<&LeaseId>) -> Result<bool, Error>;

    /// Deletes the objects whose names begin with `prefix`, which must not be empty; their number. What cannot be
    /// deleted stays and is the error, when all others are gone.
    async fn delete_all(&self, prefix: &str) -> Result<u64, Error>;

    /// Takes the lease of an object for `duration`, 15 s to 60 s; `None` when somebody has it.
    ///
    /// It lapses unless it is renewed. The lease of a process that has ended lapses at the end of `duration` or earlier.
    /// Fails with [`Error::NoObject`] when there is no object.
    async fn lease(&self, name: &str, duration: Duration) -> Result<Option<Lease>, Error>;

    /// Keeps a lease for its whole duration from now on. A lapsed one comes back when nobody has taken, written or
    /// deleted the object since; else it fails with [`Error::LeaseLost`].
    async fn renew(&self, lease: &Lease) -> Result<(), Error>;

    /// Gives a lease back. Nothing happens when it is lost already.
    async fn release(&self, lease: Lease) -> Result<(), Error>;
}

/// What must hold when an object is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Any,
    /// There is no such object.
    Absent,
    /// The object has this version.
    Unchanged(Version),
    /// The writer holds this lease of the object.
    Leased(LeaseId),
}

impl Condition {
    /// The writer holds this lease.
    pub fn leased(id: &LeaseId) -> Self {
        Self::Leased(id.clone())
    }

    /// The lease that the writer claims to have.
    fn lease(&self) -> Option<&LeaseId> {
        match self {
            Self::Leased(id) => Some(id),
            _ => None,
        }
    }
}

/// Tells one content of an object from every other that it has ever had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

/// Tells one lease from every other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseId(String);

macro_rules! word {
    ($name:ident) => {
        impl $name {
            /// As the storage says it.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// As the storage says it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
word!(Version);
word!(LeaseId);

/// An object that is read as a whole.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its content.
    pub bytes: Bytes,
    /// The version of the content.
    pub version: Version,
    /// How long ago it was written, by the storage's own clock.
    pub age: Duration,
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
}

/// A lease that was taken. Dropping it does not give it back.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The object.
    pub name: String,
    /// What its holder writes with.
    pub id: LeaseId,
    /// How long it lasts from each renewal on. Count from a moment before the call.
    pub duration: Duration,
}
