//! The vault's addresses.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;

use super::answer::Refusal;
use super::authorize::Doorkeeper;
use super::vault::Vault;
use super::version::Parameters;
use crate::entra::Directory;
use crate::faults_api::{Faults, Service};

type Vaulted = State<Arc<Vault>>;
type Answer = Result<Json<Value>, Refusal>;

/// The HTTPS service of one vault; `entra` is where its callers get tokens.
pub fn router(
    vault: Arc<Vault>,
    directory: Arc<Directory>,
    faults: &Arc<Faults>,
    entra: &str,
) -> Router {
    let secret = get(get_newest).put(set).delete(delete).patch(update_newest);
    let version = get(get_version).patch(update_version);
    let routes = Router::new()
        .route("/secrets", get(list))
        .route("/secrets/", get(list))
        .route("/secrets/{name}", secret.clone())
        .route("/secrets/{name}/", secret)
        .route("/secrets/{name}/versions", get(versions))
        .route("/secrets/{name}/{version}", version)
        .route("/deletedsecrets", get(list_deleted))
        .route("/deletedsecrets/{name}", get(get_deleted).delete(purge))
        .route("/deletedsecrets/{name}/recover", post(recover))
        .with_state(vault)
        .layer(from_fn_with_state(Doorkeeper::new(directory, entra), ask));
    faults.guard(Service::KeyVault, routes)
}

async fn ask(State(doorkeeper): State<Doorkeeper>, request: Request, next: Next) -> Response {
    if let Err(refusal) = doorkeeper.check(request.headers()) {
        return refusal.into_response();
    }
    let query = request.uri().query().unwrap_or_default();
    if !query
        .split('&')
        .any(|parameter| parameter.starts_with("api-version="))
    {
        return Refusal::Bad("The api-version query parameter is missing.".to_owned())
            .into_response();
    }
    next.run(request).await
}

async fn list(State(vault): Vaulted) -> Json<Value> {
    Json(vault.list())
}

async fn set(
    State(vault): Vaulted,
    Path(name): Path<String>,
    Json(parameters): Json<Parameters>,
) -> Answer {
    vault.set(&name, parameters).map(Json)
}

async fn get_newest(State(vault): Vaulted, Path(name): Path<String>) -> Answer {
    vault.get(&name, None).map(Json)
}

async fn get_version(
    State(vault): Vaulted,
    Path((name, version)): Path<(String, String)>,
) -> Answer {
    vault.get(&name, Some(&version)).map(Json)
}

async fn update_newest(
    State(vault): Vaulted,
    Path(name): Path<String>,
    Json(parameters): Json<Parameters>,
) -> Answer {
    vault.update(&name, None, parameters).map(Json)
}

async fn update_version(
    State(vault): Vaulted,
    Path((name, version)): Path<(String, String)>,
    Json(parameters): Json<Parameters>,
) -> Answer {
    vault.update(&name, Some(&version), parameters).map(Json)
}

async fn versions(State(vault): Vaulted, Path(name): Path<String>) -> Answer {
    vault.versions(&name).map(Json)
}

async fn delete(State(vault): Vaulted, Path(name): Path<String>) -> Answer {
    vault.delete(&name).map(Json)
}

async fn list_deleted(State(vault): Vaulted) -> Json<Value> {
    Json(vault.list_deleted())
}

async fn get_deleted(State(vault): Vaulted, Path(name): Path<String>) -> Answer {
    vault.get_deleted(&name).map(Json)
}

async fn recover(State(vault): Vaulted, Path(name): Path<String>) -> Answer {
    vault.recover(&name).map(Json)
}

async fn purge(State(vault): Vaulted, Path(name): Path<String>) -> Result<StatusCode, Refusal> {
    vault.purge(&name).map(|()| StatusCode::NO_CONTENT)
}
