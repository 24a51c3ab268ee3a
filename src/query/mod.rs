//! One query on every database of a target list, and its answers in one result.
//!
//! Each database is asked within the same limits as builds; its answer goes into a file of its own first. The
//! writer puts the answers one behind the other in the order of the list, whole or not at all, so memory is bounded
//! by the rows in flight, whatever their number and that of the databases. [`Outcome`] is what is told of it.

mod ask;
mod form;
mod gather;
mod outcome;
mod result_file;
mod spill;
mod text;

pub use form::Format;
pub use outcome::{FailedDatabase, Outcome, Summary, Totals};
pub use text::{Question, Unusable};

pub(crate) use ask::Asking;
pub(crate) use gather::{Fate, Gathered, Gathering, gather};
pub(crate) use outcome::list;
pub(crate) use result_file::ResultFile;

use crate::protocol::Target;

/// One database that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Server and tag, with exactly one pair.
    pub target: Target,
    /// What the list says of the database besides: columns and values, which go before those of the query.
    pub row_data: Vec<(String, String)>,
}

impl Asked {
    /// The name of the database.
    pub fn database(&self) -> &str {
        self.target
            .pairs
            .first()
            .map_or("", |pair| pair.database.as_str())
    }
}
