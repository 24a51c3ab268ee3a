//! The HTTP services of the sandbox, and how each words an error.

use serde::{Deserialize, Serialize};
use serde_json::json;

/// An HTTP service that can be told to misbehave.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// The token endpoint.
    Entra,
    /// Identities of machines and containers.
    Imds,
    /// Tokens of GitHub and Azure DevOps.
    GithubOidc,
    /// Secrets.
    KeyVault,
    /// The management of Service Bus.
    Atom,
    /// Blobs.
    Blob,
}

impl Service {
    /// The name that counters and faults use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Entra => "entra",
            Self::Imds => "imds",
            Self::GithubOidc => "github_oidc",
            Self::KeyVault => "key_vault",
            Self::Atom => "atom",
            Self::Blob => "blob",
        }
    }

    /// The body of an answer with this status, and its content type.
    pub(super) fn body(self, status: u16) -> (String, &'static str) {
        let text = "The sandbox was told to answer like this.";
        match self {
            Self::Entra | Self::Imds => {
                let body = json!({ "error": word(status), "error_description": text });
                (body.to_string(), "application/json")
            }
            Self::GithubOidc => (json!({ "message": text }).to_string(), "application/json"),
            Self::KeyVault => {
                let body = json!({ "error": { "code": code(status), "message": text } });
                (body.to_string(), "application/json")
            }
            Self::Atom => {
                let body = format!("<Error><Code>{status}</Code><Detail>{text}</Detail></Error>");
                (body, "application/xml; charset=utf-8")
            }
            Self::Blob => {
                let code = self.error_code(status).unwrap_or_default();
                let head = "<?xml version=\"1.0\" encoding=\"utf-8\"?>";
                (
                    format!("{head}<Error><Code>{code}</Code><Message>{text}</Message></Error>"),
                    "application/xml",
                )
            }
        }
    }

    /// The header `x-ms-error-code` of storage.
    pub(super) fn error_code(self, status: u16) -> Option<&'static str> {
        (self == Self::Blob).then_some(match status {
            403 => "AuthorizationFailure",
            404 => "ResourceNotFound",
            429 | 503 => "ServerBusy",
            _ => "InternalError",
        })
    }
}

fn word(status: u16) -> &'static str {
    match status {
        400..=403 => "invalid_request",
        404 => "not_found",
        429 => "too_many_requests",
        _ => "temporarily_unavailable",
    }
}

fn code(status: u16) -> &'static str {
    match status {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "SecretNotFound",
        409 => "Conflict",
        429 => "Throttled",
        _ => "InternalServerError",
    }
}
