//! The secrets themselves.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::answer::Refusal;
use super::version::{Parameters, RECOVERABLE_DAYS, Version, without_value};
use crate::tokens::now;

/// All secrets, present and deleted, of the vault at one address.
#[derive(Debug)]
pub struct Vault {
    base: String,
    secrets: Mutex<BTreeMap<String, Secret>>,
}

#[derive(Debug)]
struct Secret {
    name: String,
    versions: Vec<Version>,
    deleted: Option<u64>,
}

impl Vault {
    /// An empty vault; ids of secrets begin with `base`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            secrets: Mutex::default(),
        }
    }

    /// Writes a new version.
    pub(super) fn set(&self, name: &str, parameters: Parameters) -> Result<Value, Refusal> {
        check_name(name)?;
        let version = Version::new(parameters)?;
        let mut secrets = self.lock();
        let new = || Secret {
            name: name.to_owned(),
            versions: Vec::new(),
            deleted: None,
        };
        let secret = secrets.entry(name.to_lowercase()).or_insert_with(new);
        if secret.deleted.is_some() {
            let text = format!(
                "Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, \
                 the secret can only be recovered or purged."
            );
            return Err(Refusal::Conflict(text, "ObjectIsDeletedButRecoverable"));
        }
        let bundle = version.bundle(&self.base, &secret.name);
        secret.versions.push(version);
        Ok(bundle)
    }

    /// A version, or the newest one.
    pub(super) fn get(&self, name: &str, version: Option<&str>) -> Result<Value, Refusal> {
        check_name(name)?;
        let secrets = self.lock();
        let secret = present(&secrets, name)?;
        let found = secret.version(version)?;
        if !found.enabled {
            let text = "Operation get is not allowed on a disabled secret.".to_owned();
            return Err(Refusal::Forbidden(text, "SecretDisabled"));
        }
        Ok(found.bundle(&self.base, &secret.name))
    }

    /// Changes what is said about a version; its value never changes.
    pub(super) fn update(
        &self,
        name: &str,
        version: Option<&str>,
        parameters: Parameters,
    ) -> Result<Value, Refusal> {
        check_name(name)?;
        let mut secrets = self.lock();
        present(&secrets, name)?.version(version)?;
        let base = &self.base;
        let changed = secrets.get_mut(&name.to_lowercase()).and_then(|secret| {
            let place = secret.place(version)?;
            let version = secret.versions.get_mut(place)?;
            version.change(parameters);
            Some(without_value(version.bundle(base, &secret.name)))
        });
        changed.ok_or_else(|| Refusal::no_secret(name))
    }

    /// All secrets, without their values.
    pub(super) fn list(&self) -> Value {
        let secrets = self.lock();
        let present = secrets.values().filter(|secret| secret.deleted.is_none());
        let items: Vec<_> = present
            .filter_map(|secret| Some(self.item(secret, secret.versions.last()?, false)))
            .collect();
        json!({ "value": items, "nextLink": null })
    }

    /// All versions of a secret, without their values.
    pub(super) fn versions(&self, name: &str) -> Result<Value, Refusal> {
        check_name(name)?;
        let secrets = self.lock();
        let secret = present(&secrets, name)?;
        let items: Vec<_> = secret
            .versions
            .iter()
            .map(|version| self.item(secret, version, true))
            .collect();
        Ok(json!({ "value": items, "nextLink": null }))
    }

    /// Deletes a secret, so that it can be recovered.
    pub(super) fn delete(&self, name: &str) -> Result<Value, Refusal> {
        check_name(name)?;
        let mut secrets = self.lock();
        present(&secrets, name)?;
        if let Some(secret) = secrets.get_mut(&name.to_lowercase()) {
            secret.deleted = Some(now());
        }
        self.tombstone(deleted(&secrets, name)?)
    }

    /// One deleted secret.
    pub(super) fn get_deleted(&self, name: &str) -> Result<Value, Refusal> {
        self.tombstone(deleted(&self.lock(), name)?)
    }

    /// All deleted secrets.
    pub(super) fn list_deleted(&self) -> Value {
        let secrets = self.lock();
        let items: Vec<_> = secrets
            .values()
            .filter_map(|secret| self.tombstone(secret).ok())
            .collect();
        json!({ "value": items, "nextLink": null })
    }

    /// Makes a deleted secret a present one again.
    pub(super) fn recover(&self, name: &str) -> Result<Value, Refusal> {
        let mut secrets = self.lock();
        deleted(&secrets, name)?;
        if let Some(secret) = secrets.get_mut(&name.to_lowercase()) {
            secret.deleted = None;
        }
        let secret = present(&secrets, name)?;
        Ok(without_value(
            secret.version(None)?.bundle(&self.base, &secret.name),
        ))
    }

    /// Removes a deleted secret for good.
    pub(super) fn purge(&self, name: &str) -> Result<(), Refusal> {
        let mut secrets = self.lock();
        deleted(&secrets, name)?;
        secrets.remove(&name.to_lowercase());
        Ok(())
    }

    fn item(&self, secret: &Secret, version: &Version, with_version: bool) -> Value {
        let mut item = without_value(version.bundle(&self.base, &secret.name));
        if !with_version {
            item["id"] = json!(format!("{}/secrets/{}", self.base, secret.name));
        }
        item
    }

    fn tombstone(&self, secret: &Secret) -> Result<Value, Refusal> {
        let when = secret
            .deleted
            .ok_or_else(|| Refusal::no_secret(&secret.name))?;
        let mut item = without_value(secret.version(None)?.bundle(&self.base, &secret.name));
        item["recoveryId"] = json!(format!("{}/deletedsecrets/{}", self.base, secret.name));
        item["deletedDate"] = json!(when);
        item["scheduledPurgeDate"] = json!(when + RECOVERABLE_DAYS * 86_400);
        Ok(item)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Secret>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Secret {
    fn place(&self, version: Option<&str>) -> Option<usize> {
        match version {
            Some(id) => self.versions.iter().position(|version| version.id == id),
            None => self.versions.len().checked_sub(1),
        }
    }

    fn version(&self, version: Option<&str>) -> Result<&Version, Refusal> {
        let place = self
            .place(version)
            .ok_or_else(|| Refusal::no_secret(&self.name))?;
        self.versions
            .get(place)
            .ok_or_else(|| Refusal::no_secret(&self.name))
    }
}

fn present<'a>(secrets: &'a BTreeMap<String, Secret>, name: &str) -> Result<&'a Secret, Refusal> {
    let found = secrets
        .get(&name.to_lowercase())
        .filter(|secret| secret.deleted.is_none());
    found.ok_or_else(|| Refusal::no_secret(name))
}

