//! The keys of a namespace.

use std::fmt;

use jiff::Timestamp;

use super::{TokenRights, sas};

/// What somebody may do. Who may manage may also send and listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Send messages and events.
    Send,
    /// Receive messages and events, and settle messages.
    Listen,
    /// Create, change and delete entities.
    Manage,
}

impl Right {
    /// The claim as error texts name it.
    pub fn claim(self) -> &'static str {
        match self {
            Self::Send => "Send",
            Self::Listen => "Listen",
            Self::Manage => "Manage",
        }
    }

    /// Whether a holder of `rights` has this one.
    pub fn is_in(self, rights: &[Self]) -> bool {
        rights
            .iter()
            .any(|right| *right == self || *right == Self::Manage)
    }
}

/// A key with its name: `SharedAccessKeyName` and `SharedAccessKey` of a connection string.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its name.
    pub name: String,
    /// The secret, as it stands in the connection string.
    pub key: String,
    /// What its owner may do.
    pub rights: Vec<Right>,
    /// The entity it is for, such as `sqlbuildmanager`; empty for the namespace.
    pub entity: String,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("name", &self.name)
            .field("rights", &self.rights)
            .finish_non_exhaustive()
    }
}

/// All keys of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<AccessKey>);

impl Keys {
    /// A namespace with these keys.
    pub fn new(keys: Vec<AccessKey>) -> Self {
        Self(keys)
    }

    /// Judges `SharedAccessSignature sr=…&sig=…&se=…&skn=…` for a resource, given as URI or path; the Atom API takes the same
    /// text in its `Authorization` header. Gives what it allows there, or why it is refused.
    pub fn check(
        &self,
        signature: &str,
        resource: &str,
        now: Timestamp,
    ) -> Result<TokenRights, String> {
        let (key, expires_at) = self.checked(signature, resource, now)?;
        Ok(TokenRights {
            rights: key.rights.clone(),
            expires_at,
        })
    }

    /// The key that a name and a secret belong to, for SASL PLAIN.
    pub(crate) fn named(&self, name: &str, secret: &str) -> Option<&AccessKey> {
        self.0
            .iter()
            .find(|key| key.name == name && sas::same(key.key.as_bytes(), secret.as_bytes()))
    }

    pub(super) fn checked(
        &self,
        signature: &str,
        resource: &str,
        now: Timestamp,
    ) -> Result<(&AccessKey, Timestamp), String> {
        let signature = sas::Signature::parse(signature)?;
        let key = self.0.iter().find(|key| key.name == signature.key_name);
        let key = key.ok_or("InvalidSignature: The token has an invalid signature.")?;
        signature.check(key, resource, now)?;
        Ok((key, signature.expires_at))
    }
}
