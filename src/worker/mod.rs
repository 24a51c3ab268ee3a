//! The worker: takes targets from the queue, builds each in its databases, and writes what became of it.
//!
//! [`prepare`] reads the package once for all targets. [`run()`] is the loop of a worker within a process that does everything;
//! [`serve()`] that of a process which is one of many. Each delivery goes through `deliver` and `settle`: `gate` says whether its
//! target may start, `past` what earlier deliveries left, `attempts` builds it with repetitions, `attempt` is one try at the whole
//! target, `script` one script, `finish` its end. What a database has seen before is decided by `decide`, and `resolve` finds out what
//! became of a commit whose answer was lost.
//!
//! [`presence`] shows those who have started a worker on this machine that it lives.
//!
//! Meanwhile `locks` renews all messages. A `fence` knows until when a message is ours for certain and stops its build before; a
//! `hold` has the permit without which nothing is committed. `ladder` is the way down when work ends early.

mod attempt;
mod attempts;
mod database_log;
mod decide;
mod deliver;
mod elsewhere;
mod fence;
mod finish;
mod gate;
mod hold;
pub mod identity;
mod ladder;
mod locks;
mod past;
mod place;
pub mod prepare;
pub mod presence;
mod process;
mod readable;
mod resolve;
mod results;
mod run;
mod run_lock;
mod script;
mod secrets;
mod serve;
mod settle;
mod shutdown;
mod signals;

pub use database_log::path as log_path;
pub use gate::{ControlError, Gate};
pub use place::{Place, PlaceFaults};
pub use process::{Failed, process};
pub use results::{ResultFile, Results, ResultsError};
pub use run::{Error, Worker, run};
pub use run_lock::RunLock;
pub use secrets::SecretsError;
pub use serve::{ServeError, serve};
pub use shutdown::Shutdown;
pub use signals::Signals;
