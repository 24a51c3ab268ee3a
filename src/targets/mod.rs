//! Which databases are updated: reads target lists, and proves before anything runs that a package fits them.
//!
//! [`load()`] reads a file, [`parse_inline`] a list from the command line, and [`find`] asks a database; [`check()`] holds the list against the package
//! and the concurrency type. Every fault of a list is reported at once, with its line.

mod cfg;
mod check;
mod fault;
mod inline;
mod load;
mod multi_db;
mod multi_db_query;
mod query;
mod row_data;
mod xml;

pub use cfg::{format_cfg, format_line, parse_cfg};
pub use check::{Checked, Rules, check};
pub use fault::{Fault, Faults};
pub use inline::parse_inline;
pub use load::{Error, load};
pub use multi_db::{MultiDbForm, Unwritable, format_multi_db, parse_multi_db};
pub use multi_db_query::{MultiDbQuery, load_multi_db_query, parse_multi_db_query};
pub use query::{QueryError, find};
pub use row_data::{RowData, RowItem};

use crate::protocol::Target;

/// A target and the line that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The target.
    pub target: Target,
    /// The number of its line, from 1.
    pub line: u32,
    /// What the list says of its databases besides.
    pub row_data: RowData,
}

impl Listed {
    /// A target without row data.
    pub fn new(target: Target, line: u32) -> Self {
        Self {
            target,
            line,
            row_data: RowData::default(),
        }
    }
}

/// Targets in the order of their list; nothing is merged or left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetList {
    /// The file or option that holds the list, as faults name it.
    pub name: String,
    /// The targets.
    pub targets: Vec<Listed>,
    /// Lines that cannot be read; [`check()`] reports them with what else is wrong.
    pub faults: Vec<Fault>,
}
