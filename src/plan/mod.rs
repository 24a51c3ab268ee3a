//! What a run will do, worked out from package, targets and limits alone: no clock, no chance, no service.
//!
//! A [`Plan`] names every target with its key and group. [`buckets`], [`split_into_chunks`] and [`recombine()`] divide
//! targets as the reference program does, for reports that must match and for splitting work over nodes. [`Waves`] say how
//! many targets come one after the other.

mod concurrency;
mod document;
mod recombine;
mod waves;

pub use concurrency::{Groups, buckets, split_into_chunks};
pub use document::{Error, Plan, Planned};
pub use recombine::recombine;
pub use waves::{BadWaves, Waves};
