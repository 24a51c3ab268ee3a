//! Who may manage.

use std::sync::Arc;

use axum::http::{HeaderMap, header};
use jiff::Timestamp;

use super::answer::Refusal;
use crate::cbs::{Keys, Right, TokenCheck};
use crate::tokens::bearer;

/// Looks at the signatures and tokens of callers.
#[derive(Clone, Debug)]
pub struct Doorkeeper {
    keys: Keys,
    tokens: Arc<dyn TokenCheck>,
}

impl Doorkeeper {
    /// With the keys of the namespace, and somebody who judges tokens of Entra.
    #[must_use]
    pub fn new(keys: Keys, tokens: Arc<dyn TokenCheck>) -> Self {
        Self { keys, tokens }
    }

    /// Lets those in who may manage the entity at this path.
    pub(super) fn check(&self, headers: &HeaderMap, path: &str) -> Result<(), Refusal> {
        let refuse = |text: String| Refusal::Unauthorized(text);
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let given = given.ok_or_else(|| {
            refuse("MissingToken: The authorization header was not found.".to_owned())
        })?;
        let host = headers
            .get(header::HOST)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let judged = match bearer(headers) {
            Some(token) => self
                .tokens
                .check(token, host.split(':').next().unwrap_or_default()),
            None => self
                .keys
                .check(given, &format!("https://{host}/{path}"), Timestamp::now()),
        };
        if Right::Manage.is_in(&judged.map_err(refuse)?.rights) {
            return Ok(());
        }
        let text = format!(
            "SubCode=40100: Unauthorized : Unauthorized access for the management of '{path}'. Manage claim required."
        );
        Err(refuse(text))
    }
}
