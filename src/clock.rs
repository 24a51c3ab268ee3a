//! The clock by which locks expire: it runs while the machine sleeps, and no change of the time of day moves it.
//!
//! On Linux that is `CLOCK_BOOTTIME`, which all processes of a machine share until it starts anew. Elsewhere it is the
//! monotonic clock of this process, set by the time of day when the process first asks; other processes then read
//! nearly the same.

use std::{
    ops::{Add, Sub},
    time::Duration,
};

use jiff::Timestamp;

/// How long a sleeper may not notice that the machine has slept.
const RECHECK: Duration = Duration::from_secs(1);

/// A point in time of the machine's present life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment(Duration);

impl Moment {
    /// Now.
    pub fn now() -> Self {
        Self(source::read())
    }

    /// The moment at which it will be that time of day, as the time of day is now.
    pub fn of(time: Timestamp) -> Self {
        let left = time.duration_since(Timestamp::now());
        Self::now() + Duration::try_from(left).unwrap_or_default()
    }

    /// How long ago this was; zero when it is still to come.
    pub fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }

    /// How long it is until then; zero when it has passed.
    pub fn remaining(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }

    /// Whether it has come.
    pub fn has_passed(self) -> bool {
        Self::now() >= self
    }

    /// The time from the clock's zero, in the form that other processes of the machine understand.
    pub fn since_zero(self) -> Duration {
        self.0
    }

    /// The moment so long after the clock's zero.
    pub fn at(since_zero: Duration) -> Self {
        Self(since_zero)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    fn sub(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(earlier))
    }
}

/// Returns when `moment` has passed; at most a second late when the machine has slept over it.
pub async fn sleep_until(moment: Moment) {
    loop {
        let remaining = moment.remaining();
        if remaining.is_zero() {
            return;
        }
        tokio::time::sleep(remaining.min(RECHECK)).await;
    }
}

/// Names the life of the machine in which moments can be compared; none where that cannot be told.
pub fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let id = text.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod source {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn read() -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
        Duration::new(seconds, nanoseconds)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod source {
    use std::{
        sync::LazyLock,
        time::{Duration, Instant, SystemTime},
    };

    static START: LazyLock<(Duration, Instant)> = LazyLock::new(|| {
        let time_of_day = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        (time_of_day, Instant::now())
    });

    pub(super) fn read() -> Duration {
        START.0.saturating_add(START.1.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_forward() {
        let first = Moment::now();
        let second = Moment::now();
        assert!(second >= first);
        assert!(first.has_passed());
        assert!(first.remaining().is_zero());
        assert!((second - Duration::from_secs(5)).elapsed() >= Duration::from_secs(5));
    }

    #[test]
    fn a_time_of_day_is_a_moment_and_one_that_is_over_has_passed() {
        let hour = jiff::SignedDuration::from_hours(1);
        let later = Moment::of(Timestamp::now() + hour);
        assert!(later > Moment::now() && later <= Moment::now() + Duration::from_secs(3_600));
        assert!(Moment::of(Timestamp::now() - hour).has_passed());
        assert!(Moment::of(Timestamp::MIN).has_passed());
    }

    #[test]
    fn moments_are_moved_without_overflow() {
        let now = Moment::now();
        assert_eq!(
            now + Duration::from_secs(2) - Duration::from_secs(2),
            now,
            "there and back"
        );
        assert_eq!(now - Duration::MAX, Moment::at(Duration::ZERO));
        assert_eq!((now + Duration::MAX).since_zero(), Duration::MAX);
        assert_eq!(Moment::at(now.since_zero()), now);
    }

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_moment_has_passed_and_not_before() {
        let moment = Moment::now() + Duration::from_millis(30);
        sleep_until(moment).await;
        assert!(moment.has_passed());
        sleep_until(Moment::now() - Duration::from_secs(1)).await;
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_names_its_boot() {
        let id = boot_id().unwrap();
        assert_eq!(id, boot_id().unwrap());
    }
}
