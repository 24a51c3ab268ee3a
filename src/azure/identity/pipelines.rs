//! The word of Azure DevOps for a pipeline with a service connection.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    IdentitySettings,
    federation::{Witness, ask, member},
    settings::{PIPELINES_CONNECTION, PIPELINES_TOKEN, PIPELINES_URL},
};

const WHAT: &str = "Azure Pipelines' token service";
const VERSION: &str = "7.1";

/// Where a pipeline gets a token about itself.
pub(super) struct Pipelines {
    http: reqwest::Client,
    url: Url,
    token: SecretString,
}

impl Pipelines {
    pub(super) fn new(settings: &IdentitySettings, http: reqwest::Client) -> Result<Self, String> {
        let url = settings.text(PIPELINES_URL)?;
        let mut url: Url = url
            .parse()
            .map_err(|error| format!("{PIPELINES_URL} is no address: {error}"))?;
        let [first, second] = PIPELINES_CONNECTION;
        let connection = settings.text(first).or_else(|_| settings.text(second));
        let connection = connection.map_err(|_| format!("neither {first} nor {second} is set"))?;
        url.query_pairs_mut()
            .append_pair("api-version", VERSION)
            .append_pair("serviceConnectionId", connection);
        let token = settings.secret(PIPELINES_TOKEN).map_err(|why| {
            format!("{why}; a step has it with `env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)`")
        })?;
        let token = token.clone();
        Ok(Self { http, url, token })
    }
}

#[async_trait::async_trait]
impl Witness for Pipelines {
    async fn token(&self) -> Result<SecretString, String> {
        let request = || {
            self.http
                .post(self.url.clone())
                .bearer_auth(self.token.expose_secret())
                // Without it the service sends whoever it does not know to a page for people.
                .header("x-tfs-fedauthredirect", "Suppress")
                .header("content-length", "0")
        };
        member(WHAT, &ask(WHAT, request).await?, "oidcToken")
    }
}

impl std::fmt::Debug for Pipelines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pipelines")
    }
}
