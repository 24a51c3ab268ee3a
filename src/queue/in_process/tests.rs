use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use futures::{FutureExt, poll};
use tokio::task::JoinSet;

use super::*;
use crate::protocol::{ConcurrencyType, Pair};

/// Longer than any wait of these tests.
const PATIENCE: Duration = Duration::from_secs(600);

fn queue(kind: ConcurrencyType, limit: usize, max_slots: usize) -> InProcess {
    let concurrency = Concurrency {
        kind,
        limit,
        max_slots,
    };
    InProcess::new(Platform::SqlServer, concurrency)
}

/// Targets from lines of the form `server:database`.
fn targets(text: &str) -> Vec<Target> {
    let target = |line: &str| {
        let (server, database) = line.split_once(':').unwrap();
        Target {
            server: server.into(),
            pairs: vec![Pair {
                default: String::new(),
                database: database.into(),
            }],
            tag: None,
        }
    };
    text.lines().map(target).collect()
}

async fn filled(kind: ConcurrencyType, limit: usize, text: &str) -> InProcess {
    let queue = queue(kind, limit, 100);
    queue.send_all(targets(text), Purpose::Build).await.unwrap();
    queue
}

/// The delivery that is there without waiting.
async fn now(queue: &InProcess) -> Delivery {
    let received = queue.receive(PATIENCE).now_or_never();
    let received = received.expect("a target may be built now").unwrap();
    received.delivery().unwrap()
}

#[tokio::test]
async fn an_empty_queue_ends_at_once() {
    let queue = queue(ConcurrencyType::Count, 1, 1);
    assert_eq!(queue.receive(PATIENCE).await.unwrap(), Received::Closed);
    assert_eq!(queue.counts().await.unwrap(), Counts::default());
}

#[tokio::test]
async fn receivers_wait_for_a_slot_and_end_when_all_is_done() {
    let queue = filled(ConcurrencyType::Count, 1, "s:a\ns:b").await;
    let first = now(&queue).await;
    let mut second = Box::pin(queue.receive(PATIENCE));
    let mut third = Box::pin(queue.receive(PATIENCE));
    assert!(poll!(&mut second).is_pending());
    assert!(poll!(&mut third).is_pending());
    queue.complete(&first).await.unwrap();
    let delivery = second.await.unwrap().delivery().unwrap();
    assert_eq!(delivery.target.to_string(), "s:b");
    assert!(poll!(&mut third).is_pending());
    queue.complete(&delivery).await.unwrap();
    assert_eq!(third.await.unwrap(), Received::Closed);
}

#[tokio::test]
async fn a_receiver_that_waits_gets_what_is_abandoned() {
    let queue = filled(ConcurrencyType::Count, 1, "s:a").await;
    let first = now(&queue).await;
    let mut waiting = Box::pin(queue.receive(PATIENCE));
    assert!(poll!(&mut waiting).is_pending());
    queue.abandon(&first).await.unwrap();
    let again = waiting.await.unwrap().delivery().unwrap();
    assert_eq!((again.target, again.count), (first.target, 2));
}

#[tokio::test]
async fn a_dropped_receiver_loses_neither_target_nor_notice() {
    let queue = filled(ConcurrencyType::Count, 1, "s:a\ns:b").await;
    let first = now(&queue).await;
    let mut dropped = Box::pin(queue.receive(PATIENCE));
    let mut kept = Box::pin(queue.receive(PATIENCE));
    assert!(poll!(&mut dropped).is_pending());
    assert!(poll!(&mut kept).is_pending());
    // The notice goes to the one that waits longest, which is dropped without looking.
    queue.complete(&first).await.unwrap();
    drop(dropped);
    let Poll::Ready(Ok(Received::Delivery(delivery))) = poll!(&mut kept) else {
        panic!("the notice was lost with the dropped receiver");
    };
    assert_eq!(
        (delivery.target.to_string(), delivery.count),
        ("s:b".to_owned(), 1)
    );
}

#[tokio::test]
async fn targets_that_come_later_wake_all_receivers_that_wait() {
    let queue = filled(ConcurrencyType::Server, 1, "a:x").await;
    let first = now(&queue).await;
    let mut second = Box::pin(queue.receive(PATIENCE));
    let mut third = Box::pin(queue.receive(PATIENCE));
    assert!(poll!(&mut second).is_pending());
    assert!(poll!(&mut third).is_pending());
    queue
        .send_all(targets("b:y\nc:z"), Purpose::Build)
        .await
        .unwrap();
    assert!(second.await.unwrap().delivery().is_some());
    assert!(third.await.unwrap().delivery().is_some());
    queue.complete(&first).await.unwrap();
}

#[tokio::test]
async fn closing_ends_receivers_and_gives_back_what_is_pending() {
    let queue = filled(ConcurrencyType::Count, 1, "s:a\ns:b\ns:c").await;
    let first = now(&queue).await;
    let mut waiting = Box::pin(queue.receive(PATIENCE));
    assert!(poll!(&mut waiting).is_pending());
    let pending: Vec<String> = queue
        .close()
        .await
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(pending, ["s:b", "s:c"]);
    assert_eq!(waiting.await.unwrap(), Received::Closed);
    assert_eq!(queue.receive(PATIENCE).await.unwrap(), Received::Closed);
    queue.abandon(&first).await.unwrap();
    assert_eq!(queue.receive(PATIENCE).await.unwrap(), Received::Closed);
    assert_eq!(queue.close().await.unwrap(), [first.target]);
    let error = queue
        .send_all(targets("s:d"), Purpose::Build)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Closed { .. }));
    assert_eq!(
        error.to_string(),
        "the queue in this process is closed and takes no more targets"
    );
}

#[tokio::test]
async fn a_delivery_is_settled_once() {
    let queue = filled(ConcurrencyType::Count, 2, "s:a\ns:b").await;
    let first = now(&queue).await;
    queue.complete(&first).await.unwrap();
    for result in [queue.complete(&first).await, queue.abandon(&first).await] {
        let message = result.unwrap_err().to_string();
        assert_eq!(
            message,
            "delivery 0 of target s:a is not in flight any more"
        );
    }
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.pending, counts.in_flight), (1, 0));
}

/// Many tasks on several threads: each target is completed once, never too many at once, and every task ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_receivers_share_the_work_within_the_limits() {
    let text: String = (0..600).map(|n| format!("s{}:d{n}\n", n % 9)).collect();
    let queue: Arc<dyn Queue> = Arc::new(queue(ConcurrencyType::MaxPerServer, 2, 7));
    queue
        .send_all(targets(&text), Purpose::Build)
        .await
        .unwrap();
    let total = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for seed in 0..20 {
        let (queue, total) = (Arc::clone(&queue), Arc::clone(&total));
        tasks.spawn(async move {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut done = Vec::new();
            while let Some(delivery) = queue.receive(PATIENCE).await.unwrap().delivery() {
                assert!(total.fetch_add(1, Ordering::SeqCst) < 7);
                for _ in 0..random.usize(0..4) {
                    tokio::task::yield_now().await;
                }
                total.fetch_sub(1, Ordering::SeqCst);
                if random.usize(0..10) == 0 {
                    queue.abandon(&delivery).await.unwrap();
                } else {
                    queue.complete(&delivery).await.unwrap();
                    done.push(delivery.target.to_string());
                }
            }
            done
        });
    }
    let mut completed: HashMap<String, usize> = HashMap::new();
    for name in tasks.join_all().await.into_iter().flatten() {
        *completed.entry(name).or_default() += 1;
    }
    assert_eq!(completed.len(), 600);
    assert!(completed.values().all(|count| *count == 1));
}
