//! By what right a container is used.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use azure_core::{
    credentials::TokenCredential,
    http::{
        ClientOptions, Context, Request, RetryOptions,
        policies::{Policy, PolicyResult},
    },
};
use secrecy::{ExposeSecret, SecretString};

use super::{Account, shared_key::SharedKey};
use crate::azure::{Trust, TrustError};

/// By what right a container is used.
#[derive(Clone)]
pub enum Access {
    /// The key of the account, in Base64.
    Key(SecretString),
    /// A shared access signature: the query of an address, with or without a question mark.
    Sas(SecretString),
    /// An identity of Entra ID that has a role for the account's blobs.
    Identity(Arc<dyn TokenCredential>),
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Key",
            Self::Sas(_) => "Sas",
            Self::Identity(_) => "Identity",
        })
    }
}

impl Access {
    /// What the library's clients are made with. They do not repeat a call: that is for us, who know what a repetition does.
    pub(super) fn options(
        &self,
        account: &Account,
        trust: &Trust,
    ) -> Result<ClientOptions, Unusable> {
        let per_try_policies: Vec<Arc<dyn Policy>> = match self {
            Self::Key(key) => vec![Arc::new(SharedKey::new(account.name(), key)?)],
            Self::Sas(sas) => vec![Arc::new(Signature::new(sas))],
            Self::Identity(_) => Vec::new(),
        };
        Ok(ClientOptions {
            per_try_policies,
            retry: RetryOptions::none(),
            transport: Some(trust.transport()?),
            ..ClientOptions::default()
        })
    }

    /// The identity, for clients that ask it themselves.
    pub(super) fn credential(&self) -> Option<Arc<dyn TokenCredential>> {
        match self {
            Self::Identity(credential) => Some(Arc::clone(credential)),
            Self::Key(_) | Self::Sas(_) => None,
        }
    }
}

/// Why a container cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The key is none.
    #[error("the key of storage account {0} is not Base64")]
    Key(
        /// The account.
        String,
    ),
    /// The name or the address of the account is none.
    #[error(
        "`{0}` is no storage account; accepted is its name (3 to 24 letters from a to z and digits) or the address of \
         its blobs"
    )]
    Account(
        /// What was given.
        String,
    ),
    /// The name of the container is none.
    #[error(
        "`{0}` is no name of a container; accepted are 3 to 63 letters from a to z, digits and single dashes between them"
    )]
    Container(
        /// What was given.
        String,
    ),
    /// TLS cannot be set up.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The library refuses the settings.
    #[error("cannot use {place}: {message}")]
    Client {
        /// The container.
        place: String,
        /// What the library says.
        message: String,
    },
}

/// Puts a shared access signature behind each address.
#[derive(Debug)]
struct Signature {
    pairs: Vec<(String, SecretString)>,
}

impl Signature {
    fn new(sas: &SecretString) -> Self {
        let text = sas.expose_secret().trim().trim_start_matches('?');
        let pairs = url::form_urlencoded::parse(text.as_bytes());
        Self {
            pairs: pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
                .collect(),
        }
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait leaves the lifetime out, and with it the signature would be another one"
)]
#[async_trait]
impl Policy for Signature {
    async fn send(
        &self,
        context: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        {
            let mut query = request.url_mut().query_pairs_mut();
            for (name, value) in &self.pairs {
                query.append_pair(name, value.expose_secret());
            }
        }
        next[0].send(context, request, &next[1..]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_way_of_printing_shows_a_secret() {
        let key = Access::Key("canary".into());
        let sas = Access::Sas("?sv=1&sig=canary".into());
        assert!(!format!("{key:?} {sas:?}").contains("canary"));
        let signature = Signature::new(&"?sv=1&sig=can%2Bary".to_owned().into());
        assert!(!format!("{signature:?}").contains("can"));
        assert_eq!(signature.pairs[1].1.expose_secret(), "can+ary");
    }
}
