//! Reading a stored document of which other versions may exist.

use serde::{Deserialize, de::DeserializeOwned};

/// Why a document is not read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It was written by a program that knows another form of it.
    #[error("{what} has version {found}; this program reads version {accepted}")]
    Version {
        /// Which document.
        what: &'static str,
        /// Its version.
        found: u64,
        /// The version that is read.
        accepted: u32,
    },
    /// It is damaged, or something else altogether.
    #[error("{what} is not what it should be: {why}")]
    Form {
        /// Which document.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// What every version of every document has.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

/// Reads `what`, after its version, so that a document of another version is refused by that name and not by whichever field
/// is the first to be missing. Unknown fields are ignored.
pub(super) fn read<T: DeserializeOwned>(
    what: &'static str,
    accepted: u32,
    bytes: &[u8],
) -> Result<T, DocumentError> {
    let form = |error: serde_json::Error| DocumentError::Form {
        what,
        why: error.to_string(),
    };
    let Versioned { version: found } = serde_json::from_slice(bytes).map_err(form)?;
    if found != u64::from(accepted) {
        return Err(DocumentError::Version {
            what,
            found,
            accepted,
        });
    }
    serde_json::from_slice(bytes).map_err(form)
}
