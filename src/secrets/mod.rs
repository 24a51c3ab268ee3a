//! `Secrets`: where secrets are kept between runs.
//!
//! A source is asked by name for what neither an option nor a variable has given. The settings file is one; sources that
//! are asked over a network come after it.

use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;

/// A place that keeps secrets. Its `Display` names the place for the user, and never shows a secret.
#[async_trait]
pub trait Secrets: fmt::Debug + fmt::Display + Send + Sync {
    /// The secret of this name; none where the place has none. Asking twice gives the same answer.
    async fn get(&self, name: SecretName) -> Result<Option<SecretString>, Error>;

    /// Keeps a secret in place of an earlier one. It may be lost until the place itself has been saved.
    async fn set(&mut self, name: SecretName, value: &SecretString) -> Result<(), Error>;
}

/// The secrets that a place may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecretName {
    /// The login name of the database servers.
    UserName,
    /// Its password.
    Password,
    /// The key of the Batch account.
    BatchAccountKey,
    /// The connection string of the Service Bus topic.
    ServiceBusTopicConnectionString,
    /// The connection string of the event hub.
    EventHubConnectionString,
    /// The key of the storage account.
    StorageAccountKey,
    /// The password of the container registry.
    RegistryPassword,
}

impl SecretName {
    /// Every name.
    pub const ALL: [Self; 7] = [
        Self::UserName,
        Self::Password,
        Self::BatchAccountKey,
        Self::ServiceBusTopicConnectionString,
        Self::EventHubConnectionString,
        Self::StorageAccountKey,
        Self::RegistryPassword,
    ];

    /// The name in a settings file, within its section.
    pub fn in_file(self) -> &'static str {
        match self {
            Self::UserName => "UserName",
            Self::Password => "Password",
            Self::BatchAccountKey => "BatchAccountKey",
            Self::ServiceBusTopicConnectionString => "ServiceBusTopicConnectionString",
            Self::EventHubConnectionString => "EventHubConnectionString",
            Self::StorageAccountKey => "StorageAccountKey",
            Self::RegistryPassword => "RegistryPassword",
        }
    }

    /// The name in a key vault, which the reference program shares between all jobs of a vault.
    pub fn in_vault(self) -> &'static str {
        match self {
            Self::RegistryPassword => "ContainerRegistryPassword",
            other => other.in_file(),
        }
    }
}

/// Why a place does not give, or keep, a secret.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The secrets are encrypted, and there is no key.
    #[error(
        "the secrets in {place} are encrypted; give their key with --settingsfilekey (the key, or the path of a file \
         with it) or in the variable SBM_SETTINGSFILEKEY"
    )]
    KeyNeeded {
        /// Where the secrets are.
        place: String,
    },
    /// The key is not the one with which the secret was encrypted, or the secret was changed.
    #[error(
        "the key from {key} does not open the secrets in {place}: they were saved with another key, or were changed \
         since"
    )]
    WrongKey {
        /// Where the key comes from.
        key: String,
        /// Where the secrets are.
        place: String,
    },
    /// Without a key nothing secret is kept.
    #[error(
        "secrets are never saved without a key; give one of 16 characters or more with --settingsfilekey (the key, or \
         the path of a file with it) or in the variable SBM_SETTINGSFILEKEY"
    )]
    NoKeyToSave,
    /// The place does not do it, and will not when it is asked again.
    #[error("{place}: {why}")]
    Refused {
        /// The place.
        place: String,
        /// What it says.
        why: String,
    },
    /// The place does not answer.
    #[error("{place} does not answer")]
    Unavailable {
        /// The place.
        place: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
