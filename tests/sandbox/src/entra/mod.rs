//! Entra ID: a directory with one tenant, and the endpoint that hands out tokens.
//!
//! Tokens have the form of Entra's first version, as storage, Service Bus and Key Vault get them. What an identity may do stands
//! in the [`Directory`], as role assignments do, and not in its token.

mod assertion;
mod bus;
mod directory;
mod discovery;
mod refusal;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

pub use directory::{Application, Caller, Directory, NewApplication, Rights};

use crate::faults_api::{Faults, Service};

/// The HTTPS service `login.microsoftonline.com`.
pub fn router(directory: Arc<Directory>, faults: &Arc<Faults>, base: &str) -> Router {
    let state = token::State {
        directory,
        base: base.to_owned(),
    };
    let routes = Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(token::answer))
        .route(
            "/{tenant}/v2.0/.well-known/openid-configuration",
            get(discovery::configuration),
        )
        .route("/common/discovery/instance", get(discovery::instance))
        .with_state(state);
    faults.guard(Service::Entra, routes)
}
