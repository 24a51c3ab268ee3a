//! What orchestrator and workers say to each other; every stored form carries a version.

mod event;
mod job;
mod outcome;
mod paths;
mod platform;
mod target;

pub use event::{Event, EventKind};
pub use job::{
    BuildOptions, Concurrency, ConcurrencyType, Connection, JobSpec, PackageRef, SslMode,
};
pub use outcome::{ErrorReport, ResultLine, State, merge};
pub use paths::RunPaths;
pub use platform::{Platform, UnknownPlatform};
pub use target::{NoDatabase, Pair, Target, TargetKey, normal_server};
