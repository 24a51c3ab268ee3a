//! As whom a namespace is used.

use std::{fmt, sync::Arc, time::Duration};

use azure_core::credentials::TokenCredential;
use jiff::Timestamp;
use secrecy::SecretString;

use super::{Error, OPERATION, SharedKey, sas};

/// How long a token lasts that we make ourselves.
const LIFETIME: Duration = Duration::from_secs(3600);

/// As whom.
#[derive(Clone)]
pub enum Credential {
    /// Whoever has the key.
    Key(SharedKey),
    /// An identity of Entra ID.
    Identity {
        /// Gets its tokens.
        credential: Arc<dyn TokenCredential>,
        /// What they are for.
        scope: String,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.debug_tuple("Key").field(&key.name).finish(),
            Self::Identity { scope, .. } => f.debug_tuple("Identity").field(scope).finish(),
        }
    }
}

/// A token for one resource.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) text: SecretString,
    /// The type that `$cbs` is told.
    pub(super) kind: &'static str,
    pub(super) expires: Timestamp,
}

impl Credential {
    /// A token for `resource`; `lifetime` is that of a token that we make ourselves.
    pub(super) async fn token(
        &self,
        resource: &str,
        lifetime: Option<Duration>,
    ) -> Result<Token, Error> {
        match self {
            Self::Key(key) => {
                let expires = Timestamp::now() + lifetime.unwrap_or(LIFETIME);
                Ok(Token {
                    text: sas::token(resource, key, expires.as_second()),
                    kind: "servicebus.windows.net:sastoken",
                    expires,
                })
            }
            Self::Identity { credential, scope } => identity_token(&**credential, scope).await,
        }
    }

    /// What an HTTP request to the management interface says in `Authorization`.
    pub(in crate::azure) async fn authorization(&self, url: &str) -> Result<SecretString, Error> {
        use secrecy::ExposeSecret;

        let token = self.token(url, None).await?;
        Ok(match self {
            Self::Key(_) => token.text,
            Self::Identity { .. } => {
                SecretString::from(format!("Bearer {}", token.text.expose_secret()))
            }
        })
    }
}

async fn identity_token(credential: &dyn TokenCredential, scope: &str) -> Result<Token, Error> {
    let scopes = [scope];
    let asked = tokio::time::timeout(2 * OPERATION, credential.get_token(&scopes, None));
    let token = asked
        .await
        .map_err(|_| Error::timed_out("a token of Entra ID"))?
        .map_err(|source| Error::Token {
            source: Box::new(source),
        })?;
    let seconds = token.expires_on.unix_timestamp();
    Ok(Token {
        text: SecretString::from(token.token.secret()),
        kind: "jwt",
        expires: Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX),
    })
}
