//! Bounded, jittered repetition.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Engine, Error, Session};

/// Growing pauses: each is drawn from the upper half of a span that doubles up to a limit, so that many builds that failed
/// together do not come back together.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    limit: Duration,
}

impl Backoff {
    /// Pauses from `first` up to `limit`.
    pub fn new(first: Duration, limit: Duration) -> Self {
        Self { next: first, limit }
    }

    /// Waits for the next pause; false when `stop` came first.
    pub async fn wait(&mut self, stop: &CancellationToken) -> bool {
        let pause = self.next.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.next = (self.next * 2).min(self.limit);
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = stop.cancelled() => false,
        }
    }
}

/// Logins tried at most.
const ATTEMPTS: u32 = 4;

/// Logs in, and again while the reason is one that passes and `budget` is not used up. Reasons with a
/// [budget of their own](Error::login_budget) are waited for that long, however many tries it takes.
pub async fn connect_with_retry(
    engine: &dyn Engine,
    server: &str,
    database: &str,
    budget: Duration,
    stop: &CancellationToken,
) -> Result<Box<dyn Session>, Error> {
    let started = Instant::now();
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(8));
    let mut attempt = 1;
    loop {
        let result = tokio::select! {
            result = engine.connect(server, database) => result,
            () = stop.cancelled() => return Err(Error::Stopped),
        };
        match result {
            Err(error)
                if error.is_transient()
                    && may_go_on(&error, attempt, started.elapsed(), budget) =>
            {
                log::debug!("attempt {attempt} failed, trying again: {error}");
                attempt += 1;
                if !backoff.wait(stop).await {
                    return Err(Error::Stopped);
                }
            }
            result => {
                if result.is_ok() {
                    log::debug!("{server}:{database}: logged in at attempt {attempt}");
                }
                return result;
            }
        }
    }
}

fn may_go_on(error: &Error, attempt: u32, elapsed: Duration, budget: Duration) -> bool {
    match error.login_budget() {
        Some(own) => elapsed < own.max(budget),
        None => attempt < ATTEMPTS && elapsed < budget,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_database_is_waited_for_longer_than_a_busy_server() {
        let error = |code: &str| Error::Connect {
            place: "s:d".into(),
            message: "m".into(),
            code: Some(code.into()),
            transient: true,
        };
        let budget = Duration::from_secs(30);
        let after = |code: &str, attempt, seconds| {
            may_go_on(&error(code), attempt, Duration::from_secs(seconds), budget)
        };
        assert!(after("40613", 50, 179) && !after("40613", 50, 180));
        assert!(after("40501", 3, 29) && !after("40501", 3, 30) && !after("40501", 4, 1));
    }
}
