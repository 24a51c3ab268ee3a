//! What the user wants, in two steps: arguments are what was typed, settings are what it means.
//!
//! Texts are parsed here and nowhere after it; the environment is read here and nowhere after it. Every fault of an
//! input is found before anything is told, so that nobody has to repair one option at a time.

mod arguments;
mod build_options;
mod demo;
mod environment;
mod fault;
mod ledger;
mod limits;
mod login;
mod package_source;
mod query;
mod reader;
mod resume;
mod run;
mod target_source;

pub use arguments::{
    BuildArguments, BuildOptionArguments, ConcurrencyArguments, LimitArguments, LoginArguments,
    PackageArguments, RunArguments, RunOptionArguments, TargetArguments, UnavailableArguments,
};
pub use demo::{DemoArguments, DemoSettings};
pub use environment::{Environment, process_environment};
pub use fault::{Fault, Faults};
pub use ledger::{LedgerArguments, LedgerSettings};
pub use limits::limits;
pub use package_source::PackageSource;
pub use query::{QueryArguments, QueryResultArguments, QuerySettings, QueryTextArguments};
pub use resume::Resume;
pub use run::RunSettings;
pub use target_source::TargetSource;

#[cfg(test)]
mod tests;
