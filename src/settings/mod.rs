//! What the user wants, in two steps: arguments are what was typed, settings are what it means.
//!
//! Texts are parsed here and nowhere after it; the environment is read here and nowhere after it. Every fault of an
//! input is found before anything is told, so that nobody has to repair one option at a time.

mod arguments;
mod build_options;
mod demo;
mod environment;
mod fault;
mod file;
mod ledger;
mod limits;
mod local;
mod login;
mod package_source;
mod query;
mod reader;
mod resolve;
mod resume;
mod run;
mod save;
mod show;
mod sources;
mod target_source;
mod vault;

pub use arguments::{
    BuildArguments, BuildOptionArguments, ConcurrencyArguments, LimitArguments, LoginArguments,
    PackageArguments, RunArguments, RunOptionArguments, TargetArguments, UnavailableArguments,
};
pub use demo::{DemoArguments, DemoSettings};
pub use environment::{Environment, process_environment};
pub use fault::{Fault, Faults};
pub use file::{SettingsFile, rewritten, sealed, unsealed};
pub use ledger::{LedgerArguments, LedgerSettings};
pub use limits::limits;
pub use local::{
    JobArguments, JobPasswordArguments, LocalCleanupArguments, LocalDeployArguments,
    LocalDequeueArguments, LocalEnqueueArguments, LocalJobSettings, LocalMonitorArguments,
    LocalRunArguments, LocalRunSettings, NewJobArguments, WaveArguments, WorkerArguments,
};
pub use package_source::PackageSource;
pub use query::{QueryArguments, QueryResultArguments, QuerySettings, QueryTextArguments};
pub use resume::Resume;
pub use run::RunSettings;
pub use save::{Aci, Backend, Batch, ContainerApp, Kubernetes, SaveArguments, Saved, save};
pub use show::{OtherSettings, ShowArguments, ShownSettings};
pub use sources::{Answers, Setting, SettingsFileArguments, Source};
pub use target_source::TargetSource;
pub use vault::{ToVault, Vault, VaultQuestion};

#[cfg(test)]
mod source_tests;
#[cfg(test)]
mod tests;
