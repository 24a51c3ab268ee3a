//! What the vault says when it refuses.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why the vault does not do what it was asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// No token, or one that is not believed; with the challenge that says where to get one.
    Unauthorized { challenge: String, reason: String },
    /// The caller may not, or the secret is disabled.
    Forbidden(String, &'static str),
    /// No secret, version or deleted secret of this name.
    NotFound(String),
    /// The name is taken by a deleted secret, or deleted secrets stand in the way.
    Conflict(String, &'static str),
    /// A name, a value or a body that the vault does not take.
    Bad(String),
}

impl Refusal {
    /// No such secret.
    pub(super) fn no_secret(name: &str) -> Self {
        Self::NotFound(format!(
            "A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may be able \
             to recover it using the correct recovery command."
        ))
    }

    fn parts(&self) -> (StatusCode, &'static str, &str, Option<&'static str>) {
        match self {
            Self::Unauthorized { reason, .. } => {
                (StatusCode::UNAUTHORIZED, "Unauthorized", reason, None)
            }
            Self::Forbidden(text, inner) => (StatusCode::FORBIDDEN, "Forbidden", text, Some(inner)),
            Self::NotFound(text) => (StatusCode::NOT_FOUND, "SecretNotFound", text, None),
            Self::Conflict(text, inner) => (StatusCode::CONFLICT, "Conflict", text, Some(inner)),
            Self::Bad(text) => (StatusCode::BAD_REQUEST, "BadParameter", text, None),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, text, inner) = self.parts();
        let mut error = json!({ "code": code, "message": text });
        if let Some(inner) = inner {
            error["innererror"] = json!({ "code": inner });
        }
        let mut answer = (status, Json(json!({ "error": error }))).into_response();
        if let Self::Unauthorized { challenge, .. } = &self
            && let Ok(value) = HeaderValue::from_str(challenge)
        {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        answer
    }
}
