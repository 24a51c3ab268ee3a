//! What a package is, however it was stored.

use std::{fmt::Write, time::Duration};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    Moment, batching, digest,
    xml::{Attribute, Element, Node},
};

/// A package: scripts in build order.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// The base name of its file or folder.
    pub name: String,
    /// The scripts in the order in which they run.
    pub scripts: Vec<Script>,
    /// What a rewrite keeps although no build needs it.
    pub record: Record,
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
    /// Who made it and changed it, for listings and rewrites.
    pub provenance: Provenance,
}

/// Where a script comes from, and what else its manifest entry holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provenance {
    /// When it was put into the package.
    pub date_added: Option<Moment>,
    /// By whom.
    pub added_by: String,
    /// When it was last changed; none when it never was.
    pub date_modified: Option<Moment>,
    /// By whom.
    pub modified_by: String,
    /// Attributes that this program does not know, kept for a rewrite.
    pub(super) unknown_attributes: Vec<Attribute>,
    /// Values that mean nothing to this program, as they were written. They count as missing.
    pub(super) unreadable: Vec<Attribute>,
    /// Elements and text in the entry, of which this program knows none, kept for a rewrite.
    pub(super) unknown_content: Vec<Node>,
}

/// The parts of a manifest beside its scripts, kept as they were read so that a rewrite loses nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Attributes of the root.
    pub(super) root_attributes: Vec<Attribute>,
    /// Attributes of the project, such as its name.
    pub(super) project_attributes: Vec<Attribute>,
    /// Attributes of each further project; what is in these is in the first one now.
    pub(super) further_projects: Vec<Vec<Attribute>>,
    /// Attributes of the list of scripts.
    pub(super) scripts_attributes: Vec<Attribute>,
    /// Elements of the list of scripts that are none.
    pub(super) scripts_elements: Vec<Element>,
    /// Attributes of the list of builds.
    pub(super) builds_attributes: Vec<Attribute>,
    /// Past builds with their script runs.
    pub(super) builds: Vec<Element>,
    /// Committed scripts, and elements of the project that this program does not know.
    pub(super) project_elements: Vec<Element>,
    /// Code reviews, and other elements directly under the root.
    pub(super) root_elements: Vec<Element>,
    /// The history file of an archive, byte by byte.
    pub(super) history: Option<Vec<u8>>,
}

impl Package {
    /// The hash by which the reference program knows this package: upper-case SHA-1 over script hashes and order.
    ///
    /// Names, ids, databases and flags do not enter it, nor does any difference between line ends.
    pub fn build_hash(&self) -> String {
        let mut scripts: Vec<&Script> = self.scripts.iter().collect();
        // Scripts without an order run last, but the reference program hashes them first.
        scripts.sort_by_key(|script| script.order.is_some());
        digest::package_hash(scripts.into_iter().map(Script::build_hash))
    }

    /// The SHA-256 over everything that decides what is executed; see [`digest::package_sha256`].
    pub fn sha256(&self) -> String {
        digest::package_sha256(&self.scripts)
    }

    /// Puts the scripts into the order in which they run: ascending, those without an order last, ties as they were.
    pub(super) fn sort(&mut self) {
        self.scripts
            .sort_by(|left, right| match (left.order, right.order) {
                (Some(left), Some(right)) => left.total_cmp(&right),
                (left, right) => left.is_none().cmp(&right.is_none()),
            });
    }
}

impl Script {
    /// A script with the settings that hold where nothing else is said, and an id derived from its name.
    pub fn new(file: impl Into<String>, bytes: Vec<u8>) -> Self {
        let file = file.into();
        Self {
            id: derived_id(&[file.as_bytes()]),
            file,
            bytes,
            order: None,
            database: String::new(),
            description: String::new(),
            roll_back_on_error: true,
            causes_build_failure: true,
            strip_transaction_text: false,
            allow_multiple_runs: true,
            timeout: None,
            tag: String::new(),
            provenance: Provenance::default(),
        }
    }

    /// The text, decoded as its byte order mark says, else as UTF-8.
    pub fn text(&self) -> String {
        digest::decode_text(&self.bytes)
    }

    /// The pieces that the reference program sends one by one; see [`batching::split`].
    pub fn batches(&self) -> Vec<String> {
        batching::split(&self.text(), self.strip_transaction_text)
    }

    /// The hash by which the reference program knows this script: upper-case SHA-1 over its batches.
    pub fn build_hash(&self) -> String {
        digest::script_hash(&self.text(), self.strip_transaction_text)
    }
}

/// An id (UUID version 8, from SHA-256) that is the same whenever `parts` are.
pub(super) fn derived_id(parts: &[&[u8]]) -> Uuid {
    let mut hasher = Sha256::new();
    hasher.update(b"sbm script id\0");
    for part in parts {
        hasher.update(digest::length_of(part));
        hasher.update(part);
    }
    let mut bytes = [0; 16];
    for (byte, digest) in bytes.iter_mut().zip(hasher.finalize()) {
        *byte = digest;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Lower-case hexadecimal digits.
pub fn hex_lower(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String does not fail");
        text
    })
}
