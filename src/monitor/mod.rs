//! Events and result lines in, progress and a verdict out; knows no output format.
//!
//! The [`Monitor`] holds one line of evidence per target, keyed, so that events may be lost, repeated and out of order.
//! What is derived from the [`Verdict`] (totals, servers, error clusters) is computed once, at the end, in linear time.

mod clusters;
#[cfg(test)]
pub(crate) mod fixtures;
mod masking;
mod progress;
mod rate;
mod servers;
mod totals;
mod verdict;
mod watch;

pub use clusters::{Cluster, ServerCount, clusters};
pub use masking::mask_literals;
pub use progress::{Failure, Progress, Running};
pub use servers::{ServerRow, servers};
pub use totals::Totals;
pub use verdict::{Verdict, build_time};
pub use watch::{Ignored, Monitor};
