//! As whom we act in Azure: one chain of identities for every service and every database.
//!
//! What variables set up on purpose comes before what merely is there: GitHub's and Azure Pipelines' federation, workload
//! identity and a client secret, then the managed identity of the machine, then whoever is logged in to Azure CLI. The first
//! that gives a token is the one for the rest of the process. Its tokens are kept, one for each service, and a new one is
//! fetched before the old one ends, by one task for all.

mod cache;
mod chain;
mod cli;
mod federation;
mod github;
mod managed;
mod pipelines;
mod process;
mod settings;
#[cfg(test)]
mod tests;
mod workload;

use std::{fmt, sync::Arc};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};

pub use settings::{IdentitySettings, Kind};

use super::{Trust, TrustError};
use cache::Cache;
use chain::Chain;

/// An identity whose tokens are shared by all who have it.
#[derive(Clone)]
pub struct Identity {
    shared: Arc<Shared>,
}

struct Shared {
    chain: Chain,
    cache: Cache,
}

impl Identity {
    /// The identity that the settings lead to. Nothing is asked before the first token is wanted.
    pub fn new(settings: &IdentitySettings, trust: &Trust) -> Result<Self, TrustError> {
        Ok(Self {
            shared: Arc::new(Shared {
                chain: Chain::new(settings, trust)?,
                cache: Cache::default(),
            }),
        })
    }

    /// The same for those who only know that it is a credential.
    pub fn credential(&self) -> Arc<dyn TokenCredential> {
        Arc::new(self.clone())
    }

    /// Which kind of identity has given tokens; none before the first one.
    pub fn kind(&self) -> Option<Kind> {
        self.shared.chain.chosen()
    }
}

#[async_trait::async_trait]
impl TokenCredential for Identity {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let shared = &self.shared;
        let fetch = || shared.chain.fetch(scopes);
        let token = shared.cache.get(scopes, fetch).await;
        token.map_err(|failure| {
            azure_core::Error::with_message(
                azure_core::error::ErrorKind::Credential,
                failure.to_string(),
            )
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?})", self.kind())
    }
}
