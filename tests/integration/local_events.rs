//! Events by way of a storage: several workers, several watchers, and a storage that fails.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use sbm::{
    events::{EventReader, Events, Feed, LocalEventReader, LocalEvents},
    protocol::{Event, EventKind, Pair, Platform, RunPaths, Target},
    storage::{Error, LocalFolder, Storage},
};
use uuid::Uuid;

use crate::{
    contract::{engine::PATIENCE, storage::names},
    support::{
        faulty_storage::{FaultyStorage, until},
        postgres::runtime,
    },
};

const RUN: Uuid = Uuid::from_u128(7);

/// The event of one second.
fn event(run_id: Uuid, second: i64) -> Event {
    let target = Target {
        server: "s".into(),
        pairs: vec![Pair {
            default: String::new(),
            database: "d".into(),
        }],
        tag: None,
    };
    Event {
        run_id,
        key: target.key(Platform::Sqlite),
        at: Timestamp::from_second(second).unwrap(),
        kind: EventKind::Script {
            script: format!("{second}.sql"),
        },
    }
}

fn worker(storage: &Arc<dyn Storage>, name: &str) -> LocalEvents {
    LocalEvents::new(Arc::clone(storage), &RunPaths::new(RUN), name)
}

async fn feed(storage: &Arc<dyn Storage>, since: i64) -> Feed {
    let reader = LocalEventReader::new(Arc::clone(storage), RUN);
    let since = Timestamp::from_second(since).unwrap();
    reader.subscribe(since).await.unwrap()
}

/// The seconds of the next events.
async fn next(feed: &mut Feed, count: usize) -> Vec<i64> {
    let mut seconds = Vec::new();
    for _ in 0..count {
        let event = tokio::time::timeout(PATIENCE, feed.next()).await;
        let event = event.expect("an event comes").expect("the feed goes on");
        assert_eq!(event, self::event(RUN, event.at.as_second()));
        seconds.push(event.at.as_second());
    }
    seconds
}

#[test]
fn every_watcher_gets_what_was_said_before_and_what_is_said_later() {
    runtime().block_on(async {
        let (_, storage) = FaultyStorage::new().await.shared();
        let mut early = feed(&storage, 0).await;
        let events = worker(&storage, "w");
        for second in 0..10 {
            events.publish(event(RUN, second));
        }
        assert_eq!(next(&mut early, 10).await, (0..10).collect::<Vec<i64>>());
        let mut late = feed(&storage, 0).await;
        for second in 10..20 {
            events.publish(event(RUN, second));
        }
        assert_eq!(next(&mut late, 20).await, (0..20).collect::<Vec<i64>>());
        assert_eq!(next(&mut early, 10).await, (10..20).collect::<Vec<i64>>());
        assert_eq!(events.dropped(), 0);
    });
}

#[test]
fn a_watcher_gets_the_events_of_all_workers_from_its_time_on() {
    runtime().block_on(async {
        let (_, storage) = FaultyStorage::new().await.shared();
        // Two of them have the same name.
        let workers = ["v", "w", "w"].map(|name| worker(&storage, name));
        for second in 0..30 {
            workers[second % 3].publish(event(RUN, second.try_into().unwrap()));
        }
        for worker in &workers {
            worker.close().await;
        }
        assert_eq!(
            names(&*storage, &RunPaths::new(RUN).events()).await.len(),
            3
        );
        let mut feed = feed(&storage, 10).await;
        let mut seconds = next(&mut feed, 20).await;
        seconds.sort_unstable();
        assert_eq!(seconds, (10..30).collect::<Vec<i64>>());
    });
}

#[test]
fn events_of_another_run_and_what_is_none_are_passed_over() {
    runtime().block_on(async {
        let (_, storage) = FaultyStorage::new().await.shared();
        let object = RunPaths::new(RUN).events_of("old") + "1.jsonl";
        let other = serde_json::to_string(&event(Uuid::from_u128(8), 1)).unwrap();
        let piece = Bytes::from(format!("{other}\nno event\n{{\"runId"));
        storage.append(&object, piece).await.unwrap();
        let elsewhere = LocalEvents::new(
            Arc::clone(&storage),
            &RunPaths::new(Uuid::from_u128(8)),
            "w",
        );
        elsewhere.publish(event(Uuid::from_u128(8), 2));
        elsewhere.close().await;
        let events = worker(&storage, "w");
        events.publish(event(RUN, 3));
        assert_eq!(next(&mut feed(&storage, 0).await, 1).await, [3]);
    });
}

#[test]
fn a_storage_that_hangs_costs_events_and_holds_nobody_up() {
    runtime().block_on(async {
        let mut faulty = FaultyStorage::new().await;
        faulty.door = tokio::sync::Semaphore::new(0);
        let (faulty, storage) = faulty.shared();
        let events = worker(&storage, "w");
        events.publish(event(RUN, 0));
        until("it is written", || faulty.appends() > 0).await;
        for second in 1..30_000 {
            events.publish(event(RUN, second));
        }
        let dropped = events.dropped();
        assert!((1..30_000).contains(&dropped), "{dropped}");
    });
}

#[test]
fn a_storage_that_fails_costs_the_events_of_that_time_alone() {
    runtime().block_on(async {
        let (faulty, storage) = FaultyStorage::new().await.shared();
        faulty.fail(u32::MAX);
        let events = worker(&storage, "w");
        events.publish(event(RUN, 1));
        until("the event is given up", || events.dropped() == 1).await;
        faulty.fail(0);
        events.publish(event(RUN, 2));
        events.close().await;
        assert_eq!(next(&mut feed(&storage, 0).await, 1).await, [2]);
        assert_eq!(events.dropped(), 1);
    });
}

#[test]
fn what_waits_is_stored_when_events_are_closed() {
    runtime().block_on(async {
        let (_, storage) = FaultyStorage::new().await.shared();
        let events = worker(&storage, "w");
        for second in 0..5_000 {
            events.publish(event(RUN, second));
        }
        events.close().await;
        events.publish(event(RUN, 5_000));
        events.close().await;
        assert_eq!(events.dropped(), 1);
        let mut feed = feed(&storage, 0).await;
        assert_eq!(
            next(&mut feed, 5_000).await,
            (0..5_000).collect::<Vec<i64>>()
        );
        // Only what was published before is there.
        let more = tokio::time::timeout(Duration::from_millis(700), feed.next()).await;
        assert!(more.is_err(), "{more:?}");
    });
}

#[test]
fn nobody_watches_a_place_that_is_not_there() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(LocalFolder::new(folder.path()));
        let reader = LocalEventReader::new(Arc::clone(&storage), RUN);
        let error = reader.subscribe(Timestamp::UNIX_EPOCH).await.unwrap_err();
        let sbm::events::FeedError::Storage(Error::NoPlace { .. }) = error else {
            panic!("{error:?}");
        };
    });
}
