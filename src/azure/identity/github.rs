//! The word of GitHub for a workflow.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    IdentitySettings,
    federation::{Witness, ask, member},
    settings::{GITHUB_TOKEN, GITHUB_URL},
};

const WHAT: &str = "GitHub's token service";

/// Where a workflow gets a token about itself.
pub(super) struct GitHub {
    http: reqwest::Client,
    url: Url,
    token: SecretString,
}

impl GitHub {
    pub(super) fn new(settings: &IdentitySettings, http: reqwest::Client) -> Result<Self, String> {
        const PERMISSION: &str = "a workflow has it with `permissions: id-token: write`";
        let hint = |why| format!("{why}; {PERMISSION}");
        let url = settings.text(GITHUB_URL).map_err(hint)?;
        let mut url: Url = url
            .parse()
            .map_err(|error| format!("{GITHUB_URL} is no address: {error}"))?;
        url.query_pairs_mut()
            .append_pair("audience", settings.cloud.federation_audience());
        let token = settings.secret(GITHUB_TOKEN).map_err(hint)?.clone();
        Ok(Self { http, url, token })
    }
}

#[async_trait::async_trait]
impl Witness for GitHub {
    async fn token(&self) -> Result<SecretString, String> {
        let request = || {
            let request = self.http.get(self.url.clone());
            request.bearer_auth(self.token.expose_secret())
        };
        member(WHAT, &ask(WHAT, request).await?, "value")
    }
}

impl std::fmt::Debug for GitHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GitHub")
    }
}
