//! How builds are told to end early.

use tokio_util::sync::CancellationToken;

/// Three words that can be said to a worker, each stronger than the one before. Clones hear the same words.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    stop: CancellationToken,
    drop: CancellationToken,
}

impl Shutdown {
    /// Nothing is said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hears what is said to this one, and what is said to itself alone.
    pub(super) fn child(&self) -> Self {
        Self {
            drain: self.drain.child_token(),
            stop: self.stop.child_token(),
            drop: self.drop.child_token(),
        }
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

    /// What has not rolled back by now loses its connections. A COMMIT that was sent is still waited for.
    pub fn drop_connections(&self) {
        self.stop();
        self.drop.cancel();
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

    /// What those who watch over builds listen to.
    pub(super) fn drop_token(&self) -> &CancellationToken {
        &self.drop
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_to_all_reaches_some_and_a_word_to_some_does_not_reach_all() {
        let all = Shutdown::new();
        let some = all.child();
        some.stop();
        assert!(some.is_draining() && !all.is_draining());
        let others = all.child();
        all.drop_connections();
        assert!(others.is_draining() && others.stop_token().is_cancelled());
        assert!(others.drop_token().is_cancelled() && some.drop_token().is_cancelled());
    }
}
