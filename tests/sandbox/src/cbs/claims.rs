//! What a connection may do.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{Right, TokenRights};
use crate::amqp::{Refusal, address};

/// The claims of a connection by the path of their audience; a new token for the same audience replaces the old.
#[derive(Debug, Default)]
pub(crate) struct Claims(HashMap<String, TokenRights>);

impl Claims {
    pub(crate) fn add(&mut self, audience: &str, rights: TokenRights) {
        // JavaScript's client asks for a token for the management of an entity instead of the entity.
        let path = address::path(audience);
        let entity = path.trim_end_matches("$management").trim_end_matches('/');
        self.0.insert(entity.to_owned(), rights);
    }

    /// Whether the connection may do this with an entity now.
    pub(crate) fn check(&self, right: Right, path: &str, now: Timestamp) -> Result<(), Refusal> {
        let covering = self
            .0
            .iter()
            .filter(|(audience, _)| address::covers(audience, path));
        let (valid, expired): (Vec<_>, Vec<_>) =
            covering.partition(|(_, claim)| claim.expires_at > now);
        if valid.iter().any(|(_, claim)| right.is_in(&claim.rights)) {
            return Ok(());
        }
        if valid.is_empty() && !expired.is_empty() {
            return Err(Refusal::new(
                "amqp:unauthorized-access",
                "ExpiredToken: The token is expired.",
            ));
        }
        Err(Refusal::unauthorized(right.claim(), path))
    }
}
