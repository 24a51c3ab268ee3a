//! How a run is told to end early.

use tokio_util::sync::CancellationToken;

/// Two words that can be said to a worker, the second stronger than the first. Clones hear the same words.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    stop: CancellationToken,
}

impl Shutdown {
    /// Nothing is said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// No target starts any more; those that run may end.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Targets that run are rolled back. A COMMIT that was sent is still waited for.
    pub fn stop(&self) {
        self.drain.cancel();
        self.stop.cancel();
    }

    /// Returns once the worker drains.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Whether the worker drains.
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// What builds listen to.
    pub fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }
}
