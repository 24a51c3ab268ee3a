//! Builds fleets of databases: a package of SQL scripts and a list of targets go in, one final state per target comes out.
//!
//! The modules, in the order in which a run passes through them: `cli` and `settings` say what is wanted; [`package`]
//! and `targets` read it; `plan` decides the order; [`queue`] hands targets to the [`worker`], which builds each by way of
//! an [`engine`]; `monitor` turns events and result lines into progress and a verdict; `report` shows them. `run` ties
//! them together; `query` asks the same databases without changing them. [`protocol`] is what they say to each other, [`sql`]
//! what they know of the language, [`clock`] when locks end.

#![cfg_attr(test, allow(clippy::string_slice, reason = "a test may panic"))]

pub mod azure;
#[cfg(feature = "deploy")]
pub mod backend;
#[cfg(feature = "deploy")]
pub mod cli;
pub mod clock;
#[cfg(feature = "deploy")]
pub mod conductor;
pub mod engine;
#[cfg(feature = "deploy")]
pub mod error;
pub mod events;
#[cfg(feature = "deploy")]
pub mod monitor;
pub mod package;
#[cfg(feature = "deploy")]
pub mod plan;
mod processes;
pub mod protocol;
#[cfg(feature = "deploy")]
pub mod query;
pub mod queue;
#[cfg(feature = "deploy")]
pub mod report;
#[cfg(feature = "deploy")]
pub mod run;
pub mod secrets;
#[cfg(feature = "deploy")]
pub mod settings;
pub mod sql;
pub mod storage;
#[cfg(feature = "deploy")]
pub mod targets;
pub mod telemetry;
pub mod worker;

#[cfg(feature = "deploy")]
pub use error::Error;
#[cfg(feature = "deploy")]
pub use report::ExitCode;
