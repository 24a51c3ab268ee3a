//! What can end a command early, and the exit code that says so to the caller's shell.

use std::{fmt, io, path::PathBuf};

use crate::settings::Faults;

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

    /// The code with which the program ends because of this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Settings(_) | Self::Package(_) | Self::Targets(_) | Self::Plan(_) => {
                ExitCode::BAD_INPUT
            }
            Self::File { .. } | Self::Output(_) | Self::Service(_) => ExitCode::SERVICE,
            Self::Cancelled => ExitCode::CANCELLED,
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

/// How the program ended, as the caller's shell sees it. All codes lie within 0 to 130, where shells keep them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExitCode(u8);

impl ExitCode {
    /// Everything is as the user wanted it.
    pub const SUCCESS: Self = Self(0);
    /// Some databases were rolled back, failed, were partly committed, interrupted, busy, or crashed.
    pub const SOME_FAILED: Self = Self(1);
    /// Bad input or settings; nothing was changed.
    pub const BAD_INPUT: Self = Self(2);
    /// A service, a file or a backend failed.
    pub const SERVICE: Self = Self(3);
    /// More databases failed than `--maxfailures` allows.
    pub const HALTED: Self = Self(4);
    /// Of some databases it is not known what became of them.
    pub const UNKNOWN: Self = Self(5);
    /// Things that the run made could not be removed.
    pub const LEFT_OVERS: Self = Self(6);
    /// The user cancelled the run.
    pub const CANCELLED: Self = Self(130);

    /// Every code, the one that wins over the others first.
    pub const BY_WEIGHT: [Self; 8] = [
        Self::BAD_INPUT,
        Self::CANCELLED,
        Self::SERVICE,
        Self::UNKNOWN,
        Self::HALTED,
        Self::SOME_FAILED,
        Self::LEFT_OVERS,
        Self::SUCCESS,
    ];

    /// The code to end with when both hold.
    pub fn or(self, other: Self) -> Self {
        Self::BY_WEIGHT
            .into_iter()
            .find(|code| [self, other].contains(code))
            .unwrap_or(self)
    }

    /// The number.
    pub fn code(self) -> u8 {
        self.0
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.0)
    }
}

impl fmt::Display for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weightier_exit_code_wins_from_either_side() {
        for (place, code) in ExitCode::BY_WEIGHT.into_iter().enumerate() {
            for lighter in ExitCode::BY_WEIGHT.into_iter().skip(place) {
                assert_eq!(code.or(lighter), code);
                assert_eq!(lighter.or(code), code);
            }
        }
    }

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
