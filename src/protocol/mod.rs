//! What orchestrator and workers say to each other; every stored form carries a version.

mod control;
mod document;
pub mod environment;
mod event;
mod job;
mod limits;
mod outcome;
mod paths;
mod platform;
mod seconds;
mod target;

pub use control::{Control, Early, EndedBy, Phase, Wave};
pub use document::DocumentError;
pub use event::{Event, EventKind};
pub use job::{
    BuildOptions, Concurrency, ConcurrencyType, Connection, JobSpec, PackageRef, SslMode,
};
pub use limits::WorkerLimits;
pub use outcome::{ErrorReport, ResultLine, State, merge};
pub use paths::RunPaths;
pub use platform::{Platform, UnknownPlatform};
pub use target::{NoDatabase, Pair, Target, TargetKey, normal_server};
