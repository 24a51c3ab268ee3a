//! What every way of events promises: one function per promise, called for each of them.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use sbm::{
    events::{EventReader, Events, Feed},
    protocol::{Event, EventKind, Pair, Platform, ResultLine, State, Target},
};
use uuid::Uuid;

use super::queue::PATIENCE;

/// The events of a run of its own.
#[async_trait]
pub(crate) trait Place: fmt::Debug + Send + Sync {
    /// The run.
    fn run_id(&self) -> Uuid;

    /// One more worker of a run.
    async fn worker(&self, run_id: Uuid, name: &str) -> Arc<dyn Events>;

    /// One more who watches the run.
    fn reader(&self) -> Arc<dyn EventReader>;
}

/// The event of one second, of one worker.
fn event(run_id: Uuid, worker: &str, second: i64) -> Event {
    let target = Target {
        server: worker.into(),
        pairs: vec![Pair {
            default: String::new(),
            database: "ünï \"d\"".into(),
        }],
        tag: None,
    };
    let key = target.key(Platform::PostgreSql);
    let kind = match second % 3 {
        0 => EventKind::Started {
            name: target.to_string(),
        },
        1 => EventKind::Script {
            script: format!("{second}.sql"),
        },
        _ => {
            let mut line = ResultLine::new(run_id, key.clone(), target, worker, State::RolledBack);
            line.is_final = second % 2 == 0;
            EventKind::Finished {
                line: Box::new(line),
            }
        }
    };
    Event {
        run_id,
        key,
        at: Timestamp::from_second(begin() + second).unwrap(),
        kind,
    }
}

/// The time of the first event, in seconds: some time ago, so that none happens in the future.
fn begin() -> i64 {
    static BEGIN: OnceLock<i64> = OnceLock::new();
    *BEGIN.get_or_init(|| Timestamp::now().as_second() - 600)
}

/// Who watches. An event may come more than once; what has come before is passed over.
struct Watcher {
    feed: Feed,
    seen: HashSet<(String, i64)>,
}

async fn watch(place: &dyn Place, since: i64) -> Watcher {
    let since = Timestamp::from_second(begin() + since).unwrap();
    Watcher {
        feed: place.reader().subscribe(since).await.unwrap(),
        seen: HashSet::new(),
    }
}

impl Watcher {
    /// The next event that was not there before, with its worker and its second.
    async fn one(&mut self) -> (Event, (String, i64)) {
        loop {
            let event = tokio::time::timeout(PATIENCE, self.feed.next()).await;
            let event = event.expect("an event comes").expect("the feed goes on");
            let worker = event.key.as_str().split('|').nth(1).unwrap().to_owned();
            let place = (worker, event.at.as_second() - begin());
            if self.seen.insert(place.clone()) {
                return (event, place);
            }
        }
    }

    /// The workers and seconds of the next events.
    async fn next(&mut self, count: usize) -> Vec<(String, i64)> {
        let mut places = Vec::new();
        for _ in 0..count {
            places.push(self.one().await.1);
        }
        places
    }
}

fn of(worker: &str, seconds: std::ops::Range<i64>) -> Vec<(String, i64)> {
    seconds.map(|second| (worker.to_owned(), second)).collect()
}

pub(crate) async fn an_event_arrives_as_it_was_published(place: &dyn Place) {
    let run_id = place.run_id();
    let mut watcher = watch(place, 0).await;
    let worker = place.worker(run_id, "w").await;
    for second in 0..6 {
        let event = event(run_id, "w", second);
        worker.publish(event.clone());
        assert_eq!(watcher.one().await.0, event);
    }
    worker.close().await;
    assert_eq!(worker.dropped(), 0);
}

pub(crate) async fn every_watcher_gets_what_was_said_before_and_what_is_said_later(
    place: &dyn Place,
) {
    let run_id = place.run_id();
    let mut early = watch(place, 0).await;
    let worker = place.worker(run_id, "w").await;
    for second in 0..10 {
        worker.publish(event(run_id, "w", second));
    }
    assert_eq!(early.next(10).await, of("w", 0..10));
    let mut late = watch(place, 0).await;
    for second in 10..20 {
        worker.publish(event(run_id, "w", second));
    }
    assert_eq!(late.next(20).await, of("w", 0..20));
    assert_eq!(early.next(10).await, of("w", 10..20));
    assert_eq!(worker.dropped(), 0);
}

pub(crate) async fn a_watcher_gets_the_events_of_all_workers_from_its_time_on(place: &dyn Place) {
    let run_id = place.run_id();
    for name in ["u", "v", "w"] {
        let worker = place.worker(run_id, name).await;
        for second in 0..20 {
            worker.publish(event(run_id, name, second));
        }
        worker.close().await;
        assert_eq!(worker.dropped(), 0);
    }
    let mut watcher = watch(place, 10).await;
    let all = watcher.next(30).await;
    for name in ["u", "v", "w"] {
        let seen = all.iter().filter(|(worker, _)| worker == name);
        assert_eq!(seen.cloned().collect::<Vec<_>>(), of(name, 10..20));
    }
}

pub(crate) async fn events_of_another_run_are_passed_over(place: &dyn Place) {
    let (run_id, another) = (place.run_id(), Uuid::new_v4());
    let other = place.worker(another, "o").await;
    other.publish(event(another, "o", 1));
    other.close().await;
    let worker = place.worker(run_id, "w").await;
    worker.publish(event(run_id, "w", 2));
    assert_eq!(watch(place, 0).await.next(1).await, of("w", 2..3));
}

pub(crate) async fn what_waits_is_sent_when_events_are_closed(place: &dyn Place) {
    let run_id = place.run_id();
    let worker = place.worker(run_id, "w").await;
    for second in 0..300 {
        worker.publish(event(run_id, "w", second));
    }
    worker.close().await;
    worker.publish(event(run_id, "w", 300));
    worker.close().await;
    assert_eq!(worker.dropped(), 1);
    let mut watcher = watch(place, 0).await;
    assert_eq!(watcher.next(300).await, of("w", 0..300));
    // Only what was published before is there.
    let more = tokio::time::timeout(Duration::from_millis(700), watcher.one()).await;
    assert!(more.is_err(), "{more:?}");
}

/// Makes a test of every promise, in the place that `$place` makes; none where there is none.
macro_rules! events_contract {
    ($place:expr) => {
        $crate::contract::events::events_contract! { @each $place;
            an_event_arrives_as_it_was_published
            every_watcher_gets_what_was_said_before_and_what_is_said_later
            a_watcher_gets_the_events_of_all_workers_from_its_time_on
            events_of_another_run_are_passed_over
            what_waits_is_sent_when_events_are_closed
        }
    };
    (@each $place:expr; $($promise:ident)+) => {
        $(
            #[test]
            fn $promise() {
                let Some(place) = $place() else {
                    return;
                };
                $crate::support::postgres::runtime()
                    .block_on($crate::contract::events::$promise(&place));
            }
        )+
    };
}
pub(crate) use events_contract;
