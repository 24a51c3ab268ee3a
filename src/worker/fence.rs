//! Whether a delivery can still be proved to be this worker's.

use std::time::Duration;

use crate::clock::Moment;

/// A lock is renewed this often.
const RENEW: Duration = Duration::from_secs(15);

/// So long before the lock may end, the build is told to roll back.
const CANCEL: Duration = Duration::from_secs(20);

/// So long before the lock may end, the build loses its connections.
const DROP: Duration = Duration::from_secs(5);

/// A lock that lasts longer is one that does not end.
const ENDLESS: Duration = Duration::from_secs(365 * 24 * 3600);

/// The deadline of one delivery, and what it means for the build.
///
/// The deadline is the clock read before the last successful renewal was sent, and the duration of the lock. The times
/// shrink with the lock where it is shorter than a minute. A word that was given once is never taken back, whatever is
/// renewed afterwards: the build has heard it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    until: Moment,
    lock: Duration,
    renew_at: Moment,
    word: Word,
}

/// What a build is told, each word stronger than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    /// The target is ours.
    Go,
    /// Roll back while it is still ours.
    Cancel,
    /// Let the connections go; the target may be somebody else's in a moment.
    Drop,
}

impl Fence {
    /// A delivery that has come `now` and is ours `until` then.
    pub(super) fn new(until: Moment, now: Moment) -> Self {
        let mut fence = Self {
            until,
            lock: Duration::ZERO,
            renew_at: now,
            word: Word::Go,
        };
        fence.renewed(until, now);
        fence
    }

    /// The lock was renewed: it lasts `until` then, by a clock read at `asked` or later, but before the queue was asked.
    pub(super) fn renewed(&mut self, until: Moment, asked: Moment) {
        self.until = self.until.max(until);
        // A delivery may have come late, with little of its lock left.
        self.lock = self.lock.max(between(asked, until));
        self.renew_at = asked + (self.lock / 4).min(RENEW);
    }

    /// A renewal was sent and has failed: the next one is due soon, while the deadline stays.
    pub(super) fn not_renewed(&mut self, now: Moment) {
        self.renew_at = now + (self.lock / 4).min(RENEW) / 8;
    }

    /// The queue says that the lock is lost. There is nothing left to wait for, except that the build rolls back.
    pub(super) fn lost(&mut self, now: Moment) {
        self.until = self.until.min(now + self.before(CANCEL, 3));
    }

    /// Nobody can be handed the target any more, because its message is gone with the queue.
    pub(super) fn free(&mut self) {
        self.until = Moment::at(Duration::MAX);
        self.renew_at = self.until;
    }

    /// Asks for a renewal at the next opportunity.
    pub(super) fn renew_at_once(&mut self, now: Moment) {
        self.renew_at = self.renew_at.min(now);
    }

    /// Whether the lock should be renewed. One that is given up is not.
    pub(super) fn is_due(&self, now: Moment) -> bool {
        self.word == Word::Go && now >= self.renew_at
    }

    /// What the build is to be told now.
    pub(super) fn word(&mut self, now: Moment) -> Word {
        let word = if now >= self.until - self.before(DROP, 12) {
            Word::Drop
        } else if now >= self.until - self.before(CANCEL, 3) {
            Word::Cancel
        } else {
            Word::Go
        };
        self.word = self.word.max(word);
        self.word
    }

    /// How long one renewal may take to be answered.
    pub(super) fn patience(&self) -> Duration {
        (self.lock / 4).min(RENEW)
    }

    /// Whether the lock ends at all if nothing is done; those of a queue within this process do not.
    pub(super) fn ends(&self) -> bool {
        self.lock < ENDLESS && self.until < Moment::at(Duration::MAX)
    }

    fn before(&self, at_most: Duration, part: u32) -> Duration {
        (self.lock / part).min(at_most)
    }
}

