//! The process of Azurite.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::install;
use crate::certificates::Certificates;

/// How long it may take until it listens; Node.js reads thousands of files first.
const START: Duration = Duration::from_secs(180);

/// Azurite while it runs. It ends when this is dropped, and when this process ends, whatever ends it.
#[derive(Debug)]
pub struct Azurite {
    /// Where it listens on the loopback interface.
    pub port: u16,
    child: Child,
    /// Its end is the sign for Azurite to end.
    _life_line: Option<ChildStdin>,
}

impl Azurite {
    pub(super) async fn start(folder: &Path, certificates: &Certificates) -> Result<Self> {
        let mut node = command(folder, certificates);
        let mut child = node.spawn().map_err(install::advise)?;
        let life_line = child.stdin.take();
        let output = child
            .stdout
            .take()
            .context("Azurite has no standard output")?;
        let mut lines = BufReader::new(output).lines();
        let found = tokio::time::timeout(START, find_port(&mut lines))
            .await
            .context("Azurite does not start")?;
        let Some(port) = found else {
            bail!(
                "Azurite has ended at once: {}",
                last_words(child.stderr.take()).await
            );
        };
        drain(lines, child.stderr.take());
        Ok(Self {
            port,
            child,
            _life_line: life_line,
        })
    }

    /// Waits until it has ended, which it should not.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub async fn ended(&mut self) -> Result<std::process::ExitStatus> {
        Ok(self.child.wait().await?)
    }

    /// Ends it.
    pub async fn stop(mut self) {
        if let Err(error) = self.child.kill().await {
            log::warn!("Azurite cannot be ended: {error}");
        }
    }
}

fn command(folder: &Path, certificates: &Certificates) -> Command {
    let mut node = install::node(folder);
    node.args(["--blobHost", "127.0.0.1", "--blobPort", "0"])
        .args(["--inMemoryPersistence", "--skipApiVersionCheck"])
        .args(["--disableTelemetry", "--silent", "--oauth", "basic"])
        .arg("--cert")
        .arg(&certificates.server)
        .arg("--key")
        .arg(&certificates.key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    node
}

/// It says on which port it listens; none when it has ended before.
async fn find_port(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<u16> {
    while let Ok(Some(line)) = lines.next_line().await {
        if line.contains("successfully listens on") {
            return line.trim().rsplit(':').next()?.parse().ok();
        }
    }
    None
}

async fn last_words(errors: Option<impl AsyncRead + Unpin>) -> String {
    let mut text = Vec::new();
    if let Some(errors) = errors
        && let Err(error) = errors.take(4096).read_to_end(&mut text).await
    {
        return error.to_string();
    }
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// Whose output nobody reads stands still some day.
fn drain(
    mut lines: Lines<BufReader<ChildStdout>>,
    errors: Option<impl AsyncRead + Send + Unpin + 'static>,
) {
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let Some(errors) = errors else { return };
    tokio::spawn(async move {
        let mut lines = BufReader::new(errors).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            log::warn!("Azurite: {line}");
        }
    });
}
