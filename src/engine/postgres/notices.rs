//! What the server says besides results.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// What the server says besides results, and why a connection ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Notices {
    messages: Arc<Mutex<Vec<String>>>,
    lost: Arc<OnceLock<String>>,
}

impl Notices {
    /// Messages kept between two batches at most; a script that prints a million lines does not fill the memory.
    const MAX: usize = 1_000;

    pub(super) fn push(&self, message: String) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if messages.len() < Self::MAX {
            messages.push(message);
        }
    }

    pub(super) fn set_lost(&self, reason: String) {
        // Only the first reason is of interest.
        self.lost.get_or_init(|| reason);
    }

    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn lost(&self) -> Option<String> {
        self.lost.get().cloned()
    }
}
