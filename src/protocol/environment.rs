//! The variables by which a worker is told where its run is and who it is. Everything else is in the job.

/// Where all jobs are stored: a folder.
pub const STORE: &str = "SBM_STORE";

/// The name of the job.
pub const JOB: &str = "SBM_JOB";

/// The id of the run.
pub const RUN: &str = "SBM_RUN";

/// The name of the worker; it gives itself one when it has none.
pub const WORKER: &str = "SBM_WORKER";

/// Whether the worker belongs to the process that started it: `1` when it is to drain as soon as its standard input ends.
pub const ATTACHED: &str = "SBM_ATTACHED";