fn between(from: Moment, to: Moment) -> Duration {
    to.since_zero().saturating_sub(from.since_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    #[test]
    fn a_minute_is_cancelled_twenty_seconds_and_dropped_five_seconds_before_its_end() {
        let mut fence = Fence::new(at(160), at(100));
        for (second, word) in [
            (100, Word::Go),
            (139, Word::Go),
            (140, Word::Cancel),
            (154, Word::Cancel),
            (155, Word::Drop),
            (999, Word::Drop),
        ] {
            assert_eq!(fence.word(at(second)), word, "{second}");
        }
    }

    #[test]
    fn renewals_are_due_every_fifteen_seconds_and_move_the_deadline() {
        let mut fence = Fence::new(at(160), at(100));
        assert!(!fence.is_due(at(114)) && fence.is_due(at(115)));
        fence.renewed(at(175), at(115));
        assert!(!fence.is_due(at(129)) && fence.is_due(at(130)));
        assert_eq!(fence.word(at(154)), Word::Go);
        assert_eq!(fence.word(at(155)), Word::Cancel);
    }

    #[test]
    fn the_deadline_counts_from_before_the_renewal_was_sent() {
        let mut fence = Fence::new(at(160), at(100));
        // Sent at 115, answered at 139: the lock may have been renewed at 115.
        fence.renewed(at(115) + Duration::from_secs(60), at(115));
        assert_eq!(fence.until, at(175));
        assert!(fence.is_due(at(139)));
    }

    #[test]
    fn an_answer_that_comes_late_never_shortens_the_lock() {
        let mut fence = Fence::new(at(160), at(100));
        fence.renewed(at(190), at(130));
        fence.renewed(at(175), at(115));
        assert_eq!(fence.until, at(190));
    }

    #[test]
    fn a_failed_renewal_is_repeated_soon_and_proves_nothing() {
        let mut fence = Fence::new(at(160), at(100));
        fence.not_renewed(at(116));
        assert!(!fence.is_due(at(117)) && fence.is_due(at(118)));
        assert_eq!(fence.word(at(140)), Word::Cancel);
    }

    #[test]
    fn a_word_is_never_taken_back() {
        let mut fence = Fence::new(at(160), at(100));
        assert_eq!(fence.word(at(140)), Word::Cancel);
        fence.renewed(at(200), at(140));
        assert_eq!(fence.word(at(141)), Word::Cancel);
        assert!(!fence.is_due(at(190)));
        assert_eq!(fence.word(at(195)), Word::Drop);
    }

    #[test]
    fn a_lock_that_is_known_to_be_lost_cancels_at_once_and_drops_fifteen_seconds_later() {
        let mut fence = Fence::new(at(160), at(100));
        fence.lost(at(110));
        assert_eq!(fence.word(at(110)), Word::Cancel);
        assert_eq!(fence.word(at(124)), Word::Cancel);
        assert_eq!(fence.word(at(125)), Word::Drop);
    }

    #[test]
    fn a_loss_that_is_told_late_gives_no_more_time() {
        let mut fence = Fence::new(at(160), at(100));
        fence.lost(at(150));
        assert_eq!(fence.word(at(150)), Word::Cancel);
        assert_eq!(fence.word(at(155)), Word::Drop);
    }

    #[test]
    fn a_process_that_slept_over_the_deadline_drops_at_once() {
        let mut fence = Fence::new(at(160), at(100));
        assert_eq!(fence.word(at(5_000)), Word::Drop);
    }

    #[test]
    fn short_locks_have_short_times() {
        let mut fence = Fence::new(at(112), at(100));
        assert!(!fence.is_due(at(102)) && fence.is_due(at(103)));
        assert_eq!(fence.word(at(107)), Word::Go);
        assert_eq!(fence.word(at(108)), Word::Cancel);
        assert_eq!(fence.word(at(110)), Word::Cancel);
        assert_eq!(fence.word(at(111)), Word::Drop);
    }

    #[test]
    fn what_came_late_is_renewed_soon_and_then_has_its_whole_time() {
        let mut fence = Fence::new(at(104), at(100));
        assert!(fence.is_due(at(101)));
        assert_eq!(fence.word(at(101)), Word::Go);
        fence.renewed(at(161), at(101));
        assert_eq!(fence.word(at(140)), Word::Go);
        assert_eq!(fence.word(at(141)), Word::Cancel);
    }

    #[test]
    fn a_lock_that_does_not_end_needs_nothing_soon() {
        let mut fence = Fence::new(Moment::at(Duration::MAX), at(100));
        assert!(!fence.ends() && !fence.is_due(at(114)));
        assert_eq!(fence.word(at(1_000_000)), Word::Go);
        let mut fence = Fence::new(at(160), at(100));
        assert!(fence.ends());
        fence.free();
        assert!(!fence.ends());
        assert!(!fence.is_due(at(1_000_000)));
        assert_eq!(fence.word(at(1_000_000)), Word::Go);
    }
}
