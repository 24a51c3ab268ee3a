//! Claims-based security: who may send to, receive from or manage which entities.
//!
//! A client puts a token to the node `$cbs`: a signature made with a key of the namespace (SAS), or a token of Entra. Its
//! claims hold for the entities below its audience until it expires, on that connection only.

mod claims;
mod keys;
mod request;
mod sas;

pub(crate) use claims::Claims;
pub use keys::{AccessKey, Keys, Right};
pub(crate) use request::put_token;
#[cfg(test)]
pub(crate) use sas::sign;

use std::fmt;

use jiff::Timestamp;

/// Judges tokens of Entra.
pub trait TokenCheck: fmt::Debug + Send + Sync {
    /// What the holder of `token` may do in `namespace` (a host, without port), and until when; or why the token is refused, in
    /// words without secrets.
    fn check(&self, token: &str, namespace: &str) -> Result<TokenRights, String>;
}

/// What a token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRights {
    /// Rights on every entity of the namespace.
    pub rights: Vec<Right>,
    /// When they end.
    pub expires_at: Timestamp,
}

/// Refuses every token: for a sandbox without Entra.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTokens;

impl TokenCheck for NoTokens {
    fn check(&self, _token: &str, _namespace: &str) -> Result<TokenRights, String> {
        Err("this sandbox takes signatures only".to_owned())
    }
}
