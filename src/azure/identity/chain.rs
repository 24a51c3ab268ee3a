//! The kinds of identity, one after the other until one gives a token.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use azure_core::credentials::{AccessToken, TokenCredential};
use tokio::time::timeout;

use super::{IdentitySettings, Kind, cli, federation, managed::Managed};
use crate::azure::{Trust, TrustError};

/// Why there is no token.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failure(Arc<str>);

impl Failure {
    pub(super) fn new(why: impl Into<Arc<str>>) -> Self {
        Self(why.into())
    }
}

/// One kind of identity, or why it is not set up.
struct Link {
    kind: Kind,
    credential: Result<Arc<dyn TokenCredential>, String>,
}

/// What is tried, in order.
pub(super) struct Chain {
    links: Vec<Link>,
    /// The one that has given a token. From then on no other is asked, so that nobody changes in the middle of a run.
    chosen: OnceLock<usize>,
    patience: Duration,
}

impl Chain {
    pub(super) fn new(settings: &IdentitySettings, trust: &Trust) -> Result<Self, TrustError> {
        let mut links = Vec::new();
        for kind in &settings.kinds {
            links.push(Link {
                kind: *kind,
                credential: credential(*kind, settings, trust)?,
            });
        }
        Ok(Self {
            links,
            chosen: OnceLock::new(),
            patience: settings.patience,
        })
    }

    pub(super) fn chosen(&self) -> Option<Kind> {
        let chosen = self.links.get(*self.chosen.get()?)?;
        Some(chosen.kind)
    }

    /// A new token.
    pub(super) async fn fetch(&self, scopes: &[&str]) -> Result<AccessToken, Failure> {
        if let Some(link) = self.chosen.get().and_then(|index| self.links.get(*index)) {
            let token = self.ask(link, scopes).await;
            return token.map_err(|why| {
                Failure::new(format!("{} gives no token any more: {why}", link.kind))
            });
        }
        let mut tried = Vec::new();
        for (index, link) in self.links.iter().enumerate() {
            match self.ask(link, scopes).await {
                Ok(token) => {
                    self.choose(index, &tried);
                    return Ok(token);
                }
                Err(why) => tried.push(Tried {
                    kind: link.kind,
                    is_set_up: link.credential.is_ok(),
                    why,
                }),
            }
        }
        Err(Failure::new(summary(&tried)))
    }

    fn choose(&self, index: usize, tried: &[Tried]) {
        // Another task may have been faster; then its choice stands.
        self.chosen.set(index).ok();
        let kind = self.links.get(index).map(|link| link.kind);
        for failed in tried.iter().filter(|tried| tried.is_warned_of()) {
            log::warn!(
                "{failed}; {} is used in its place",
                kind.unwrap_or(Kind::Managed)
            );
        }
        if let Some(kind) = kind {
            log::info!("the identity for Azure is that of {kind}");
        }
    }

    async fn ask(&self, link: &Link, scopes: &[&str]) -> Result<AccessToken, String> {
        let credential = link.credential.as_ref();
        let credential = credential.map_err(|why| format!("not set up, {why}"))?;
        match timeout(self.patience, credential.get_token(scopes, None)).await {
            Ok(Ok(token)) => Ok(token),
            Ok(Err(error)) => Err(words(&error.to_string())),
            Err(_) => Err(format!("no answer within {} s", self.patience.as_secs())),
        }
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.links.iter().map(|link| link.kind);
        f.debug_list().entries(kinds).finish()
    }
}

fn credential(
    kind: Kind,
    settings: &IdentitySettings,
    trust: &Trust,
) -> Result<Result<Arc<dyn TokenCredential>, String>, TrustError> {
    Ok(match kind {
        Kind::GitHub => federation::github(settings, trust)?,
        Kind::Workload => federation::workload(settings, trust)?,
        Kind::Pipelines => federation::pipelines(settings, trust)?,
        Kind::Secret => federation::secret(settings, trust)?,
        Kind::Managed => Managed::new(settings, trust)?.map(|managed| Arc::new(managed) as _),
        Kind::Cli => cli::new(settings),
    })
}

/// A kind that has given no token.
struct Tried {
    kind: Kind,
    is_set_up: bool,
    why: String,
}

impl Tried {
    /// Whether somebody has set it up on purpose, and would wonder that it is not the one.
    fn is_warned_of(&self) -> bool {
        self.is_set_up && !matches!(self.kind, Kind::Managed | Kind::Cli)
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.why)
    }
}

fn summary(tried: &[Tried]) -> String {
    let each: Vec<String> = tried.iter().map(Tried::to_string).collect();
    format!(
        "no identity of Azure gives a token; tried {}",
        each.join("; ")
    )
}

/// What the libraries say, on one line, without their links for people who write programs.
fn words(message: &str) -> String {
    let told = message.split("\nTo troubleshoot").next().unwrap_or(message);
    let told = told.split("Trace ID:").next().unwrap_or(told);
    let told = told
        .split_once(" authentication failed. ")
        .map_or(told, |(_, rest)| rest);
    let words: Vec<&str> = told.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn messages_are_one_line_without_what_helps_nobody() {
        let message = "ClientAssertionCredential authentication failed. AADSTS700213: No matching record.\r\n Trace ID: 1 \
                       Correlation ID: 2\nTo troubleshoot, visit https://aka.ms";
        assert_eq!(words(message), "AADSTS700213: No matching record.");
        assert_eq!(words("az not found on PATH"), "az not found on PATH");
    }
}
