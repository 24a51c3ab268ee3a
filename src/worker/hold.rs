//! A delivery in this worker's hands: what its build listens to, and the permit to commit.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use super::{
    Shutdown,
    fence::{Fence, Word},
};
use crate::{clock::Moment, queue::Delivery};

/// A delivery, from its receipt until it is settled.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) delivery: Delivery,
    /// Hears what all builds are told, and what the fence tells this one.
    ends: Shutdown,
    fence: Mutex<Fence>,
    /// One permit: a build has it while its COMMITs are under way, who drops the build takes it for ever.
    commits: Semaphore,
    /// Whether the queue is being told of the end, after which it knows no lock of this delivery any more.
    settling: AtomicBool,
    /// Whether everybody can know that the build was begun.
    told: watch::Sender<bool>,
}

impl Hold {
    /// Holds what has just been received. Its build hears what is said to `ends`.
    pub(super) fn new(delivery: Delivery, ends: &Shutdown) -> Self {
        let fence = Fence::new(delivery.locked_until, Moment::now());
        Self {
            delivery,
            ends: ends.child(),
            fence: Mutex::new(fence),
            commits: Semaphore::new(1),
            settling: AtomicBool::new(false),
            told: watch::Sender::new(false),
        }
    }

    /// That the build begins is stored; or it cannot be, and then the build ends.
    pub(super) fn start_was_told(&self, is_told: bool) {
        if is_told {
            self.told.send_replace(true);
        } else {
            self.ends.stop();
        }
    }

    /// Waits for that, or for the word to end: what nobody can know of must not be committed, else it could be taken for a
    /// target that was never begun.
    pub(super) async fn start_is_told(&self) {
        let mut told = self.told.subscribe();
        tokio::select! {
            // The sender lives as long as this does.
            _ = told.wait_for(|told| *told) => {}
            () = self.stop_token().cancelled() => {}
        }
    }

    /// What the build listens to.
    pub(super) fn stop_token(&self) -> &CancellationToken {
        self.ends.stop_token()
    }

    /// Whether the build is not to be tried again by this worker.
    pub(super) fn is_draining(&self) -> bool {
        self.ends.is_draining()
    }

    /// Returns when it is not.
    pub(super) async fn draining(&self) {
        self.ends.draining().await;
    }

    /// The permit to send COMMITs; none when the target may be somebody else's soon, or when the build is to end.
    ///
    /// The clock is read here, so that a process which slept between two statements does not commit. As long as the permit
    /// is kept nobody drops the build: a COMMIT that is sent is never cancelled.
    pub(super) fn permit_commit(&self) -> Option<SemaphorePermit<'_>> {
        if self.look() > Word::Go || self.stop_token().is_cancelled() {
            return None;
        }
        self.commits.try_acquire().ok()
    }

    /// The same for what is true already and only has to be written down: none when the build is being dropped.
    pub(super) fn permit_record(&self) -> Option<SemaphorePermit<'_>> {
        self.commits.try_acquire().ok()
    }

    /// Returns when the build is to lose its connections and no COMMIT is under way. None begins afterwards.
    pub(super) async fn to_be_dropped(&self) {
        self.ends.drop_token().cancelled().await;
        if let Ok(permit) = self.commits.acquire().await {
            permit.forget();
        }
    }

    /// Reads the clock, and tells the build what follows.
    pub(super) fn look(&self) -> Word {
        let word = self.fence().word(Moment::now());
        match word {
            Word::Go => {}
            Word::Cancel => self.ends.stop(),
            Word::Drop => self.ends.drop_connections(),
        }
        word
    }

    /// Whether the fence has told the build to end.
    pub(super) fn is_fenced(&self) -> bool {
        self.look() > Word::Go
    }

    pub(super) fn fence(&self) -> MutexGuard<'_, Fence> {
        // No step under the lock leaves the fence half changed.
        self.fence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the queue may call the lock lost because it was told of the end.
    pub(super) fn settle(&self) {
        self.settling.store(true, Ordering::SeqCst);
    }

    /// The same until the queue has failed to be told.
    pub(super) fn settle_failed(&self) {
        self.settling.store(false, Ordering::SeqCst);
    }

    pub(super) fn is_settling(&self) -> bool {
        self.settling.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
impl Hold {
    /// One whose lock lasts for an hour.
    pub(super) fn sample() -> Self {
        let until = Moment::now() + std::time::Duration::from_secs(3600);
        let hold = Self::new(Delivery::sample(until), &Shutdown::new());
        hold.start_was_told(true);
        hold
    }

    /// What its build hears when everything is to end.
    pub(super) fn end(&self) {
        self.ends.stop();
    }
}

#[cfg(test)]
impl Delivery {
    /// The first of a target.
    pub(super) fn sample(locked_until: Moment) -> Self {
        let pair = crate::protocol::Pair {
            default: String::new(),
            database: "d".into(),
        };
        Self {
            id: crate::queue::DeliveryId(1),
            target: crate::protocol::Target {
                server: "s".into(),
                pairs: vec![pair],
                tag: None,
            },
            count: 1,
            purpose: crate::queue::Purpose::Build,
            session: None,
            locked_until,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_commit_under_way_is_not_dropped_and_none_begins_afterwards() {
        let hold = Hold::sample();
        let permit = hold.permit_commit().unwrap();
        hold.ends.drop_connections();
        assert!(hold.to_be_dropped().now_or_never().is_none());
        drop(permit);
        assert!(hold.to_be_dropped().now_or_never().is_some());
        assert!(hold.permit_commit().is_none() && hold.permit_record().is_none());
    }

    #[test]
    fn what_nobody_can_know_of_is_not_committed_yet() {
        let until = Moment::now() + Duration::from_secs(3600);
        let hold = Hold::new(Delivery::sample(until), &Shutdown::new());
        assert!(hold.start_is_told().now_or_never().is_none());
        hold.start_was_told(true);
        assert!(hold.start_is_told().now_or_never().is_some());
        let stopped = Hold::new(Delivery::sample(until), &Shutdown::new());
        stopped.start_was_told(false);
        assert!(stopped.start_is_told().now_or_never().is_some());
        assert!(stopped.permit_commit().is_none());
    }

    #[test]
    fn nothing_is_dropped_before_it_is_said() {
        let hold = Hold::sample();
        hold.ends.stop();
        assert!(hold.to_be_dropped().now_or_never().is_none());
        assert!(hold.permit_commit().is_none() && hold.permit_record().is_some());
    }

    #[test]
    fn whoever_lost_the_lock_does_not_commit() {
        let hold = Hold::sample();
        assert!(!hold.is_fenced());
        hold.fence().lost(Moment::now());
        assert!(hold.permit_commit().is_none());
        assert!(hold.is_fenced() && hold.stop_token().is_cancelled());
    }

    #[test]
    fn a_process_that_slept_does_not_commit() {
        let until = Moment::now() - Duration::from_secs(1);
        let hold = Hold::new(Delivery::sample(until), &Shutdown::new());
        assert!(hold.permit_commit().is_none());
        assert!(hold.to_be_dropped().now_or_never().is_some());
    }
}
