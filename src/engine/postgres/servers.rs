//! What builds have learned of the servers, so that the next one need not ask.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Servers that can look, while a statement runs, whether their client is still there. To ask for that costs a new session of the
/// server as much as the build of a small script.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers(Arc<Mutex<HashSet<String>>>);

impl Servers {
    pub(super) fn checks_clients(&self, server: &str) -> bool {
        self.all().contains(server)
    }

    pub(super) fn learn(&self, server: &str) {
        if !self.checks_clients(server) {
            self.all().insert(server.to_owned());
        }
    }

    /// Another server has taken the place of the one that could.
    pub(super) fn forget(&self, server: &str) {
        self.all().remove(server);
    }

    fn all(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
