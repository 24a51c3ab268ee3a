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

/// Logs in, and again while the reason is one that passes and `budget` is not used up.
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
                if error.is_transient() && attempt < ATTEMPTS && started.elapsed() < budget =>
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
