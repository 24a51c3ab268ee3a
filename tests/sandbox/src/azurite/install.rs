//! Installing Azurite, once for every version.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use tokio::process::Command;

const PACKAGE: &str = include_str!("../../azurite/package.json");
const LOCK: &str = include_str!("../../azurite/package-lock.json");
const START: &str = include_str!("../../azurite/start.cjs");

/// How long the download may take.
const TIMEOUT: Duration = Duration::from_secs(600);

/// What to do when Node.js is missing.
const ADVICE: &str = "blobs need Azurite, and Azurite needs Node.js 18 or newer with npm: install it from https://nodejs.org, on \
                      Debian and Ubuntu with `sudo apt-get install nodejs npm`, or start the sandbox with --without-blob";

/// The folder in which Azurite is installed: the one that is given, else one below `target`.
pub(super) async fn find_or_install(given: Option<PathBuf>) -> Result<PathBuf> {
    let folder = given.unwrap_or_else(standard_folder);
    if folder.join("node_modules/azurite").is_dir() {
        return Ok(folder);
    }
    log::info!(
        "installing Azurite into {}, which is done once",
        folder.display()
    );
    install(&folder).await?;
    Ok(folder)
}

/// Named after what is installed, so that another version gets another folder.
fn standard_folder() -> PathBuf {
    let digest = Sha256::digest(LOCK);
    let name = format!(
        "azurite-{:02x}{:02x}{:02x}{:02x}",
        digest[0], digest[1], digest[2], digest[3]
    );
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target")
        .join(name)
}

/// Beside the folder first, so that it is there only when it is complete.
async fn install(folder: &Path) -> Result<()> {
    let beside = folder.with_extension(format!("{}.new", std::process::id()));
    std::fs::create_dir_all(&beside)
        .with_context(|| format!("cannot make {}", beside.display()))?;
    for (name, text) in [
        ("package.json", PACKAGE),
        ("package-lock.json", LOCK),
        ("start.cjs", START),
    ] {
        std::fs::write(beside.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    let installed = run_npm(&beside).await;
    if installed.is_ok() && std::fs::rename(&beside, folder).is_ok() {
        return Ok(());
    }
    // Another sandbox may have been faster.
    if let Err(error) = std::fs::remove_dir_all(&beside) {
        log::warn!("{} is left: {error}", beside.display());
    }
    installed?;
    if folder.join("node_modules/azurite").is_dir() {
        Ok(())
    } else {
        bail!("cannot make {}", folder.display())
    }
}

async fn run_npm(folder: &Path) -> Result<()> {
    let mut npm = Command::new("npm");
    npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(folder)
        .stdin(Stdio::null());
    let output = tokio::time::timeout(TIMEOUT, npm.kill_on_drop(true).output()).await;
    let output = output
        .context("npm has not installed Azurite within ten minutes")?
        .context(ADVICE)?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "npm cannot install Azurite: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    )
}

/// The program that runs Azurite.
pub(super) fn node(folder: &Path) -> Command {
    let mut node = Command::new("node");
    node.arg("start.cjs").current_dir(folder);
    node
}

/// An error of starting it.
pub(super) fn advise(error: std::io::Error) -> anyhow::Error {
    anyhow::Error::from(error).context(ADVICE)
}
