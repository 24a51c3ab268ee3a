//! Who there is, what they may do, and the tokens that show it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::tokens::{Key, Refusal, now};

/// Seconds that a token of Entra lives when nobody says otherwise.
const TOKEN_LIFETIME: u64 = 3600;
/// Seconds that an ID token of GitHub lives when nobody says otherwise.
const ASSERTION_LIFETIME: u64 = 300;

/// The tenant with its applications, and the keys that sign tokens.
#[derive(Debug)]
pub struct Directory {
    tenant: Uuid,
    applications: Mutex<BTreeMap<Uuid, Arc<Application>>>,
    standard: Arc<Application>,
    key: Key,
    outside: Key,
}

/// What an identity may do with the sandbox's services. Azurite asks nobody.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rights {
    /// Manage entities of Service Bus and Event Hubs.
    pub manage: bool,
    /// Send to them.
    pub send: bool,
    /// Receive from them.
    pub listen: bool,
    /// Read and write secrets of the vault.
    pub vault: bool,
}

impl Default for Rights {
    fn default() -> Self {
        Self {
            manage: true,
            send: true,
            listen: true,
            vault: true,
        }
    }
}

/// An identity: application, service principal and managed identity in one.
#[derive(Debug)]
pub struct Application {
    /// Its client id.
    pub client: Uuid,
    /// Its object id.
    pub object: Uuid,
    /// Its password.
    pub secret: String,
    /// Seconds that its tokens live.
    pub token_lifetime: u64,
    /// Seconds that ID tokens live which GitHub gives out for it.
    pub assertion_lifetime: u64,
    /// Whom of GitHub it trusts, as `repo:OWNER/NAME:ref:REF`.
    pub subject: String,
    /// What it may do.
    pub rights: Rights,
}

/// What can be said about an application that is to be made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewApplication {
    /// Seconds; an hour when nothing is said.
    pub token_lifetime: Option<u64>,
    /// Seconds; five minutes when nothing is said.
    pub assertion_lifetime: Option<u64>,
    /// The subject it trusts; one of its own when nothing is said.
    pub subject: Option<String>,
    /// What it may do; everything when nothing is said.
    pub rights: Rights,
}

/// Who has shown a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Caller {
    /// The client id.
    pub client: Uuid,
    /// What it may do.
    pub rights: Rights,
    /// When the token ends, in seconds since 1970.
    pub expires: u64,
}

impl Directory {
    /// A tenant with one application that may do everything.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> Result<Self> {
        let subject = Some("repo:example/fleet:ref:refs/heads/main".to_owned());
        let standard = Arc::new(Application::new(NewApplication {
            subject,
            ..NewApplication::default()
        }));
        Ok(Self {
            tenant: Uuid::new_v4(),
            applications: Mutex::new(BTreeMap::from([(standard.client, Arc::clone(&standard))])),
            standard,
            key: Key::generate()?,
            outside: Key::generate()?,
        })
    }

    /// The id of the tenant.
    #[must_use]
    pub fn tenant(&self) -> Uuid {
        self.tenant
    }

    /// The application that is always there, and the identity of the machine.
    #[must_use]
    pub fn standard(&self) -> &Arc<Application> {
        &self.standard
    }

    /// The key of those outside whom applications trust: GitHub, Azure DevOps, a Kubernetes cluster.
    #[must_use]
    pub fn outside(&self) -> &Key {
        &self.outside
    }

    /// Adds an application.
    pub fn register(&self, new: NewApplication) -> Arc<Application> {
        let application = Arc::new(Application::new(new));
        self.lock()
            .insert(application.client, Arc::clone(&application));
        application
    }

    /// The application with this client id.
    #[must_use]
    pub fn application(&self, client: &str) -> Option<Arc<Application>> {
        self.lock().get(&Uuid::parse_str(client).ok()?).cloned()
    }

    /// A token for an audience such as `https://storage.azure.com`.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn issue(&self, application: &Application, audience: &str) -> Result<String> {
        let begins = now();
        self.key.sign(&json!({
            "aud": audience,
            "iss": format!("https://sts.windows.net/{}/", self.tenant),
            "iat": begins,
            "nbf": begins,
            "exp": begins + application.token_lifetime,
            "appid": application.client,
            "appidacr": "1",
            "idtyp": "app",
            "oid": application.object,
            "sub": application.object,
            "tid": self.tenant,
            "ver": "1.0",
            "jti": Uuid::new_v4(),
        }))
    }

    /// Who holds a token, when it is one of ours for one of these audiences. A slash at the end of an audience does not count.
    ///
    /// # Errors
    /// When the token is not believed.
    pub fn verify(&self, token: &str, audiences: &[&str]) -> Result<Caller, Refusal> {
        let claims = self.key.verify(token)?;
        let audience = claims["aud"]
            .as_str()
            .ok_or(Refusal::Malformed)?
            .trim_end_matches('/');
        if !audiences
            .iter()
            .any(|known| known.trim_end_matches('/').eq_ignore_ascii_case(audience))
        {
            return Err(Refusal::Audience);
        }
        let client = claims["appid"].as_str().ok_or(Refusal::Malformed)?;
        let application = self.application(client).ok_or(Refusal::Identity)?;
        let expires = claims["exp"].as_u64().ok_or(Refusal::Malformed)?;
        Ok(Caller {
            client: application.client,
            rights: application.rights,
            expires,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Uuid, Arc<Application>>> {
        self.applications
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Application {
    fn new(new: NewApplication) -> Self {
        let client = Uuid::new_v4();
        Self {
            client,
            object: Uuid::new_v4(),
            secret: format!("sandbox~{}", Uuid::new_v4().simple()),
            token_lifetime: new.token_lifetime.unwrap_or(TOKEN_LIFETIME),
            assertion_lifetime: new.assertion_lifetime.unwrap_or(ASSERTION_LIFETIME),
            subject: new
                .subject
                .unwrap_or_else(|| format!("repo:example/{client}:ref:refs/heads/main")),
            rights: new.rights,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_audience_alone() {
        let directory = Directory::new().unwrap();
        let token = directory
            .issue(directory.standard(), "https://vault.azure.net/")
            .unwrap();
        let caller = directory
            .verify(&token, &["https://vault.azure.net"])
            .unwrap();
        assert_eq!(
            (caller.client, caller.rights),
            (directory.standard().client, Rights::default())
        );
        assert_eq!(
            directory.verify(&token, &["https://storage.azure.com"]),
            Err(Refusal::Audience)
        );
    }

    #[test]
    fn a_token_of_another_directory_is_not_believed() {
        let (one, other) = (Directory::new().unwrap(), Directory::new().unwrap());
        let token = other
            .issue(other.standard(), "https://vault.azure.net")
            .unwrap();
        assert_eq!(
            one.verify(&token, &["https://vault.azure.net"]),
            Err(Refusal::Signature)
        );
    }

    #[test]
    fn a_token_whose_lifetime_is_over_is_refused() {
        let directory = Directory::new().unwrap();
        let short = directory.register(NewApplication {
            token_lifetime: Some(0),
            ..NewApplication::default()
        });
        let token = directory.issue(&short, "https://vault.azure.net").unwrap();
        assert_eq!(
            directory.verify(&token, &["https://vault.azure.net"]),
            Err(Refusal::Time)
        );
    }
}
