//! Access tokens of Entra ID in the place of passwords.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use secrecy::SecretString;

use super::Error;
use crate::{
    azure::{Cloud, Identity, Service, identity::Kind},
    protocol::{IdentityKind, IdentityLogin, SslMode},
};

/// Gives the token for each login. It is a new one whenever the one before is about to end.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    credential: Arc<dyn TokenCredential>,
    service: Service,
}

impl Tokens {
    pub(super) fn new(credential: Arc<dyn TokenCredential>, service: Service) -> Self {
        Self {
            credential,
            service,
        }
    }

    /// The token for a server. It is made out to the cloud in which the server's name is, or else to the public one.
    pub(super) async fn token(&self, place: &str, host: &str) -> Result<SecretString, Error> {
        let cloud = Cloud::of_host(host).unwrap_or_default();
        let token = self
            .credential
            .get_token(&[cloud.scope(self.service)], None)
            .await;
        let token = token.map_err(|error| Error::Connect {
            place: place.to_owned(),
            message: format!("no access token: {error}"),
            code: None,
            transient: false,
        })?;
        Ok(token.token.secret().into())
    }
}

/// The identity that a job names, in the environment of this process.
pub(super) fn credential(login: &IdentityLogin) -> Result<Arc<dyn TokenCredential>, Error> {
    let kinds: &[Kind] = match login.kind {
        IdentityKind::ManagedIdentity => &Kind::MANAGED,
        IdentityKind::AzureAdDefault => &Kind::ALL,
    };
    let identity = Identity::of_process(kinds, login.client.as_deref(), login.tenant.as_deref());
    Ok(identity.map_err(Error::Settings)?.credential())
}

/// How to encrypt when a token is sent: it is as good as a password, and never goes over the wire in clear.
pub(super) fn encrypted(mode: SslMode) -> Result<SslMode, Error> {
    match mode {
        SslMode::Disable => Err(Error::Settings(
            "--sslmode disable: an access token is only sent over an encrypted connection".into(),
        )),
        SslMode::Prefer => Ok(SslMode::Require),
        mode => Ok(mode),
    }
}
