//! Tokens that were given, one for each set of scopes.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use azure_core::{credentials::AccessToken, time::OffsetDateTime};
use tokio::time::Instant;

use super::chain::Failure;

/// A token is replaced this long before it ends, or when a fifth of its life is left, if that is less.
const BEFORE_END: Duration = Duration::from_secs(300);
const LEFT: u32 = 5;

/// After a failed refresh the old token is used for so long before the next try.
const PAUSE: Duration = Duration::from_secs(30);

/// Tokens by their scopes.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<Vec<String>, Arc<Slot>>>);

/// The token for one set of scopes. Whoever fetches one holds the lock of `fetching`.
#[derive(Debug, Default)]
struct Slot {
    held: Mutex<Option<Held>>,
    fetching: tokio::sync::Mutex<Option<Failed>>,
}

#[derive(Clone, Debug)]
struct Held {
    token: AccessToken,
    /// When the next one is fetched.
    refresh: OffsetDateTime,
}

/// The last try, when it failed.
#[derive(Debug)]
struct Failed {
    at: Instant,
    why: Failure,
}

impl Cache {
    /// The token for these scopes: the one that is held, or what `fetch` gives. While one task fetches, others use the token that
    /// still holds, or wait for what comes; they share its failure, too.
    pub(super) async fn get<F>(
        &self,
        scopes: &[&str],
        fetch: impl FnOnce() -> F,
    ) -> Result<AccessToken, Failure>
    where
        F: Future<Output = Result<AccessToken, Failure>>,
    {
        let slot = self.slot(scopes);
        let held = slot.held();
        match held {
            Some(held) if held.is_fresh() => return Ok(held.token),
            Some(held) if held.holds() => return Ok(slot.renewed(held, fetch).await),
            _ => {}
        }
        let came = Instant::now();
        let mut failed = slot.fetching.lock().await;
        if let Some(held) = slot.held().filter(Held::holds) {
            return Ok(held.token);
        }
        if let Some(failed) = failed.as_ref().filter(|failed| failed.at >= came) {
            return Err(failed.why.clone());
        }
        slot.fetch(&mut failed, fetch).await
    }

    fn slot(&self, scopes: &[&str]) -> Arc<Slot> {
        let key = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(key).or_default())
    }
}

impl Slot {
    fn held(&self) -> Option<Held> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    /// A new token in place of one that still holds; the old one while somebody fetches, or when none is to be had.
    async fn renewed<F>(&self, old: Held, fetch: impl FnOnce() -> F) -> AccessToken
    where
        F: Future<Output = Result<AccessToken, Failure>>,
    {
        let Ok(mut failed) = self.fetching.try_lock() else {
            return old.token;
        };
        let resting = failed
            .as_ref()
            .is_some_and(|failed| failed.at.elapsed() < PAUSE);
        if resting {
            return old.token;
        }
        match self.fetch(&mut failed, fetch).await {
            Ok(token) => token,
            Err(failure) => {
                log::warn!(
                    "the present token is used until it ends, because there is no new one: {failure}"
                );
                old.token
            }
        }
    }

    async fn fetch<F>(
        &self,
        failed: &mut Option<Failed>,
        fetch: impl FnOnce() -> F,
    ) -> Result<AccessToken, Failure>
    where
        F: Future<Output = Result<AccessToken, Failure>>,
    {
        match fetch().await {
            Ok(token) => {
                *failed = None;
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                *held = Some(Held::new(token.clone()));
                Ok(token)
            }
            Err(why) => {
                *failed = Some(Failed {
                    at: Instant::now(),
                    why: why.clone(),
                });
                Err(why)
            }
        }
    }
}

impl Held {
    fn new(token: AccessToken) -> Self {
        let life =
            (token.expires_on - OffsetDateTime::now_utc()).max(azure_core::time::Duration::ZERO);
        let before = (life / LEFT).min(BEFORE_END.try_into().unwrap_or(life));
        Self {
            refresh: token.expires_on - before,
            token,
        }
    }

    fn is_fresh(&self) -> bool {
        OffsetDateTime::now_utc() < self.refresh
    }

    fn holds(&self) -> bool {
        OffsetDateTime::now_utc() < self.token.expires_on
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::future::join_all;

    use super::*;

    fn token(text: &'static str, seconds: i64) -> AccessToken {
        let end = OffsetDateTime::now_utc() + azure_core::time::Duration::seconds(seconds);
        AccessToken::new(text, end)
    }

    fn secret(token: Result<AccessToken, Failure>) -> String {
        token.unwrap().token.secret().to_owned()
    }

    #[tokio::test]
    async fn many_tasks_fetch_one_token_and_other_scopes_another() {
        let (cache, fetched) = (Cache::default(), AtomicU32::new(0));
        for _ in 0..2 {
            let all = (0..50).map(|_| async { secret(get(&cache, &fetched, "x").await) });
            assert!(join_all(all).await.iter().all(|secret| secret == "a"));
        }
        assert_eq!(fetched.load(Ordering::SeqCst), 1);
        get(&cache, &fetched, "y").await.unwrap();
        assert_eq!(fetched.load(Ordering::SeqCst), 2);
    }

    async fn get(cache: &Cache, fetched: &AtomicU32, scope: &str) -> Result<AccessToken, Failure> {
        cache
            .get(&[scope], || async {
                fetched.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok(token("a", 3_600))
            })
            .await
    }

    #[tokio::test]
    async fn a_failure_is_shared_by_those_who_waited_and_not_by_those_who_come_later() {
        let (cache, fetched) = (Cache::default(), AtomicU32::new(0));
        let fail = || {
            cache.get(&["x"], || async {
                fetched.fetch_add(1, Ordering::SeqCst);
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                Err(Failure::new("no"))
            })
        };
        let results = join_all((0..20).map(|_| fail())).await;
        assert!(results.iter().all(Result::is_err));
        assert_eq!(fetched.load(Ordering::SeqCst), 1);
        let later = cache.get(&["x"], || async { Ok(token("b", 3_600)) }).await;
        assert_eq!(secret(later), "b");
    }

    #[tokio::test]
    async fn a_token_is_replaced_before_it_ends_and_kept_when_there_is_no_other() {
        let cache = Cache::default();
        // Of a life of no more than this nothing is left after the margin has been taken off.
        let held = Held {
            refresh: OffsetDateTime::now_utc(),
            token: token("old", 100),
        };
        *cache.slot(&["x"]).held.lock().unwrap() = Some(held);
        let failing = cache.get(&["x"], || async { Err(Failure::new("no")) });
        assert_eq!(secret(failing.await), "old");
        // It is left alone for a while.
        let resting = cache.get(&["x"], || async { Ok(token("new", 3_600)) });
        assert_eq!(secret(resting.await), "old");
        *cache.slot(&["x"]).fetching.lock().await = None;
        let replaced = cache.get(&["x"], || async { Ok(token("new", 3_600)) });
        assert_eq!(secret(replaced.await), "new");
    }

    #[test]
    fn the_time_of_the_next_one_fits_short_lives_too() {
        for (life, before) in [(3_600, 300), (1_500, 300), (60, 12)] {
            let held = Held::new(token("x", life));
            let left = held.token.expires_on - held.refresh;
            assert!((left.whole_seconds() - before).abs() <= 1, "{life}: {left}");
        }
    }
}
