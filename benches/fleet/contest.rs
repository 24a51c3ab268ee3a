//! Contenders that do the same work, and the table of what they took.

use std::time::{Duration, Instant};

/// One way to update the fleet.
pub(crate) struct Contender {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// Updates every database once.
    pub(crate) work: Box<dyn Fn()>,
}

impl Contender {
    pub(crate) fn new(name: &'static str, work: impl Fn() + 'static) -> Self {
        Self {
            name,
            work: Box::new(work),
        }
    }
}

/// Contenders on one fleet. The first is the baseline.
pub(crate) struct Contest {
    pub(crate) title: String,
    pub(crate) databases: usize,
    pub(crate) contenders: Vec<Contender>,
    /// Held until the end: what removes the fleet when it is dropped.
    pub(crate) _fleet: Box<dyn std::any::Any>,
}

impl Contest {
    /// Lets everyone work once for nothing, then `rounds` times in turn, and prints the medians.
    pub(crate) fn run(self, rounds: usize) {
        let mut times = vec![Vec::with_capacity(rounds); self.contenders.len()];
        for round in 0..=rounds {
            for (contender, times) in self.contenders.iter().zip(&mut times) {
                let started = Instant::now();
                (contender.work)();
                if round > 0 {
                    times.push(started.elapsed());
                }
            }
        }
        let medians: Vec<Duration> = times.into_iter().map(median).collect();
        println!(
            "\n{}: {} databases, {} at once, median of {rounds} rounds",
            self.title,
            self.databases,
            super::AT_ONCE
        );
        for (contender, median) in self.contenders.iter().zip(&medians) {
            println!(
                "{:<44} {:>8.0} ms  {:>5.2} x",
                contender.name,
                median.as_secs_f64() * 1_000.0,
                median.as_secs_f64() / medians[0].as_secs_f64()
            );
        }
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
