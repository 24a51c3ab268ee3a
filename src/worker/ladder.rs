//! The way down when work ends early: first no target starts, then what runs is rolled back, then it is dropped, then left.

use std::time::Duration;

use super::Shutdown;
use crate::clock::{self, Moment};

/// How long builds may take to roll back once they are told to.
const ROLL_BACK: Duration = Duration::from_secs(60);

/// The same where nobody waits for the result: the run is closed.
const ROLL_BACK_AT_ONCE: Duration = Duration::from_secs(10);

/// How long a COMMIT that was sent is still waited for when everything else is dropped.
const LAST_COMMITS: Duration = Duration::from_secs(60);

/// One way down. It never leads up again.
#[derive(Debug)]
pub(super) struct Ladder {
    rung: Rung,
    /// When the next rung is reached by itself.
    next: Option<Moment>,
    roll_back: Duration,
}

/// How far down it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rung {
    /// Nothing is to end.
    Working,
    /// No target starts; builds may end.
    Draining,
    /// Builds are rolled back.
    RollingBack,
    /// Builds lose their connections, except for those whose COMMIT is sent.
    Dropping,
    /// Nothing is waited for any more.
    Left,
}

impl Ladder {
    pub(super) fn new() -> Self {
        Self {
            rung: Rung::Working,
            next: None,
            roll_back: ROLL_BACK,
        }
    }

    /// Lets builds end within `grace`. Nothing changes where it is further down already.
    pub(super) fn drain(&mut self, grace: Duration, now: Moment) {
        self.down_to(Rung::Draining, now + grace);
    }

    /// Rolls back what runs.
    pub(super) fn roll_back(&mut self, now: Moment) {
        self.down_to(Rung::RollingBack, now + self.roll_back);
    }

    /// Rolls back what runs, and does not wait long for it, even where that has begun already.
    pub(super) fn leave(&mut self, now: Moment) {
        self.roll_back = ROLL_BACK_AT_ONCE;
        let next = now + self.roll_back;
        if self.rung == Rung::RollingBack {
            self.next = self.next.min(Some(next));
        }
        self.down_to(Rung::RollingBack, next);
    }

    /// Goes on by itself when it is time; the rung it is on.
    pub(super) fn step(&mut self, now: Moment) -> Rung {
        if self.next.is_some_and(|next| now >= next) {
            match self.rung {
                Rung::Working | Rung::Left => {}
                Rung::Draining => self.down_to(Rung::RollingBack, now + self.roll_back),
                Rung::RollingBack => self.down_to(Rung::Dropping, now + LAST_COMMITS),
                Rung::Dropping => (self.rung, self.next) = (Rung::Left, None),
            }
        }
        self.rung
    }

    /// Says to builds what the rung means.
    pub(super) fn tell(&self, builds: &Shutdown) {
        match self.rung {
            Rung::Working => {}
            Rung::Draining => builds.drain(),
            Rung::RollingBack => builds.stop(),
            Rung::Dropping | Rung::Left => builds.drop_connections(),
        }
    }

    /// Returns when the next rung is due; never when none is.
    pub(super) async fn due(&self) {
        match self.next {
            Some(next) => clock::sleep_until(next).await,
            None => std::future::pending().await,
        }
    }

    fn down_to(&mut self, rung: Rung, next: Moment) {
        if self.rung < rung {
            (self.rung, self.next) = (rung, Some(next));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::at(Duration::from_secs(seconds))
    }

    #[test]
    fn grace_then_roll_back_then_drop_then_leave() {
        let mut ladder = Ladder::new();
        assert_eq!(ladder.step(at(1)), Rung::Working);
        ladder.drain(Duration::from_secs(30), at(100));
        for (second, rung) in [
            (129, Rung::Draining),
            (130, Rung::RollingBack),
            (189, Rung::RollingBack),
            (190, Rung::Dropping),
            (249, Rung::Dropping),
            (250, Rung::Left),
            (999, Rung::Left),
        ] {
            assert_eq!(ladder.step(at(second)), rung, "{second}");
        }
    }

    #[test]
    fn a_second_word_never_leads_up_or_gives_more_time() {
        let mut ladder = Ladder::new();
        ladder.roll_back(at(100));
        ladder.drain(Duration::from_secs(999), at(101));
        ladder.roll_back(at(150));
        assert_eq!(ladder.step(at(159)), Rung::RollingBack);
        assert_eq!(ladder.step(at(160)), Rung::Dropping);
    }

    #[test]
    fn a_closed_run_is_left_soon_however_far_down_it_is() {
        let mut ladder = Ladder::new();
        ladder.leave(at(100));
        assert_eq!(ladder.step(at(100)), Rung::RollingBack);
        assert_eq!(ladder.step(at(110)), Rung::Dropping);
        let mut ladder = Ladder::new();
        ladder.roll_back(at(100));
        ladder.leave(at(101));
        assert_eq!(ladder.step(at(111)), Rung::Dropping);
        let mut ladder = Ladder::new();
        ladder.drain(Duration::from_secs(999), at(100));
        ladder.leave(at(101));
        assert_eq!(ladder.step(at(101)), Rung::RollingBack);
    }

    #[test]
    fn no_grace_rolls_back_at_once() {
        let mut ladder = Ladder::new();
        ladder.drain(Duration::ZERO, at(100));
        assert_eq!(ladder.step(at(100)), Rung::RollingBack);
    }

    #[test]
    fn builds_hear_what_the_rung_means() {
        let (mut ladder, builds) = (Ladder::new(), Shutdown::new());
        ladder.tell(&builds);
        assert!(!builds.is_draining());
        ladder.drain(Duration::from_secs(5), at(100));
        ladder.tell(&builds);
        assert!(builds.is_draining() && !builds.stop_token().is_cancelled());
        ladder.step(at(105));
        ladder.tell(&builds);
        assert!(builds.stop_token().is_cancelled());
        ladder.step(at(165));
        ladder.tell(&builds);
        assert!(builds.drop_token().is_cancelled());
    }
}
