//! Calls of the service: each with a deadline, repeated while that may help.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::fault::Fault;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How long a service takes for the smallest call, and how many bytes go through the slowest line in a second.
const ONE_TRY: Duration = Duration::from_secs(30);
const SLOWEST: u64 = 256 * 1024;

/// How often a call is made, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// How long one try may take.
    one_try: Duration,
    /// After this no further try is made.
    total: Duration,
    /// The most tries.
    tries: u32,
    /// The pause after the first failure; it doubles with each.
    first_pause: Duration,
}

impl Patience {
    /// For a call without content.
    pub(super) const SHORT: Self = Self {
        one_try: ONE_TRY,
        total: Duration::from_secs(110),
        tries: 8,
        first_pause: FIRST_PAUSE,
    };

    /// For a lease, which is worth nothing when its time has gone.
    pub(super) const LEASE: Self = Self {
        one_try: Duration::from_secs(10),
        total: Duration::from_secs(14),
        tries: 5,
        first_pause: FIRST_PAUSE,
    };

    /// For an object of any size, whose parts are guarded one by one.
    pub(super) const READING: Self = Self {
        one_try: Duration::from_secs(3_600),
        total: Duration::from_secs(3_600),
        tries: 8,
        first_pause: FIRST_PAUSE,
    };

    /// For a container of the same name that is still being deleted.
    pub(super) const MAKING: Self = Self {
        one_try: ONE_TRY,
        total: Duration::from_secs(180),
        tries: 100,
        first_pause: FIRST_PAUSE,
    };

    /// For so many bytes.
    pub(super) fn of_bytes(bytes: u64) -> Self {
        let more = Duration::from_secs(bytes / SLOWEST);
        Self {
            one_try: ONE_TRY + more,
            total: Duration::from_secs(110) + more * 3,
            tries: 8,
            first_pause: FIRST_PAUSE,
        }
    }
}

/// How a call ended.
#[derive(Debug)]
pub(super) struct Outcome<T> {
    pub(super) result: Result<T, Fault>,
    /// Whether a try before the last one may have done what was asked: its answer was lost.
    pub(super) doubtful: bool,
}

/// Makes a call until it has an answer that stands.
pub(super) async fn call<T, F>(patience: Patience, mut make: impl FnMut() -> F) -> Outcome<T>
where
    F: Future<Output = azure_core::Result<T>>,
{
    call_unless(patience, || {
        let made = make();
        async move { made.await.map_err(|error| Fault::new(&error)) }
    })
    .await
}

/// The same for a call whose faults are told apart by the caller.
pub(super) async fn call_unless<T, F>(patience: Patience, mut make: impl FnMut() -> F) -> Outcome<T>
where
    F: Future<Output = Result<T, Fault>>,
{
    let began = Instant::now();
    let mut doubtful = false;
    let mut tried = 0;
    loop {
        tried += 1;
        let answer = timeout(patience.one_try, make()).await;
        let fault = match answer {
            Ok(Ok(done)) => {
                return Outcome {
                    result: Ok(done),
                    doubtful,
                };
            }
            Ok(Err(fault)) => fault,
            Err(_) => {
                let seconds = patience.one_try.as_secs();
                Fault::lost(format!("no answer within {seconds} s"), true)
            }
        };
        let pause = pause(patience.first_pause, tried, fault.retry_after);
        let is_over = tried >= patience.tries || began.elapsed() + pause >= patience.total;
        if !fault.transient || is_over {
            let result = Err(fault);
            return Outcome { result, doubtful };
        }
        log::debug!("try {tried} failed, the next in {pause:?}: {fault}");
        doubtful |= fault.doubtful;
        sleep(pause).await;
    }
}

/// Growing, not the same for all who failed together, and as long as the service wants at least.
fn pause(first: Duration, tried: u32, retry_after: Option<Duration>) -> Duration {
    let doubled = first.saturating_mul(1 << (tried - 1).min(10));
    let pause = doubled
        .min(LONGEST_PAUSE)
        .mul_f64(0.75 + fastrand::f64() / 2.0);
    pause.max(retry_after.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn busy(after: Option<u64>) -> Fault {
        let mut fault = Fault::lost("busy".into(), false);
        fault.retry_after = after.map(Duration::from_secs);
        fault
    }

    /// For tests, which wait for nobody.
    const NONE: Patience = Patience {
        one_try: Duration::from_millis(20),
        total: Duration::from_secs(3_600),
        tries: 4,
        first_pause: Duration::ZERO,
    };

    #[tokio::test]
    async fn what_passes_is_tried_again_and_what_is_lost_leaves_doubt() {
        let tries = Cell::new(0);
        let outcome = call_unless(NONE, || {
            tries.set(tries.get() + 1);
            let tried = tries.get();
            async move {
                match tried {
                    1 => Err(busy(None)),
                    2 => Err(Fault::lost("cut".into(), true)),
                    _ => Ok(tried),
                }
            }
        })
        .await;
        assert!(outcome.doubtful);
        assert_eq!(outcome.result.unwrap(), 3);
    }

    #[test]
    fn pauses_grow_to_a_limit_and_the_service_may_want_longer_ones() {
        for (tried, least, most) in [(1, 150, 250), (3, 600, 1_000), (30, 7_500, 12_500)] {
            let pause = pause(FIRST_PAUSE, tried, None).as_millis();
            assert!((least..=most).contains(&pause), "{tried}: {pause}");
        }
        let wanted = Duration::from_secs(20);
        assert_eq!(pause(FIRST_PAUSE, 1, Some(wanted)), wanted);
    }

    #[tokio::test]
    async fn nothing_is_tried_for_ever() {
        let tries = Cell::new(0);
        let never = || {
            tries.set(tries.get() + 1);
            std::future::pending::<Result<(), Fault>>()
        };
        let outcome = call_unless(NONE, never).await;
        assert!(outcome.doubtful);
        let error = outcome.result.unwrap_err().to_string();
        assert_eq!((tries.get(), &*error), (4, "no answer within 0 s"));
        // Nobody waits longer for the service than there is time.
        tries.set(0);
        let outcome = call_unless(NONE, || {
            tries.set(tries.get() + 1);
            async { Err::<(), _>(busy(Some(7_200))) }
        })
        .await;
        assert!(outcome.result.is_err() && !outcome.doubtful);
        assert_eq!(tries.get(), 1);
    }
}
