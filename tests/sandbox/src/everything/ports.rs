//! The ports of the services.

use anyhow::Result;
use tokio::net::TcpListener;

use super::Options;
use crate::web;

/// One listener for each port, taken before anything is served, so that the services can name each other.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) bus: TcpListener,
    pub(super) blob: TcpListener,
    pub(super) key_vault: TcpListener,
    pub(super) entra: TcpListener,
    pub(super) http: TcpListener,
}

/// Where they listen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) bus: u16,
    pub(super) blob: u16,
    pub(super) key_vault: u16,
    pub(super) entra: u16,
    pub(super) http: u16,
}

impl Listeners {
    pub(super) async fn open(options: &Options) -> Result<Self> {
        Ok(Self {
            bus: web::listen(options.port).await?,
            blob: web::listen(options.blob_port).await?,
            key_vault: web::listen(options.key_vault_port).await?,
            entra: web::listen(options.entra_port).await?,
            http: web::listen(options.http_port).await?,
        })
    }

    pub(super) fn ports(&self) -> Result<Ports> {
        Ok(Ports {
            bus: self.bus.local_addr()?.port(),
            blob: self.blob.local_addr()?.port(),
            key_vault: self.key_vault.local_addr()?.port(),
            entra: self.entra.local_addr()?.port(),
            http: self.http.local_addr()?.port(),
        })
    }
}

impl Ports {
    pub(super) fn entra_url(self) -> String {
        format!("https://localhost:{}", self.entra)
    }

    pub(super) fn key_vault_url(self) -> String {
        format!("https://localhost:{}", self.key_vault)
    }

    pub(super) fn http_url(self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }
}
