//! The identity that Azure has given to this machine or container.
//!
//! Containers are told by variables where to ask. Machines ask an address that answers on every machine of Azure and on no
//! other, so it is tried briefly; once it has answered, it is asked for as long as it needs to get ready.

use std::time::Duration;

use azure_core::{
    credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions},
    error::ErrorKind,
    time::OffsetDateTime,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use url::Url;

use super::{
    IdentitySettings, Kind,
    settings::{MANAGED_HEADER, MANAGED_URL, METADATA_HOST},
};
use crate::azure::{Trust, TrustError, trust::reason};

const USUAL_HOST: &str = "http://169.254.169.254";
const PATH: &str = "metadata/identity/oauth2/token";
const MACHINE_VERSION: &str = "2018-02-01";
const CONTAINER_VERSION: &str = "2019-08-01";

const ONE_TRY: Duration = Duration::from_secs(20);

/// How long a service that is getting ready is asked again; one that is updated needs 70 s.
const WARM_UP: Duration = Duration::from_secs(90);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Who gives tokens of the managed identity.
pub(super) struct Managed {
    http: reqwest::Client,
    url: Url,
    version: &'static str,
    /// What a container has to show.
    header: Option<SecretString>,
    client: Option<String>,
    glance: Duration,
    /// Whether nothing else is wanted, so that no answer is waited for longer.
    is_wanted: bool,
}

impl Managed {
    pub(super) fn new(
        settings: &IdentitySettings,
        trust: &Trust,
    ) -> Result<Result<Self, String>, TrustError> {
        let http = trust.direct_http()?;
        Ok(Self::with(settings, http))
    }

    fn with(settings: &IdentitySettings, http: reqwest::Client) -> Result<Self, String> {
        let container = settings.text(MANAGED_URL).ok();
        let (name, address) = match container {
            Some(address) => (MANAGED_URL, address.to_owned()),
            None => {
                let host = settings.text(METADATA_HOST).unwrap_or(USUAL_HOST);
                let address = format!("{}/{PATH}", host.trim_end_matches('/'));
                (METADATA_HOST, address)
            }
        };
        let url = address.parse();
        let url = url.map_err(|error| format!("{name} is no address: {error}"))?;
        let header = match container {
            Some(_) => Some(settings.secret(MANAGED_HEADER)?.clone()),
            None => None,
        };
        let others = settings
            .kinds
            .iter()
            .filter(|kind| !Kind::MANAGED.contains(kind));
        Ok(Self {
            http,
            url,
            version: match container {
                Some(_) => CONTAINER_VERSION,
                None => MACHINE_VERSION,
            },
            header,
            client: settings.managed_client(),
            glance: settings.glance,
            is_wanted: others.count() == 0,
        })
    }

    /// A request for a token for a resource.
    fn request(&self, resource: &str) -> reqwest::RequestBuilder {
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .append_pair("api-version", self.version)
            .append_pair("resource", resource);
        if let Some(client) = &self.client {
            url.query_pairs_mut().append_pair("client_id", client);
        }
        let request = self.http.get(url).header("metadata", "true");
        match &self.header {
            Some(header) => request.header("x-identity-header", header.expose_secret()),
            None => request,
        }
    }

    async fn token(&self, resource: &str) -> Result<AccessToken, String> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut is_there = self.header.is_some() || self.is_wanted;
        loop {
            let limit = if is_there { ONE_TRY } else { self.glance };
            let why = match self.request(resource).timeout(limit).send().await {
                Ok(answer) if answer.status().is_success() => return read(answer).await,
                Ok(answer) => {
                    is_there = true;
                    refusal(answer, self.client.as_deref()).await?
                }
                Err(_) if !is_there => return Err(nobody(&self.url, self.glance)),
                Err(error) => reason(&error),
            };
            if began.elapsed() + pause >= WARM_UP {
                return Err(format!("{why}; asked for {} s", WARM_UP.as_secs()));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn nobody(url: &Url, glance: Duration) -> String {
    let host = url.host_str().unwrap_or_default();
    format!(
        "nobody answers at {host} within {} s, so this is no machine of Azure",
        glance.as_secs()
    )
}

/// Why there is no token yet; an error when there will be none. The numbers are those of Microsoft's guidance.
async fn refusal(answer: reqwest::Response, client: Option<&str>) -> Result<String, String> {
    let status = answer.status();
    let body = answer.text().await.unwrap_or_default();
    let told: Value = serde_json::from_str(&body).unwrap_or_default();
    let told = ["error_description", "message"]
        .iter()
        .find_map(|name| told.get(name)?.as_str())
        .unwrap_or("no reason given");
    let why = format!("{status}: {told}");
    match status.as_u16() {
        404 | 408 | 410 | 429 | 500.. => Ok(why),
        400 => Err(match client {
            Some(client) => format!("{why}; the identity {client} is not assigned to this machine"),
            None => format!(
                "{why}; this machine has no identity, or several, of which one is named in AZURE_CLIENT_ID"
            ),
        }),
        _ => Err(why),
    }
}

/// The answer. Some services write numbers as texts.
#[derive(Deserialize)]
struct Answer {
    access_token: Secret,
    #[serde(default)]
    expires_on: Value,
    #[serde(default)]
    expires_in: Value,
}

async fn read(answer: reqwest::Response) -> Result<AccessToken, String> {
    let answer: Answer = answer
        .json()
        .await
        .map_err(|_| "the answer holds no token".to_owned())?;
    let end = end(&answer.expires_on, &answer.expires_in);
    let end = end.ok_or("the answer does not say when the token ends")?;
    Ok(AccessToken::new(answer.access_token, end))
}

fn end(on: &Value, within: &Value) -> Option<OffsetDateTime> {
    if let Some(on) = number(on) {
        return OffsetDateTime::from_unix_timestamp(on).ok();
    }
    let seconds = azure_core::time::Duration::seconds(number(within)?);
    OffsetDateTime::now_utc().checked_add(seconds)
}

fn number(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_str()?.trim().parse().ok())
}

#[async_trait::async_trait]
impl TokenCredential for Managed {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let error = |why: String| azure_core::Error::with_message(ErrorKind::Credential, why);
        let [scope] = scopes else {
            return Err(error("a managed identity takes exactly one scope".into()));
        };
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        self.token(resource).await.map_err(error)
    }
}

impl std::fmt::Debug for Managed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Managed({})", self.url)
    }
}

#[cfg(test)]
mod unit_tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_end_of_a_token_is_a_number_or_a_text_or_a_span() {
        let at = |on: Value, within: Value| end(&on, &within).map(OffsetDateTime::unix_timestamp);
        assert_eq!(at(json!(1_700_000_000), json!(null)), Some(1_700_000_000));
        assert_eq!(at(json!("1700000000"), json!("5")), Some(1_700_000_000));
        let soon = at(json!(null), json!("3600")).unwrap();
        let left = soon - OffsetDateTime::now_utc().unix_timestamp();
        assert!((3_590..=3_600).contains(&left), "{left}");
        assert_eq!(at(json!("soon"), json!(null)), None);
    }
}
