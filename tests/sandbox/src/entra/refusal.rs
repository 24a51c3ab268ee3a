//! What the token endpoint says when it refuses, in Entra's words and numbers.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

/// Why there is no token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// A parameter is missing.
    Parameter(&'static str),
    /// Another grant than client credentials.
    Grant(String),
    /// No such tenant.
    Tenant(String),
    /// No such application.
    Client(String),
    /// A wrong secret.
    Secret,
    /// The assertion is no token, or somebody else has signed it.
    Signature,
    /// The assertion has expired.
    Expired,
    /// The application does not trust the issuer of the assertion.
    Issuer(String),
    /// The application does not trust its subject.
    Subject(String),
    /// The assertion is not for Entra.
    Audience(String),
    /// The scope is none of `…/.default`.
    Scope(String),
    /// The sandbox itself has failed.
    Server,
}

impl Refusal {
    /// HTTP status and word of OAuth.
    fn kind(&self) -> (u16, &'static str) {
        match self {
            Self::Parameter(_) | Self::Tenant(_) => (400, "invalid_request"),
            Self::Grant(_) => (400, "unsupported_grant_type"),
            Self::Client(_) => (400, "unauthorized_client"),
            Self::Scope(_) => (400, "invalid_scope"),
            Self::Server => (500, "server_error"),
            _ => (401, "invalid_client"),
        }
    }

    /// The number of Entra.
    fn number(&self) -> u32 {
        match self {
            Self::Parameter(_) => 900_144,
            Self::Grant(_) => 70_003,
            Self::Tenant(_) => 90_002,
            Self::Client(_) => 700_016,
            Self::Secret => 7_000_215,
            Self::Signature => 700_027,
            Self::Expired => 700_024,
            Self::Issuer(_) => 700_211,
            Self::Audience(_) => 700_212,
            Self::Subject(_) => 700_213,
            Self::Scope(_) => 1_002_012,
            Self::Server => 90_033,
        }
    }

    /// The text of Entra.
    fn text(&self) -> String {
        match self {
            Self::Parameter(name) => {
                format!("The request body must contain the following parameter: '{name}'.")
            }
            Self::Grant(grant) => format!("The app requested an unsupported grant type '{grant}'."),
            Self::Tenant(tenant) => format!("Tenant '{tenant}' not found."),
            Self::Client(client) => {
                format!("Application with identifier '{client}' was not found in the directory.")
            }
            Self::Secret => "Invalid client secret provided.".to_owned(),
            Self::Signature => "Client assertion failed signature validation.".to_owned(),
            Self::Expired => "Client assertion is not within its valid time range.".to_owned(),
            Self::Issuer(issuer) => unknown("issuer", issuer),
            Self::Audience(audience) => unknown("audience", audience),
            Self::Subject(subject) => unknown("subject", subject),
            Self::Scope(scope) => format!(
                "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with \
                 /.default suffixed to the resource identifier (application ID URI)."
            ),
            Self::Server => "A transient error has occurred. Please try again.".to_owned(),
        }
    }
}

fn unknown(what: &str, value: &str) -> String {
    format!("No matching federated identity record found for presented assertion {what} '{value}'.")
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, error) = self.kind();
        let (number, text) = (self.number(), self.text());
        let (trace, correlation) = (Uuid::new_v4(), Uuid::new_v4());
        let time = jiff::Timestamp::now()
            .strftime("%Y-%m-%d %H:%M:%SZ")
            .to_string();
        let description = format!(
            "AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}"
        );
        let body = json!({
            "error": error,
            "error_description": description,
            "error_codes": [number],
            "timestamp": time,
            "trace_id": trace,
            "correlation_id": correlation,
        });
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(body)).into_response()
    }
}
