//! The worker: takes targets from the queue, builds each in its databases, and writes what became of it.
//!
//! [`prepare`] reads the package once for all targets; [`run()`] is the loop; each target goes through `attempts` (repetition),
//! `attempt` (one try at the whole target), `script` (one script) and `finish`. What a database has seen before is decided by
//! `decide`, and `resolve` finds out what became of a commit whose answer was lost.

mod attempt;
mod attempts;
mod database_log;
mod decide;
mod elsewhere;
mod finish;
mod folder;
pub mod identity;
pub mod prepare;
mod readable;
mod resolve;
mod results;
mod run;
mod run_lock;
mod script;
mod shutdown;
mod signals;

pub use database_log::path as log_path;
pub use folder::serve;
pub use results::Results;
pub use run::{Error, Worker, run};
pub use run_lock::RunLock;
pub use shutdown::Shutdown;
pub use signals::Signals;
