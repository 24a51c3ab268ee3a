//! What can end a command early, and the exit code that says so to the caller's shell.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{engine, report::ExitCode, settings::Faults};

/// Any error, when a stage keeps its own kind to itself.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a command ended early, one variant per stage.
///
/// A database that could not be built is no such reason: it is an outcome in the report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Options that cannot be used, all of them together.
    #[error(transparent)]
    Settings(#[from] Faults),
    /// The package cannot be read, or not be made.
    #[error("the package cannot be used")]
    Package(#[source] Source),
    /// The targets cannot be read.
    #[error("the targets cannot be used")]
    Targets(#[source] Source),
    /// Package and targets do not fit each other.
    #[error("the package does not fit the targets")]
    Plan(#[source] Source),
    /// A file of the run cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Standard output takes nothing more, and not because its reader went away.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// Something that a run needs, and that is no target, failed.
    #[error("the run cannot go on")]
    Service(#[source] Source),
    /// An option that is right by itself does not fit what was found.
    #[error("{0}")]
    Input(String),
    /// Faults of several inputs.
    #[error("{}", .0.iter().map(Self::chain).collect::<Vec<_>>().join("\nerror: "))]
    Several(Vec<Error>),
    /// The user ended the command before anything started.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// An error of the package stage.
    pub fn package(error: impl Into<Source>) -> Self {
        Self::Package(error.into())
    }

    /// An error of the target stage.
    pub fn targets(error: impl Into<Source>) -> Self {
        Self::Targets(error.into())
    }

    /// An error of the plan stage.
    pub fn plan(error: impl Into<Source>) -> Self {
        Self::Plan(error.into())
    }

    /// An error of something that the run needs.
    pub fn service(error: impl Into<Source>) -> Self {
        Self::Service(error.into())
    }

    /// An error of an option in the light of what was found.
    pub fn input(message: impl Into<String>) -> Self {
        Self::Input(message.into())
    }

    /// An error of a file or folder of the run.
    pub fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// An error of setting up the databases' platform, before any is connected to.
    pub fn engine(error: engine::Error) -> Self {
        Self::Input(error.to_string())
    }

    /// The code with which the program ends because of this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Settings(_)
            | Self::Package(_)
            | Self::Targets(_)
            | Self::Plan(_)
            | Self::Input(_)
            | Self::Several(_) => ExitCode::Refused,
            Self::File { .. } | Self::Output(_) | Self::Service(_) => ExitCode::ServiceFailed,
            Self::Cancelled => ExitCode::Cancelled,
        }
    }

    /// The error and everything that caused it, outermost first, one per line.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str("\n  because: ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_its_exit_code() {
        let io = || io::Error::other("x");
        let file = Error::File {
            path: "p".into(),
            source: io(),
        };
        let codes = [
            (Error::package(io()), 2),
            (Error::targets(io()), 2),
            (Error::plan(io()), 2),
            (file, 3),
            (Error::Output(io()), 3),
            (Error::service(io()), 3),
            (Error::Cancelled, 130),
        ];
        for (error, code) in codes {
            assert_eq!(error.exit_code().code(), code, "{error:?}");
        }
    }

    #[test]
    fn the_chain_names_every_cause_once() {
        let error = Error::service(io::Error::other("the disk is full"));
        assert_eq!(
            error.chain(),
            "the run cannot go on\n  because: the disk is full"
        );
    }
}
