//! Managed identities: of machines by the instance metadata service, of containers by `IDENTITY_ENDPOINT`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::entra::{Application, Directory};
use crate::faults_api::{Faults, Service};
use crate::tokens::now;

#[derive(Clone, Debug)]
struct Machine {
    directory: Arc<Directory>,
    header: String,
    faults: Arc<Faults>,
}

/// `/metadata/identity/oauth2/token` of a machine and `/msi/token` of a container; the latter wants `header` in `X-IDENTITY-HEADER`.
pub fn router(directory: Arc<Directory>, faults: &Arc<Faults>, header: &str) -> Router {
    let state = Machine {
        directory,
        header: header.to_owned(),
        faults: Arc::clone(faults),
    };
    let routes = Router::new()
        .route("/metadata/identity/oauth2/token", get(machine))
        .route("/msi/token", get(container))
        .with_state(state);
    faults.guard(Service::Imds, routes)
}

type Parameters = HashMap<String, String>;

async fn machine(
    State(state): State<Machine>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    let metadata = headers
        .get("metadata")
        .and_then(|value| value.to_str().ok());
    if !metadata.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return machine_refusal("invalid_request", "Required metadata header not specified");
    }
    if !parameters.contains_key("api-version") {
        return machine_refusal(
            "invalid_request",
            "Required query variable 'api-version' is missing",
        );
    }
    let Some(resource) = parameters.get("resource") else {
        return machine_refusal(
            "invalid_resource",
            "Required query variable 'resource' is missing",
        );
    };
    let Some(application) = state.identity(&parameters) else {
        return machine_refusal("invalid_request", "Identity not found");
    };
    state.token(&application, resource)
}

fn machine_refusal(error: &str, text: &str) -> Response {
    (
        StatusCode::BAD_REQUEST,
        Json(json!({ "error": error, "error_description": text })),
    )
        .into_response()
}

async fn container(
    State(state): State<Machine>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    let shown = headers
        .get("x-identity-header")
        .and_then(|value| value.to_str().ok());
    if shown != Some(&state.header) {
        return container_refusal(
            StatusCode::UNAUTHORIZED,
            "The header X-IDENTITY-HEADER is missing or wrong.",
        );
    }
    let Some(resource) = parameters.get("resource") else {
        return container_refusal(
            StatusCode::BAD_REQUEST,
            "The parameter resource is missing.",
        );
    };
    let Some(application) = state.identity(&parameters) else {
        let text = "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.";
        return container_refusal(StatusCode::BAD_REQUEST, text);
    };
    state.token(&application, resource)
}

fn container_refusal(status: StatusCode, text: &str) -> Response {
    (
        status,
        Json(json!({ "statusCode": status.as_u16(), "message": text })),
    )
        .into_response()
}

impl Machine {
    /// Without a client id, the identity of the machine itself.
    fn identity(&self, parameters: &Parameters) -> Option<Arc<Application>> {
        match parameters.get("client_id") {
            Some(client) => self.directory.application(client),
            None => Some(Arc::clone(self.directory.standard())),
        }
    }

    fn token(&self, application: &Application, resource: &str) -> Response {
        let Ok(token) = self.directory.issue(application, resource) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        self.faults.counters().add("imds/tokens");
        self.faults
            .counters()
            .add(&format!("imds/tokens/{}", application.client));
        Json(body(application, resource, &token)).into_response()
    }
}

/// All values are texts, numbers as well.
fn body(application: &Application, resource: &str, token: &str) -> Value {
    let (begins, lifetime) = (now(), application.token_lifetime);
    json!({
        "access_token": token,
        "client_id": application.client,
        "expires_in": lifetime.to_string(),
        "expires_on": (begins + lifetime).to_string(),
        "ext_expires_in": lifetime.to_string(),
        "not_before": begins.to_string(),
        "resource": resource,
        "token_type": "Bearer",
    })
}
