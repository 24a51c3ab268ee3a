//! STAND-IN, to be replaced whole: the signatures of other modules that the command line calls.
//!
//! Replace each `use …stand_in::{package, run, engine, Limits}` by the module of that name, then remove this file. The
//! users are `cli/{build,create,demo,gethash,ledger,list,threaded,unpack}.rs` and `settings/{limits,run}.rs`.

/// How large a package may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest script in bytes.
    pub script_bytes: u64,
    /// The largest package, unpacked, in bytes.
    pub package_bytes: u64,
    /// How many times its packed size a file may unpack to.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            script_bytes: 64 << 20,
            package_bytes: 256 << 20,
            ratio: 200,
        }
    }
}

pub(super) mod package {
    use std::path::{Path, PathBuf};

    use super::Limits;
    use crate::package::Package;

    #[derive(Debug, thiserror::Error)]
    #[error("packages cannot be read by this build of the program")]
    pub(crate) struct Error;

    pub(crate) fn create_from_scripts(_: &Path, _: &[PathBuf]) -> Result<Package, Error> {
        Err(Error)
    }

    pub(crate) fn list(_: &Path, _with_hash: bool, _: &Limits) -> Result<String, Error> {
        Err(Error)
    }

    pub(crate) fn build_hash_of(_: &Path, _: &Limits) -> Result<String, Error> {
        Err(Error)
    }

    pub(crate) fn unpack(_: &Path, _: &Path, _: &Limits) -> Result<Vec<PathBuf>, Error> {
        Err(Error)
    }
}

pub(super) mod run {
    use crate::{
        Error, ExitCode,
        settings::{DemoSettings, RunSettings},
    };

    pub(crate) async fn threaded(_: RunSettings) -> Result<ExitCode, Error> {
        Err(Error::service(
            "runs are not part of this build of the program",
        ))
    }

    pub(crate) async fn demo(_: DemoSettings) -> Result<ExitCode, Error> {
        Err(Error::service(
            "runs are not part of this build of the program",
        ))
    }
}

pub(super) mod engine {
    use crate::protocol::Platform;

    pub(crate) fn ledger_script(platform: Platform, schema: Option<&str>) -> String {
        format!("-- {platform} {}\n", schema.unwrap_or_default())
    }
}
