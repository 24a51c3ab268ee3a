//! Applications of Entra ID: with a secret, or with the word of somebody whom Entra ID trusts for them.

use std::sync::Arc;

use azure_core::{
    cloud::CustomConfiguration,
    credentials::{Secret, TokenCredential},
    error::ErrorKind,
    http::{ClientMethodOptions, ClientOptions, ExponentialRetryOptions, RetryOptions},
    time::Duration,
};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions,
};
use secrecy::{ExposeSecret, SecretString};

use super::{
    IdentitySettings,
    github::GitHub,
    pipelines::Pipelines,
    settings::{CLIENT_SECRET, WORKLOAD_FILE},
    workload::TokenFile,
};
use crate::azure::{Trust, TrustError};

type Credential = Result<Arc<dyn TokenCredential>, String>;

/// Somebody who says who we are.
#[async_trait::async_trait]
pub(super) trait Witness: Send + Sync + std::fmt::Debug {
    /// A new token that says so. It is good for minutes only, so it is asked for at each request to Entra ID.
    async fn token(&self) -> Result<SecretString, String>;
}

pub(super) fn github(settings: &IdentitySettings, trust: &Trust) -> Result<Credential, TrustError> {
    let http = trust.http()?;
    let witness = GitHub::new(settings, http);
    witness.map_or_else(
        |why| Ok(Err(why)),
        |witness| by_word(settings, trust, witness),
    )
}

pub(super) fn pipelines(
    settings: &IdentitySettings,
    trust: &Trust,
) -> Result<Credential, TrustError> {
    let http = trust.http()?;
    let witness = Pipelines::new(settings, http);
    witness.map_or_else(
        |why| Ok(Err(why)),
        |witness| by_word(settings, trust, witness),
    )
}

pub(super) fn workload(
    settings: &IdentitySettings,
    trust: &Trust,
) -> Result<Credential, TrustError> {
    match settings.text(WORKLOAD_FILE) {
        Ok(path) => by_word(settings, trust, TokenFile::new(path)),
        Err(why) => Ok(Err(why)),
    }
}

pub(super) fn secret(settings: &IdentitySettings, trust: &Trust) -> Result<Credential, TrustError> {
    let client_options = options(settings, trust)?;
    let made = || {
        let secret = settings.secret(CLIENT_SECRET)?;
        let secret = Secret::new(secret.expose_secret().to_owned());
        let (tenant, client) = settings.application()?;
        let options = ClientSecretCredentialOptions { client_options };
        let made = ClientSecretCredential::new(&tenant, client, secret, Some(options));
        made.map(|credential| credential as Arc<dyn TokenCredential>)
            .map_err(|error| error.to_string())
    };
    Ok(made())
}

fn by_word(
    settings: &IdentitySettings,
    trust: &Trust,
    witness: impl Witness + 'static,
) -> Result<Credential, TrustError> {
    let client_options = options(settings, trust)?;
    let made = || {
        let (tenant, client) = settings.application()?;
        let options = ClientAssertionCredentialOptions { client_options };
        let made = ClientAssertionCredential::new(tenant, client, Word(witness), Some(options));
        made.map(|credential| credential as Arc<dyn TokenCredential>)
            .map_err(|error| error.to_string())
    };
    Ok(made())
}

/// The word of a witness, as the library wants it.
#[derive(Debug)]
struct Word<W>(W);

#[async_trait::async_trait]
impl<W: Witness> ClientAssertion for Word<W> {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let token = self.0.token().await;
        let token =
            token.map_err(|why| azure_core::Error::with_message(ErrorKind::Credential, why))?;
        Ok(token.expose_secret().to_owned())
    }
}

fn options(settings: &IdentitySettings, trust: &Trust) -> Result<ClientOptions, TrustError> {
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = settings.authority();
    let transport = match &settings.transport {
        Some(transport) => transport.clone(),
        None => trust.transport()?,
    };
    Ok(ClientOptions {
        transport: Some(transport),
        cloud: Some(Arc::new(cloud.into())),
        // The word that goes with a request holds for longer than all its tries.
        retry: RetryOptions::exponential(ExponentialRetryOptions {
            initial_delay: Duration::milliseconds(500),
            max_retries: 5,
            max_total_elapsed: Duration::seconds(60),
            max_delay: Duration::seconds(10),
        }),
        ..ClientOptions::default()
    })
}

/// One request for a word, made until there is an answer that stands.
pub(super) async fn ask(
    what: &str,
    request: impl Fn() -> reqwest::RequestBuilder,
) -> Result<serde_json::Value, String> {
    const TRIES: u32 = 4;
    const ONE_TRY: std::time::Duration = std::time::Duration::from_secs(15);
    let mut pause = std::time::Duration::from_millis(500);
    let mut tried = 1;
    loop {
        let (why, is_final) = match request().timeout(ONE_TRY).send().await {
            Ok(answer) if answer.status().is_success() => {
                let body = answer.json().await;
                return body.map_err(|_| format!("{what} has sent something else than JSON"));
            }
            Ok(answer) => {
                let status = answer.status();
                let passes = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
                (format!("{what} answers {status}"), !passes)
            }
            Err(error) => {
                let why = crate::azure::trust::reason(&error);
                (format!("{what} cannot be asked: {why}"), error.is_builder())
            }
        };
        if is_final || tried == TRIES {
            return Err(why);
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
        tried += 1;
    }
}

/// The text of a member of an answer.
pub(super) fn member(
    what: &str,
    answer: &serde_json::Value,
    name: &str,
) -> Result<SecretString, String> {
    let text = answer.get(name).and_then(serde_json::Value::as_str);
    let text = text.filter(|text| !text.is_empty());
    text.map(SecretString::from)
        .ok_or_else(|| format!("{what} has sent no token"))
}
