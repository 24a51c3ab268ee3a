//! The settings of `local`: a run by several worker processes of this machine, as a whole and step by step.

mod arguments;
mod job;
mod place;
mod run;
mod waves;

pub use arguments::{
    JobArguments, JobPasswordArguments, LocalCleanupArguments, LocalDeployArguments,
    LocalDequeueArguments, LocalEnqueueArguments, LocalMonitorArguments, LocalRunArguments,
    NewJobArguments, WaveArguments, WorkerArguments,
};
pub use job::LocalJobSettings;
pub use run::LocalRunSettings;

#[cfg(test)]
mod tests;
