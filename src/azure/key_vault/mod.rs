//! `Secrets` in a key vault.
//!
//! The reference program has one name for each secret, so two of its jobs with one vault overwrite each other's. A job of ours
//! has names of its own, and reads the common ones where it has none.

mod guard;
mod names;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    credentials::TokenCredential,
    error::ErrorKind,
    http::{ClientOptions, ExponentialRetryOptions, RetryOptions},
};
use azure_security_keyvault_secrets::{
    SecretClient, SecretClientOptions, models::SetSecretParameters,
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;
use url::Url;

use super::{Cloud, Service, Trust};
use crate::secrets::{Error, SecretName, Secrets};
use guard::Guard;

/// How long one secret may take, with all tries and the token for it.
const PATIENCE: Duration = Duration::from_secs(180);

/// A key vault, as one job sees it.
#[derive(Clone)]
pub struct KeyVault {
    name: String,
    job: Option<String>,
    client: Arc<SecretClient>,
}

impl KeyVault {
    /// The vault of this name in `cloud`, or with this address. With a job, secrets are kept under names of that job. Nothing is
    /// asked.
    pub fn new(
        vault: &str,
        cloud: Cloud,
        credential: Arc<dyn TokenCredential>,
        trust: &Trust,
        job: Option<&str>,
    ) -> Result<Self, Error> {
        let name = vault.trim().to_owned();
        let unusable = |why: String| Error::Refused {
            place: format!("key vault {name}"),
            why,
        };
        let url = address(&name, cloud).ok_or_else(|| {
            unusable("accepted are its name (3 to 24 letters, digits and dashes) and its address with https".into())
        })?;
        let is_azures = url
            .host_str()
            .is_some_and(|host| Cloud::of_host(host).is_some());
        let options = SecretClientOptions {
            client_options: ClientOptions {
                transport: Some(
                    trust
                        .transport()
                        .map_err(|error| unusable(error.to_string()))?,
                ),
                retry: RetryOptions::exponential(ExponentialRetryOptions {
                    initial_delay: azure_core::time::Duration::milliseconds(500),
                    max_retries: 5,
                    max_total_elapsed: azure_core::time::Duration::seconds(60),
                    max_delay: azure_core::time::Duration::seconds(10),
                }),
                ..ClientOptions::default()
            },
            // Whoever gives another address than Azure's means it; the guard sees to it that it gets no other token.
            verify_challenge_resource: Some(is_azures),
            ..SecretClientOptions::default()
        };
        let guard = Arc::new(Guard::new(credential, cloud.scope(Service::KeyVault)));
        let client = SecretClient::new(url.as_str(), guard, Some(options));
        let client = client.map_err(|error| unusable(error.to_string()))?;
        Ok(Self {
            name,
            job: job.map(str::to_owned),
            client: Arc::new(client),
        })
    }

    /// The names of a secret in the vault, the one of the job first.
    fn names(&self, name: SecretName) -> Vec<String> {
        let own = self.job.as_deref().map(|job| names::of_job(job, name));
        own.into_iter()
            .chain([name.in_vault().to_owned()])
            .collect()
    }

    async fn read(&self, name: &str) -> Result<Option<SecretString>, Error> {
        let read = async {
            let answer = self.client.get_secret(name, None).await?;
            answer.into_model()
        };
        match self.in_time(read).await? {
            Ok(secret) => Ok(secret.value.map(SecretString::from)),
            Err(error)
                if error
                    .http_status()
                    .is_some_and(|status| u16::from(status) == 404) =>
            {
                Ok(None)
            }
            Err(error) => Err(self.error(&error)),
        }
    }

    async fn in_time<T>(&self, call: impl Future<Output = T>) -> Result<T, Error> {
        let answer = timeout(PATIENCE, call).await;
        answer.map_err(|_| Error::Unavailable {
            place: self.to_string(),
            source: format!("no answer within {} s", PATIENCE.as_secs()).into(),
        })
    }

    fn error(&self, error: &azure_core::Error) -> Error {
        let place = self.to_string();
        let text = error.to_string();
        match error.kind() {
            ErrorKind::HttpResponse { status, .. } if !status.is_server_error() => Error::Refused {
                place,
                why: match u16::from(*status) {
                    401 | 403 => format!(
                        "{text}; the identity needs the role Key Vault Secrets User to read, and Key Vault Secrets Officer to \
                         write"
                    ),
                    _ => text,
                },
            },
            _ => Error::Unavailable {
                place,
                source: text.into(),
            },
        }
    }
}

/// The address of a vault, which is always reached by TLS.
fn address(vault: &str, cloud: Cloud) -> Option<Url> {
    if vault.contains("://") {
        let url: Url = vault.parse().ok()?;
        return (url.scheme() == "https" && url.has_host()).then_some(url);
    }
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_name = (3..=24).contains(&vault.len()) && vault.bytes().all(letters);
    let address = format!("https://{}/", cloud.vault_host(vault));
    is_name.then(|| address.parse().ok()).flatten()
}

impl fmt::Display for KeyVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key vault {}", self.name)
    }
}

impl fmt::Debug for KeyVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyVault({}, {:?})", self.name, self.job)
    }
}

#[async_trait]
impl Secrets for KeyVault {
    async fn get(&self, name: SecretName) -> Result<Option<SecretString>, Error> {
        for name in self.names(name) {
            if let Some(secret) = self.read(&name).await? {
                return Ok(Some(secret));
            }
        }
        Ok(None)
    }

    async fn set(&mut self, name: SecretName, value: &SecretString) -> Result<(), Error> {
        let Some(name) = self.names(name).into_iter().next() else {
            return Ok(());
        };
        let parameters = SetSecretParameters {
            value: Some(value.expose_secret().to_owned()),
            ..SetSecretParameters::default()
        };
        let content = parameters.try_into().map_err(|error| self.error(&error))?;
        let set = self
            .in_time(self.client.set_secret(&name, content, None))
            .await?;
        set.map(|_| ()).map_err(|error| self.error(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_is_given_by_its_name_or_its_address() {
        let of = |vault: &str| address(vault, Cloud::China).map(String::from);
        assert_eq!(
            of("fleet-vault").as_deref(),
            Some("https://fleet-vault.vault.azure.cn/")
        );
        assert_eq!(
            of("https://localhost:1/x").as_deref(),
            Some("https://localhost:1/x")
        );
        for bad in ["", "ab", "a_b", "http://localhost/", "https://", "a.b.c"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
