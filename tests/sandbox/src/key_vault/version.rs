//! One version of a secret.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::answer::Refusal;
use crate::tokens::now;

/// Days for which a deleted secret can be recovered.
pub(super) const RECOVERABLE_DAYS: u64 = 90;
/// Bytes that a value may have.
pub(super) const LARGEST_VALUE: usize = 25 * 1024;

/// A value, and what is said about it.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) id: String,
    value: String,
    content_type: Option<String>,
    tags: Option<Map<String, Value>>,
    pub(super) enabled: bool,
    created: u64,
    updated: u64,
}

/// The body of a request that writes a secret or changes what is said about it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Parameters {
    pub(super) value: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) tags: Option<Map<String, Value>>,
    pub(super) attributes: Option<Attributes>,
}

/// What can be said about a version besides.
#[derive(Debug, Deserialize)]
pub(super) struct Attributes {
    pub(super) enabled: Option<bool>,
}

impl Version {
    /// A new version with the value that was given.
    pub(super) fn new(parameters: Parameters) -> Result<Self, Refusal> {
        let value = parameters
            .value
            .clone()
            .ok_or_else(|| Refusal::Bad("Property value is missing.".to_owned()))?;
        if value.len() > LARGEST_VALUE {
            return Err(Refusal::Bad(format!(
                "The value may have {LARGEST_VALUE} bytes and has {}.",
                value.len()
            )));
        }
        let id = Uuid::new_v4().simple().to_string();
        let created = now();
        let mut version = Self {
            id,
            value,
            content_type: None,
            tags: None,
            enabled: true,
            created,
            updated: created,
        };
        version.change(parameters);
        Ok(version)
    }

    /// Takes over what is said; the value never changes.
    pub(super) fn change(&mut self, parameters: Parameters) {
        self.updated = now();
        self.content_type = parameters.content_type.or_else(|| self.content_type.take());
        self.tags = parameters.tags.or_else(|| self.tags.take());
        self.enabled = parameters
            .attributes
            .and_then(|given| given.enabled)
            .unwrap_or(self.enabled);
    }

    /// The version as the vault shows it; `base` is the address of the vault.
    pub(super) fn bundle(&self, base: &str, name: &str) -> Value {
        let mut bundle = json!({
            "value": self.value,
            "id": format!("{base}/secrets/{name}/{}", self.id),
            "attributes": {
                "enabled": self.enabled,
                "created": self.created,
                "updated": self.updated,
                "recoveryLevel": "Recoverable+Purgeable",
                "recoverableDays": RECOVERABLE_DAYS,
            },
        });
        if let Some(kind) = &self.content_type {
            bundle["contentType"] = json!(kind);
        }
        if let Some(tags) = &self.tags {
            bundle["tags"] = json!(tags);
        }
        bundle
    }
}

/// The same without the value.
pub(super) fn without_value(mut bundle: Value) -> Value {
    if let Some(fields) = bundle.as_object_mut() {
        fields.remove("value");
    }
    bundle
}
