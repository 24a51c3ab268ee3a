//! How often things have happened.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Numbers by name.
#[derive(Debug, Default)]
pub struct Counters(Mutex<BTreeMap<String, u64>>);

impl Counters {
    /// Counts one more.
    pub fn add(&self, name: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get_mut(name) {
            Some(count) => *count += 1,
            None => {
                all.insert(name.to_owned(), 1);
            }
        }
    }

    /// All numbers.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
