//! Who may use the vault.

use std::sync::Arc;

use axum::http::HeaderMap;

use super::answer::Refusal;
use crate::entra::Directory;
use crate::tokens::bearer;

/// For whom tokens have to be.
const AUDIENCE: &str = "https://vault.azure.net";

/// Looks at the tokens of callers, and says where to get one.
#[derive(Clone, Debug)]
pub(super) struct Doorkeeper {
    directory: Arc<Directory>,
    challenge: String,
}

impl Doorkeeper {
    /// `entra` is where tokens are to be had.
    pub(super) fn new(directory: Arc<Directory>, entra: &str) -> Self {
        let challenge = format!(
            "Bearer authorization=\"{entra}/{}\", resource=\"{AUDIENCE}\"",
            directory.tenant()
        );
        Self {
            directory,
            challenge,
        }
    }

    /// Lets those in who have shown a good token and may use the vault.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = bearer(headers) else {
            return Err(
                self.unauthorized("AKV10000: Request is missing a Bearer or PoP token.".to_owned())
            );
        };
        let caller = self.directory.verify(token, &[AUDIENCE]);
        let caller = caller.map_err(|refusal| {
            self.unauthorized(format!("[BearerReadAccessTokenFailed] {refusal}"))
        })?;
        if caller.rights.vault {
            return Ok(());
        }
        let text = format!(
            "Caller is not authorized to perform action on resource. Caller: appid={}",
            caller.client
        );
        Err(Refusal::Forbidden(text, "ForbiddenByRbac"))
    }

    fn unauthorized(&self, reason: String) -> Refusal {
        Refusal::Unauthorized {
            challenge: self.challenge.clone(),
            reason,
        }
    }
}
