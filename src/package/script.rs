//! What a package is, however it was stored.

use std::{fmt::Write, time::Duration};

use uuid::Uuid;

/// A package: scripts in build order.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// The base name of its file or folder.
    pub name: String,
    /// The scripts in the order in which they run.
    pub scripts: Vec<Script>,
}

/// One script and how it is to be run.
#[derive(Clone, Debug)]
pub struct Script {
    /// File name, with `/` between the folders of a folder package.
    pub file: String,
    /// The file's bytes, as they are.
    pub bytes: Vec<u8>,
    /// Its place in the order; scripts without one run last.
    pub order: Option<f64>,
    /// Its identity, by which run-once scripts are known.
    pub id: Uuid,
    /// The database name that targets map to a real one; may be empty.
    pub database: String,
    /// For people.
    pub description: String,
    /// On an error, undo this script by a savepoint.
    pub roll_back_on_error: bool,
    /// On an error, fail the build.
    pub causes_build_failure: bool,
    /// Leave out transaction statements.
    pub strip_transaction_text: bool,
    /// Run it again where it has run before.
    pub allow_multiple_runs: bool,
    /// The time-out of each batch; the run's default when none.
    pub timeout: Option<Duration>,
    /// Recorded in the audit table.
    pub tag: String,
}

/// Lower-case hexadecimal digits.
pub fn hex_lower(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String does not fail");
        text
    })
}