fn deleted<'a>(secrets: &'a BTreeMap<String, Secret>, name: &str) -> Result<&'a Secret, Refusal> {
    let found = secrets
        .get(&name.to_lowercase())
        .filter(|secret| secret.deleted.is_some());
    found.ok_or_else(|| Refusal::NotFound(format!("Deleted Secret not found: {name}")))
}

/// 1 to 127 letters of ASCII, digits and hyphens.
fn check_name(name: &str) -> Result<(), Refusal> {
    let fits = (1..=127).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if fits {
        Ok(())
    } else {
        Err(Refusal::Bad(format!(
            "The request URI contains an invalid name: {name}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_vault::version::{Attributes, LARGEST_VALUE};

    fn vault() -> Vault {
        Vault::new("https://localhost:1")
    }

    fn value(text: &str) -> Parameters {
        Parameters {
            value: Some(text.to_owned()),
            ..Parameters::default()
        }
    }

    #[test]
    fn each_write_makes_a_version_and_the_newest_one_is_read() {
        let vault = vault();
        let first = vault.set("a", value("1")).unwrap();
        vault.set("A", value("2")).unwrap();
        assert_eq!(vault.get("a", None).unwrap()["value"], "2");
        let id = first["id"].as_str().unwrap().rsplit('/').next().unwrap();
        assert_eq!(vault.get("a", Some(id)).unwrap()["value"], "1");
        assert_eq!(
            vault.versions("a").unwrap()["value"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
        assert_eq!(vault.list()["value"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn lists_show_no_value() {
        let vault = vault();
        vault.set("a", value("hidden")).unwrap();
        let shown = format!(
            "{}{}{}",
            vault.list(),
            vault.versions("a").unwrap(),
            vault.delete("a").unwrap()
        );
        assert!(!shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn the_name_of_a_deleted_secret_is_taken_until_it_is_purged() {
        let vault = vault();
        vault.set("a", value("1")).unwrap();
        vault.delete("a").unwrap();
        assert!(matches!(
            vault.set("a", value("2")),
            Err(Refusal::Conflict(_, "ObjectIsDeletedButRecoverable"))
        ));
        assert!(matches!(vault.get("a", None), Err(Refusal::NotFound(_))));
        vault.purge("a").unwrap();
        vault.set("a", value("2")).unwrap();
    }

    #[test]
    fn a_deleted_secret_can_be_recovered() {
        let vault = vault();
        vault.set("a", value("1")).unwrap();
        vault.delete("a").unwrap();
        vault.recover("a").unwrap();
        assert_eq!(vault.get("a", None).unwrap()["value"], "1");
        assert!(vault.recover("a").is_err());
    }

    #[test]
    fn names_and_values_have_limits() {
        let vault = vault();
        for name in ["", "a_b", "a.b", "ä", &"a".repeat(128)] {
            assert!(
                matches!(vault.set(name, value("1")), Err(Refusal::Bad(_))),
                "{name}"
            );
        }
        vault
            .set(&"a".repeat(127), value(&"x".repeat(LARGEST_VALUE)))
            .unwrap();
        assert!(matches!(
            vault.set("b", value(&"x".repeat(LARGEST_VALUE + 1))),
            Err(Refusal::Bad(_))
        ));
    }

    #[test]
    fn a_disabled_secret_is_not_read() {
        let vault = vault();
        vault.set("a", value("1")).unwrap();
        let disable = Parameters {
            attributes: Some(Attributes {
                enabled: Some(false),
            }),
            ..Parameters::default()
        };
        vault.update("a", None, disable).unwrap();
        assert!(matches!(
            vault.get("a", None),
            Err(Refusal::Forbidden(_, "SecretDisabled"))
        ));
    }
}
