//! The documents by which clients find the token endpoint.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::token;

/// `openid-configuration` of the tenant.
pub(super) async fn configuration(
    State(state): State<token::State>,
    Path(tenant): Path<String>,
) -> Response {
    if let Err(refusal) = state.check_tenant(&tenant) {
        return refusal.into_response();
    }
    let base = format!("{}/{tenant}", state.base);
    Json(json!({
        "issuer": format!("{base}/v2.0"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "response_types_supported": ["code", "id_token", "token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
    }))
    .into_response()
}

/// Which host is an authority. Clients ask an authority they know about one they do not know; all are this one.
pub(super) async fn instance(State(state): State<token::State>) -> Json<Value> {
    let host = state.base.trim_start_matches("https://");
    Json(json!({
        "tenant_discovery_endpoint":
            format!("{}/{}/v2.0/.well-known/openid-configuration", state.base, state.directory.tenant()),
        "api-version": "1.1",
        "metadata": [{ "preferred_network": host, "preferred_cache": host, "aliases": [host] }],
    }))
}
