//! What orchestrator and workers say to each other; every stored form carries a version.

mod amount;
mod conduct;
mod control;
mod document;
pub mod environment;
mod event;
mod failure_budget;
mod job;
mod limits;
mod manifest;
mod outcome;
mod paths;
mod platform;
mod seconds;
mod target;

pub use amount::{Amount, BadAmount};
pub use conduct::Conduct;
pub use control::{Control, Early, EndedBy, Phase, Wave};
pub use document::DocumentError;
pub use event::{Event, EventKind};
pub use failure_budget::{BadFailureBudget, FailureBudget};
pub use job::{
    BuildOptions, Concurrency, ConcurrencyType, Connection, IdentityKind, IdentityLogin, JobSpec,
    PackageRef, SslMode,
};
pub use limits::WorkerLimits;
pub use manifest::{MadeObject, Manifest};
pub use outcome::{ErrorReport, ResultLine, State, merge};
pub use paths::RunPaths;
pub use platform::{Platform, UnknownPlatform};
pub use target::{NoDatabase, Pair, Target, TargetKey, normal_server};
