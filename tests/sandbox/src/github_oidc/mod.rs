//! Those outside whom applications trust: the ID tokens of GitHub and of Azure DevOps, and the token file of a Kubernetes pod.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::entra::{Application, Directory};
use crate::faults_api::{Faults, Service};
use crate::tokens::{bearer, now};

/// Who signs the tokens of GitHub.
pub const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// Who signs the tokens of Azure DevOps.
pub const PIPELINES_ISSUER: &str =
    "https://vstoken.dev.azure.com/5a4dbe6b-0000-4000-8000-000000000001";
/// Who signs the tokens of pods.
pub const CLUSTER_ISSUER: &str = "https://oidc.sandbox.example/cluster/";
/// The service account of pods.
pub const CLUSTER_SUBJECT: &str = "system:serviceaccount:default:sbm";
/// Seconds that the token of a pod lives.
const CLUSTER_LIFETIME: u64 = 86_400;

/// What a job has to show to get a token.
#[derive(Clone, Debug)]
struct Jobs {
    directory: Arc<Directory>,
    faults: Arc<Faults>,
    token: String,
}

/// `GET /oidc/{client}?…&audience=…` as `ACTIONS_ID_TOKEN_REQUEST_URL` has it, and `POST /pipelines/{client}` as
/// `SYSTEM_OIDCREQUESTURI`. Both want `token` as bearer token.
pub fn router(directory: Arc<Directory>, faults: &Arc<Faults>, token: &str) -> Router {
    let state = Jobs {
        directory,
        faults: Arc::clone(faults),
        token: token.to_owned(),
    };
    let routes = Router::new()
        .route("/oidc/{client}", get(github))
        .route("/pipelines/{client}", post(pipelines))
        .with_state(state);
    faults.guard(Service::GithubOidc, routes)
}

/// The subject under which an application trusts a service connection.
#[must_use]
pub fn pipelines_subject(application: &Application) -> String {
    format!("sc://example/fleet/{}", application.client)
}

/// The token that a pod finds in its file.
///
/// # Errors
/// When it cannot be signed.
pub fn pod_token(directory: &Directory) -> anyhow::Result<String> {
    let claims = claims(
        CLUSTER_ISSUER,
        CLUSTER_SUBJECT,
        "api://AzureADTokenExchange",
        CLUSTER_LIFETIME,
    );
    directory.outside().sign(&claims)
}

type Parameters = Query<HashMap<String, String>>;

async fn github(
    State(jobs): State<Jobs>,
    Path(client): Path<String>,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    let application = match jobs.application(&client, &headers) {
        Ok(application) => application,
        Err(status) => {
            return (status, Json(json!({ "message": "Can't issue ID_TOKEN." }))).into_response();
        }
    };
    let audience = parameters
        .get("audience")
        .map_or("https://github.com/example", String::as_str);
    jobs.hand_out(
        ISSUER,
        &application.subject,
        audience,
        &application,
        "value",
    )
}

async fn pipelines(
    State(jobs): State<Jobs>,
    Path(client): Path<String>,
    headers: HeaderMap,
) -> Response {
    let application = match jobs.application(&client, &headers) {
        Ok(application) => application,
        Err(status) => return status.into_response(),
    };
    let subject = pipelines_subject(&application);
    jobs.hand_out(
        PIPELINES_ISSUER,
        &subject,
        "api://AzureADTokenExchange",
        &application,
        "oidcToken",
    )
}

impl Jobs {
    fn application(
        &self,
        client: &str,
        headers: &HeaderMap,
    ) -> Result<Arc<Application>, StatusCode> {
        if bearer(headers) != Some(&self.token) {
            return Err(StatusCode::UNAUTHORIZED);
        }
        self.directory
            .application(client)
            .ok_or(StatusCode::NOT_FOUND)
    }

    /// Signs a token and counts it, for all and for its application.
    fn hand_out(
        &self,
        issuer: &str,
        subject: &str,
        audience: &str,
        application: &Application,
        field: &str,
    ) -> Response {
        let claims = claims(issuer, subject, audience, application.assertion_lifetime);
        let Ok(token) = self.directory.outside().sign(&claims) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        self.faults.counters().add("github_oidc/tokens");
        self.faults
            .counters()
            .add(&format!("github_oidc/tokens/{}", application.client));
        Json(json!({ "count": token.len(), field: token })).into_response()
    }
}

fn claims(issuer: &str, subject: &str, audience: &str, lifetime: u64) -> Value {
    let begins = now();
    json!({
        "jti": Uuid::new_v4(),
        "iss": issuer,
        "sub": subject,
        "aud": audience,
        "iat": begins,
        "nbf": begins,
        "exp": begins + lifetime,
    })
}
