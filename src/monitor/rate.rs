//! How fast targets settle.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How far back the rate looks.
const WINDOW: Duration = Duration::from_secs(60);

/// Settled targets are counted by the second, so that the window holds at most 61 numbers at any speed.
const BUCKET: Duration = Duration::from_secs(1);

/// A count of settled targets over a sliding window.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    first: Option<Instant>,
    total: usize,
    buckets: VecDeque<(Instant, usize)>,
}

impl Rate {
    /// Something happened: the clock starts with the first event, not with the first result.
    pub(super) fn begin(&mut self, now: Instant) {
        self.first.get_or_insert(now);
    }

    /// One more target settled.
    pub(super) fn add(&mut self, now: Instant) {
        self.begin(now);
        self.total += 1;
        match self.buckets.back_mut() {
            Some((at, count)) if now.saturating_duration_since(*at) < BUCKET => *count += 1,
            _ => self.buckets.push_back((now, 1)),
        }
        while self.buckets.front().is_some_and(|(at, _)| is_old(*at, now)) {
            self.buckets.pop_front();
        }
    }

    /// Targets per second, lately; of the whole run when nothing settled lately. None until there is something to tell.
    pub(super) fn per_second(&self, now: Instant) -> Option<f64> {
        let elapsed = now.saturating_duration_since(self.first?);
        let recent: usize = self
            .buckets
            .iter()
            .filter(|(at, _)| !is_old(*at, now))
            .map(|(_, count)| count)
            .sum();
        let (count, span) = if recent > 0 {
            (recent, elapsed.min(WINDOW))
        } else {
            (self.total, elapsed)
        };
        (count > 0 && span >= BUCKET).then(|| float(count) / span.as_secs_f64())
    }

    /// How long `remaining` targets take at the present rate.
    pub(super) fn time_for(&self, remaining: usize, now: Instant) -> Option<Duration> {
        let seconds = float(remaining) / self.per_second(now)?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

fn is_old(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) > WINDOW
}

/// A count as a number to divide with.
fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn nothing_is_told_before_there_is_something_to_tell() {
        let now = Instant::now();
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(now), None);
        rate.begin(now);
        assert_eq!(rate.per_second(now + seconds(5)), None);
        rate.add(now + Duration::from_millis(10));
        assert_eq!(rate.per_second(now + Duration::from_millis(20)), None);
    }

    #[test]
    fn the_rate_follows_the_last_minute() {
        let start = Instant::now();
        let mut rate = Rate::default();
        rate.begin(start);
        for second in 1..=300 {
            for _ in 0..10 {
                rate.add(start + seconds(second));
            }
        }
        for second in 301..=400 {
            rate.add(start + seconds(second));
        }
        let now = start + seconds(400);
        let lately = rate.per_second(now).unwrap();
        assert!((0.9..1.1).contains(&lately), "{lately}");
        assert!(rate.buckets.len() <= 61);
        let left = rate.time_for(100, now).unwrap().as_secs();
        assert!((90..=110).contains(&left), "{left}");
    }

    #[test]
    fn after_a_silent_minute_the_rate_is_that_of_the_whole_run() {
        let start = Instant::now();
        let mut rate = Rate::default();
        rate.begin(start);
        rate.add(start);
        rate.add(start);
        assert_eq!(rate.per_second(start + seconds(200)), Some(0.01));
    }
}
