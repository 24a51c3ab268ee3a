//! Blobs: the real Azurite, Microsoft's emulator, behind a proxy that can misbehave.
//!
//! Azurite is a program for Node.js. Which version is run, and of what it consists, stands in `tests/sandbox/azurite`.

mod install;
mod process;
mod proxy;

use std::path::PathBuf;

use anyhow::Result;
pub use process::Azurite;
pub use proxy::router;

use crate::certificates::Certificates;

/// The account that Azurite always has.
pub const ACCOUNT: &str = "devstoreaccount1";
/// Its key, which everybody knows.
pub const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Installs Azurite, where that has not been done, and starts it on a free port. It ends with the sandbox.
///
/// # Errors
/// When Node.js is missing, Azurite cannot be installed, or it does not start; the message says what to do.
pub async fn start(installed: Option<PathBuf>, certificates: &Certificates) -> Result<Azurite> {
    let folder = install::find_or_install(installed).await?;
    Azurite::start(&folder, certificates).await
}
