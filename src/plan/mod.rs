//! What a run will do, worked out from package, targets and limits alone: no clock, no chance, no service.
//!
//! A [`Plan`] names every target with its key and group. [`buckets`], [`split_into_chunks`] and [`recombine()`] divide
//! targets as the reference program does, for reports that must match and for splitting work over nodes.

mod concurrency;
mod document;
mod recombine;

pub use concurrency::{Groups, buckets, split_into_chunks};
pub use document::{Error, Plan, Planned};
pub use recombine::recombine;
