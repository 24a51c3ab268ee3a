//! Why a package cannot be read or written.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::Fault;

/// Why a package cannot be read or written; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system does not let us read.
    #[error("cannot read {path}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The operating system does not let us write.
    #[error("cannot write {path}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The name says that it is something else.
    #[error("{path} is no package; accepted are a `.sbm` file, a `.sbx` file and a folder")]
    NotAPackage {
        /// What was given.
        path: PathBuf,
    },
    /// It is no zip archive, or one that is cut off or damaged.
    #[error("{package}{} is damaged or no zip archive; accepted is a complete zip archive", in_entry(.entry.as_deref()))]
    Broken {
        /// The package.
        package: PathBuf,
        /// The damaged entry, when the damage is in one.
        entry: Option<String>,
        /// What the zip reader says.
        source: zip::result::ZipError,
    },
    /// It would take more room than is allowed.
    #[error(
        "{package}: `{entry}` has more than {accepted} bytes, which the limit on {limit} accepts at most"
    )]
    TooLarge {
        /// The package.
        package: PathBuf,
        /// The script or entry that went over the limit.
        entry: String,
        /// Which limit.
        limit: &'static str,
        /// The number of bytes that would have been accepted.
        accepted: u64,
    },
    /// Its content is not acceptable; these are all faults that were found.
    #[error("{package} is not acceptable: {}", joined(.faults))]
    Invalid {
        /// The package.
        package: PathBuf,
        /// At least one.
        faults: Vec<Fault>,
    },
    /// Files are in the way, and none of them is overwritten.
    #[error("will not overwrite {}; accepted are names that do not exist", listed(.paths))]
    AlreadyExists {
        /// All of them.
        paths: Vec<PathBuf>,
    },
}

impl Error {
    /// For `map_err` around reads of `path`.
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    /// For `map_err` around writes of `path`.
    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    /// An error when there are faults.
    pub(super) fn unless_empty(package: &Path, faults: Vec<Fault>) -> Result<(), Self> {
        if faults.is_empty() {
            return Ok(());
        }
        Err(Self::Invalid {
            package: package.to_owned(),
            faults,
        })
    }
}

fn in_entry(entry: Option<&str>) -> String {
    entry.map_or_else(String::new, |entry| format!(": `{entry}`"))
}

fn joined(faults: &[Fault]) -> String {
    let texts: Vec<String> = faults.iter().map(Fault::to_string).collect();
    texts.join("; ")
}

fn listed(paths: &[PathBuf]) -> String {
    let texts: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    texts.join(", ")
}
