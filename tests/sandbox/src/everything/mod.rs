//! All services together.

mod ground;
mod keys;
mod options;
mod ports;

pub use options::Options;

use anyhow::{Context, Result};

use self::ground::Ground;
use self::ports::Listeners;
use crate::azurite::{self, Azurite};
use crate::certificates::{Certificates, write_for_owner};
use crate::document::Document;
use crate::github_oidc;

/// The topic of the reference program, which it never makes itself.
const TOPIC: &str = "sqlbuildmanager";
/// The hub that is always there.
const HUB: &str = "sbm";

/// The sandbox while it runs. Its services end with the runtime.
#[derive(Debug)]
pub struct Sandbox {
    /// Where everything is.
    pub document: Document,
    azurite: Option<Azurite>,
}

impl Sandbox {
    /// Starts all services and writes `sandbox.json` when all of them listen.
    ///
    /// # Errors
    /// When a port is taken, a file cannot be written or Azurite does not start.
    pub async fn start(options: Options) -> Result<Self> {
        std::fs::create_dir_all(&options.folder)
            .with_context(|| format!("cannot make the folder {}", options.folder.display()))?;
        let folder = std::path::absolute(&options.folder)?;
        let file = folder.join("sandbox.json");
        // Nobody is to take what an earlier sandbox has left for this one.
        if file.exists() {
            std::fs::remove_file(&file)
                .with_context(|| format!("cannot replace {}", file.display()))?;
        }
        let ground = Ground::new(Certificates::make(&folder)?)?;
        let listeners = Listeners::open(&options).await?;
        let azurite = match options.without_blob {
            true => None,
            false => Some(azurite::start(options.azurite, &ground.certificates).await?),
        };
        let federated = folder.join("federated-token");
        write_for_owner(&federated, &github_oidc::pod_token(&ground.directory)?)?;
        let ports = listeners.ports()?;
        let document = ground.document(ports, azurite.is_some(), federated);
        ground.serve(listeners, ports, azurite.as_ref());
        document.write(&file)?;
        Ok(Self { document, azurite })
    }

    /// Waits until something has ended that should not, and says what.
    pub async fn failed(&mut self) -> anyhow::Error {
        match &mut self.azurite {
            None => std::future::pending().await,
            Some(azurite) => match azurite.ended().await {
                Ok(status) => anyhow::anyhow!("Azurite has ended: {status}"),
                Err(error) => error,
            },
        }
    }

    /// Ends what would outlive the process otherwise.
    pub async fn stop(self) {
        if let Some(azurite) = self.azurite {
            azurite.stop().await;
        }
    }
}
