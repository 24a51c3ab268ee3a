//! The identities of this process: everybody who wants the same one gets the same, with its tokens.

use std::sync::{Mutex, PoisonError};

use super::{Identity, IdentitySettings, Kind};
use crate::azure::Trust;

/// What an identity of the process was asked for with.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    kinds: Vec<Kind>,
    client: Option<String>,
    tenant: Option<String>,
}

static IDENTITIES: Mutex<Vec<(Wanted, Identity)>> = Mutex::new(Vec::new());

impl Identity {
    /// The identity that the environment of the process leads to, of one of these kinds. `client` and `tenant` count before those
    /// of variables. The error says what in the environment cannot be used.
    pub fn of_process(
        kinds: &[Kind],
        client: Option<&str>,
        tenant: Option<&str>,
    ) -> Result<Self, String> {
        let wanted = Wanted {
            kinds: kinds.to_vec(),
            client: client.map(str::to_owned),
            tenant: tenant.map(str::to_owned),
        };
        let mut known = IDENTITIES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, identity)) = known.iter().find(|(known, _)| *known == wanted) {
            return Ok(identity.clone());
        }
        let variable = |name: &str| std::env::var(name).ok();
        let settings = IdentitySettings::from_environment(&variable);
        let mut settings = settings.map_err(|error| error.to_string())?;
        settings.kinds.clone_from(&wanted.kinds);
        settings.client.clone_from(&wanted.client);
        settings.tenant.clone_from(&wanted.tenant);
        let trust = Trust::from_environment(&variable).map_err(|error| error.to_string())?;
        let identity = Self::new(&settings, &trust).map_err(|error| error.to_string())?;
        known.push((wanted, identity.clone()));
        Ok(identity)
    }
}
