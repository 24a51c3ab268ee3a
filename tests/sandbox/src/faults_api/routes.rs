//! The addresses of this API.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::disturbance::Disturbance;
use super::{Fault, Faults};
use crate::Broker;
use crate::entra::{Directory, NewApplication};

/// What can be made to misbehave.
#[derive(Clone, Debug)]
pub struct Controls {
    /// The HTTP services.
    pub faults: Arc<Faults>,
    /// Identities, for those that are to have fewer rights or shorter tokens.
    pub directory: Arc<Directory>,
    /// Service Bus and Event Hubs.
    pub broker: Arc<Broker>,
}

/// `/faults` and `/counters`.
pub fn router(controls: Controls) -> Router {
    Router::new()
        .route("/faults", get(list).delete(clear))
        .route("/faults/{number}", delete(remove))
        .route("/faults/http", post(plan))
        .route("/faults/broker", post(disturb))
        .route("/faults/applications", post(register))
        .route("/counters", get(counters))
        .with_state(controls)
}

async fn list(State(controls): State<Controls>) -> Json<BTreeMap<u64, Fault>> {
    Json(controls.faults.planned())
}

async fn clear(State(controls): State<Controls>) -> StatusCode {
    controls.faults.clear();
    controls.broker.faults.clear();
    StatusCode::NO_CONTENT
}

async fn remove(State(controls): State<Controls>, Path(number): Path<u64>) -> StatusCode {
    if controls.faults.remove(number) {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}

async fn plan(State(controls): State<Controls>, Json(fault): Json<Fault>) -> Json<Value> {
    Json(json!({ "number": controls.faults.plan(fault) }))
}

async fn disturb(
    State(controls): State<Controls>,
    Json(disturbance): Json<Disturbance>,
) -> Result<StatusCode, (StatusCode, String)> {
    let done = disturbance.disturb(&controls.broker);
    done.map(|()| StatusCode::NO_CONTENT)
        .map_err(|error| (StatusCode::NOT_FOUND, error.to_string()))
}

async fn register(
    State(controls): State<Controls>,
    Json(new): Json<NewApplication>,
) -> Json<Value> {
    let application = controls.directory.register(new);
    Json(json!({
        "tenant": controls.directory.tenant(),
        "client": application.client,
        "object": application.object,
        "secret": application.secret,
        "subject": application.subject,
    }))
}

async fn counters(State(controls): State<Controls>) -> Json<BTreeMap<String, u64>> {
    Json(controls.faults.counters().all())
}
