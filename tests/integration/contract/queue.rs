//! What every queue promises: one function per promise, called for each queue in `queues.rs`.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use sbm::{
    clock::Moment,
    protocol::{Concurrency, ConcurrencyType, Pair, Target},
    queue::{Counts, Delivery, Error, MAX_DELIVERIES, Purpose, Queue, Received},
};
use tokio::task::JoinSet;

/// Longer than anything that is to happen takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Where one queue is, for targets on SQL Server.
pub(crate) trait Place: fmt::Debug + Send + Sync {
    /// One more receiver of the queue, which need not be there yet; the same as before where there can be only one.
    fn receiver(&self, concurrency: Concurrency) -> Arc<dyn Queue>;
}

pub(crate) fn concurrency(kind: ConcurrencyType, limit: usize, max_slots: usize) -> Concurrency {
    Concurrency {
        kind,
        limit,
        max_slots,
    }
}

/// Targets from lines of the form `server:database`.
pub(crate) fn targets(text: &str) -> Vec<Target> {
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
    text.split_whitespace().map(target).collect()
}

pub(crate) async fn send(queue: &dyn Queue, text: &str) {
    queue.send_all(targets(text), Purpose::Build).await.unwrap();
}

/// The next delivery, which will come.
pub(crate) async fn next(queue: &dyn Queue) -> Delivery {
    match queue.receive(PATIENCE).await.unwrap() {
        Received::Delivery(delivery) => *delivery,
        other => panic!("no target but {other:?}"),
    }
}

/// Everything that may be built now.
async fn all_now(queue: &dyn Queue) -> Vec<Delivery> {
    let mut all = Vec::new();
    while let Some(delivery) = queue.receive(Duration::ZERO).await.unwrap().delivery() {
        all.push(delivery);
    }
    all
}

fn names(deliveries: &[Delivery]) -> Vec<String> {
    let name = |delivery: &Delivery| delivery.target.to_string();
    deliveries.iter().map(name).collect()
}

fn is_lost<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::LockLost { .. }))
}

async fn counts(queue: &dyn Queue) -> (usize, usize, usize) {
    let Counts {
        closed: _,
        pending,
        in_flight,
        dead,
    } = queue.counts().await.unwrap();
    (pending, in_flight, dead)
}

async fn made(place: &dyn Place, kind: ConcurrencyType, limit: usize) -> Arc<dyn Queue> {
    let queue = place.receiver(concurrency(kind, limit, 32));
    queue.create().await.unwrap();
    queue
}

pub(crate) async fn targets_are_delivered_in_their_order_and_completed_once(place: &dyn Place) {
    let queue = made(place, ConcurrencyType::Count, 5).await;
    send(&*queue, "s:a s:b S:c").await;
    assert_eq!(counts(&*queue).await, (3, 0, 0));
    let all = all_now(&*queue).await;
    assert_eq!(names(&all), ["s:a", "s:b", "S:c"]);
    assert!(all.iter().all(|delivery| delivery.count == 1));
    assert!(all.iter().all(|delivery| delivery.session.is_none()));
    assert_eq!(counts(&*queue).await, (0, 3, 0));
    for delivery in &all {
        assert!(!delivery.locked_until.has_passed());
        queue.complete(delivery).await.unwrap();
    }
    assert_eq!(counts(&*queue).await, (0, 0, 0));
    let after = queue.receive(Duration::ZERO).await.unwrap();
    assert!(matches!(after, Received::Nothing | Received::Closed));
}

pub(crate) async fn a_target_arrives_as_it_was_sent(place: &dyn Place) {
    let queue = made(place, ConcurrencyType::Tag, 1).await;
    let pair = |default: &str, database: &str| Pair {
        default: default.into(),
        database: database.into(),
    };
    let target = Target {
        server: "tcp:Höst\\\"x\",1433".into(),
        pairs: vec![pair("client", "Tenant 1"), pair("", "ünï'cödé")],
        tag: Some("Pool <1>".into()),
    };
    queue
        .send_all(vec![target.clone()], Purpose::Reconcile)
        .await
        .unwrap();
    let delivery = next(&*queue).await;
    assert_eq!(delivery.target, target);
    assert_eq!(delivery.purpose, Purpose::Reconcile);
    assert_eq!(delivery.session.as_deref(), Some("Pool <1>"));
    queue.complete(&delivery).await.unwrap();
}

pub(crate) async fn an_abandoned_target_comes_back_with_a_higher_count(place: &dyn Place) {
    let queue = made(place, ConcurrencyType::Server, 1).await;
    send(&*queue, "s:a").await;
    let first = next(&*queue).await;
    queue.abandon(&first).await.unwrap();
    let again = next(&*queue).await;
    assert_eq!(
        (again.target.clone(), again.count),
        (first.target.clone(), 2)
    );
    assert_ne!(again.id, first.id);
    assert!(is_lost(queue.complete(&first).await));
    queue.complete(&again).await.unwrap();
}

pub(crate) async fn a_delivery_is_settled_once(place: &dyn Place) {
    let queue = made(place, ConcurrencyType::Count, 9).await;
    send(&*queue, "s:a s:b s:c s:d").await;
    let all = all_now(&*queue).await;
    queue.complete(&all[0]).await.unwrap();
    queue.abandon(&all[1]).await.unwrap();
    queue.dead_letter(&all[2], "Bad", "very bad").await.unwrap();
    for delivery in &all[..3] {
        assert!(is_lost(queue.complete(delivery).await));
        assert!(is_lost(queue.abandon(delivery).await));
        assert!(is_lost(queue.dead_letter(delivery, "x", "y").await));
        let error = queue.renew(delivery).await.unwrap_err();
        assert!(error.to_string().contains(&delivery.target.to_string()));
        assert!(is_lost::<()>(Err(error)));
    }
    assert_eq!(counts(&*queue).await, (1, 1, 1));
}

pub(crate) async fn a_receiver_waits_for_a_slot(place: &dyn Place) {
    let queue = made(place, ConcurrencyType::Count, 1).await;
    send(&*queue, "s:a s:b").await;
    let first = next(&*queue).await;
    let full = queue.receive(Duration::from_millis(30)).await.unwrap();
    assert_eq!(full, Received::Nothing);
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { next(&*queue).await }
    });
    tokio::task::yield_now().await;
    queue.complete(&first).await.unwrap();
    assert_eq!(names(&[waiting.await.unwrap()]), ["s:b"]);
}

pub(crate) async fn a_receiver_waits_for_what_is_sent_later(place: &dyn Place) {
    let queue = made(place, ConcurrencyType::MaxPerServer, 2).await;
    send(&*queue, "s:a").await;
    let first = next(&*queue).await;
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { next(&*queue).await }
    });
    tokio::task::yield_now().await;
    send(
        &*place.receiver(concurrency(ConcurrencyType::MaxPerServer, 2, 32)),
        "t:b",
    )
    .await;
    assert_eq!(names(&[waiting.await.unwrap()]), ["t:b"]);
    queue.complete(&first).await.unwrap();
}

pub(crate) async fn a_dropped_receiver_loses_nothing(place: &dyn Place) {
    let queue = made(place, ConcurrencyType::Count, 9).await;
    let text: String = (0..9).map(|n| format!("s:{n} ")).collect();
    send(&*queue, &text).await;
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..60 {
        let mut receive = Box::pin(queue.receive(PATIENCE));
        let mut arrived = futures::poll!(&mut receive);
        for _ in 0..random.usize(0..3) {
            if arrived.is_ready() {
                break;
            }
            tokio::time::sleep(Duration::from_micros(random.u64(0..900))).await;
            arrived = futures::poll!(&mut receive);
        }
        drop(receive);
        if let std::task::Poll::Ready(received) = arrived {
            let delivery = received.unwrap().delivery().unwrap();
            assert_eq!(delivery.count, 1, "seed {seed}");
            queue.complete(&delivery).await.unwrap();
            queue
                .send_all(vec![delivery.target], Purpose::Build)
                .await
                .unwrap();
        }
    }
    let mut left = Vec::new();
    for _ in 0..9 {
        let delivery = next(&*queue).await;
        assert_eq!(delivery.count, 1, "seed {seed}");
        left.push(delivery.target.to_string());
        queue.complete(&delivery).await.unwrap();
    }
    left.sort();
    assert_eq!(left, names_of(&text), "seed {seed}");
    assert_eq!(counts(&*queue).await, (0, 0, 0), "seed {seed}");
}

fn names_of(text: &str) -> Vec<String> {
    let mut names: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    names.sort();
    names
}

pub(crate) async fn no_more_of_a_session_than_its_limit(place: &dyn Place) {
    let kind = ConcurrencyType::MaxPerServer;
    let first = made(place, kind, 2).await;
    let second = place.receiver(concurrency(kind, 2, 32));
    send(&*first, "a:1 A:2 a,1433:3 b:4 b:5 b:6").await;
    let mut all = all_now(&*first).await;
    all.extend(all_now(&*second).await);
    let mut by_session: BTreeMap<&str, usize> = BTreeMap::new();
    for delivery in &all {
        *by_session
            .entry(delivery.session.as_deref().unwrap())
            .or_default() += 1;
    }
    assert_eq!(by_session, BTreeMap::from([("a", 2), ("b", 2)]));
    first.complete(&all[0]).await.unwrap();
    let mut more = all_now(&*second).await;
    more.extend(all_now(&*first).await);
    assert_eq!(more.len(), 1, "{more:?}");
    assert_eq!(more[0].session, all[0].session);
}

pub(crate) async fn a_session_that_ran_dry_is_free_for_others(place: &dyn Place) {
    let kind = ConcurrencyType::Server;
    let first = made(place, kind, 1).await;
    let second = place.receiver(concurrency(kind, 1, 32));
    send(&*first, "a:1 a:2").await;
    let one = next(&*first).await;
    assert!(all_now(&*second).await.is_empty());
    first.complete(&one).await.unwrap();
    let two = next(&*second).await;
    assert_eq!(names(&[one, two.clone()]), ["a:1", "a:2"]);
    second.complete(&two).await.unwrap();
}

pub(crate) async fn sessions_take_turns(place: &dyn Place) {
    let queue = place.receiver(concurrency(ConcurrencyType::MaxPerServer, 5, 1));
    queue.create().await.unwrap();
    send(&*queue, "a:1 a:2 a:3 b:1 b:2 c:1").await;
    let mut order = String::new();
    for _ in 0..6 {
        let delivery = next(&*queue).await;
        order.push_str(&delivery.target.server);
        queue.complete(&delivery).await.unwrap();
    }
    assert_eq!(order, "abcaba");
}

pub(crate) async fn slots_are_a_limit_for_all(place: &dyn Place) {
    let queue = place.receiver(concurrency(ConcurrencyType::MaxPerServer, 2, 3));
    queue.create().await.unwrap();
    send(&*queue, "a:1 a:2 b:1 b:2 c:1 c:2").await;
    let all = all_now(&*queue).await;
    assert_eq!(all.len(), 3);
    queue.abandon(&all[1]).await.unwrap();
    assert_eq!(all_now(&*queue).await.len(), 1);
}

pub(crate) async fn a_renewed_lock_lasts(place: &dyn Place) {
    let queue = made(place, ConcurrencyType::MaxPerServer, 2).await;
    send(&*queue, "a:1 a:2").await;
    let all = all_now(&*queue).await;
    assert_eq!(all.len(), 2);
    for delivery in &all {
        let until = queue.renew(delivery).await.unwrap();
        assert!(until >= delivery.locked_until);
        assert!(until > Moment::now());
    }
    queue.complete(&all[0]).await.unwrap();
    queue.renew(&all[1]).await.unwrap();
}

pub(crate) async fn the_dead_are_kept_with_the_reason(place: &dyn Place) {
    let queue = made(place, ConcurrencyType::Server, 1).await;
    send(&*queue, "s:a s:b").await;
    let first = next(&*queue).await;
    let description = "it has no \"database\"\nat all";
    queue
        .dead_letter(&first, "Unbuildable", description)
        .await
        .unwrap();
    let second = next(&*queue).await;
    assert_eq!(second.target.to_string(), "s:b");
    queue.complete(&second).await.unwrap();
    assert_eq!(counts(&*queue).await, (0, 0, 1));
    let dead = queue.dead().await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].target, first.target);
    assert_eq!((dead[0].count, dead[0].purpose), (1, Purpose::Build));
    assert_eq!(
        (&*dead[0].reason, &*dead[0].description),
        ("Unbuildable", description)
    );
}

pub(crate) async fn a_target_that_always_comes_back_is_given_up(place: &dyn Place) {
    let queue = made(place, ConcurrencyType::Server, 1).await;
    send(&*queue, "s:a s:b").await;
    for _ in 0..2 * MAX_DELIVERIES {
        let delivery = next(&*queue).await;
        queue.abandon(&delivery).await.unwrap();
    }
    assert_eq!(counts(&*queue).await, (0, 0, 2));
    for dead in queue.dead().await.unwrap() {
        assert_eq!(dead.count, MAX_DELIVERIES);
        assert_eq!(dead.reason, "MaxDeliveryCountExceeded");
    }
}

pub(crate) async fn closing_gives_back_what_is_pending(place: &dyn Place) {
    let kind = ConcurrencyType::MaxPerServer;
    let queue = made(place, kind, 1).await;
    let other = place.receiver(concurrency(kind, 1, 32));
    send(&*queue, "a:1 a:2 a:3").await;
    let first = next(&*queue).await;
    let waiting = tokio::spawn(async move { other.receive(PATIENCE).await.unwrap() });
    let pending: Vec<String> = queue
        .close()
        .await
        .unwrap()
        .iter()
        .map(Target::to_string)
        .collect();
    assert_eq!(pending, ["a:2", "a:3"]);
    assert_eq!(waiting.await.unwrap(), Received::Closed);
    assert_eq!(queue.receive(PATIENCE).await.unwrap(), Received::Closed);
    queue.renew(&first).await.unwrap();
    queue.abandon(&first).await.unwrap();
    assert_eq!(queue.receive(PATIENCE).await.unwrap(), Received::Closed);
    assert_eq!(queue.close().await.unwrap(), [first.target]);
    assert_eq!(queue.close().await.unwrap(), []);
    let error = queue
        .send_all(targets("a:4"), Purpose::Build)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error}");
    queue.create().await.unwrap();
    send(&*queue, "a:5").await;
    assert_eq!(names(&[next(&*queue).await]), ["a:5"]);
}

pub(crate) async fn everybody_learns_that_a_queue_is_removed(place: &dyn Place) {
    let kind = ConcurrencyType::Server;
    let queue = made(place, kind, 1).await;
    let other = place.receiver(concurrency(kind, 1, 32));
    send(&*queue, "a:1 a:2").await;
    let first = next(&*queue).await;
    let waiting = tokio::spawn(async move { other.receive(PATIENCE).await.unwrap() });
    queue.remove().await.unwrap();
    assert_eq!(waiting.await.unwrap(), Received::Gone);
    assert_eq!(queue.receive(PATIENCE).await.unwrap(), Received::Gone);
    let error = queue.complete(&first).await.unwrap_err();
    assert!(
        matches!(error, Error::Gone { .. } | Error::LockLost { .. }),
        "{error}"
    );
    let error = queue
        .send_all(targets("a:3"), Purpose::Build)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Gone { .. }), "{error}");
    queue.remove().await.unwrap();
    queue.create().await.unwrap();
    send(&*queue, "a:4").await;
    assert_eq!(names(&[next(&*queue).await]), ["a:4"]);
    assert!(is_lost(queue.complete(&first).await));
}

/// Many tasks of two receivers: everything is completed once, and never too much of a session is in flight.
pub(crate) async fn many_share_the_work_within_the_limits(place: &dyn Place) {
    const TARGETS: usize = 120;
    let kind = ConcurrencyType::MaxPerServer;
    let text: String = (0..TARGETS).map(|n| format!("s{}:d{n} ", n % 5)).collect();
    let queue = made(place, kind, 2).await;
    send(&*queue, &text).await;
    let done: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let at_once: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
    let mut tasks = JoinSet::new();
    for task in 0..12 {
        let receiver = match task % 2 {
            0 => Arc::clone(&queue),
            _ => place.receiver(concurrency(kind, 2, 32)),
        };
        let (done, at_once) = (Arc::clone(&done), Arc::clone(&at_once));
        tasks.spawn(async move {
            let mut random = fastrand::Rng::with_seed(task);
            while done.lock().unwrap().len() < TARGETS {
                let received = receiver.receive(Duration::from_millis(50)).await.unwrap();
                let Some(delivery) = received.delivery() else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let session = delivery.session.clone().unwrap();
                {
                    let mut at_once = at_once.lock().unwrap();
                    let number = at_once.entry(session.clone()).or_default();
                    *number += 1;
                    assert!(*number <= 2, "{session}: {number}");
                }
                for _ in 0..random.usize(0..4) {
                    tokio::task::yield_now().await;
                }
                *at_once.lock().unwrap().get_mut(&session).unwrap() -= 1;
                if random.usize(0..10) == 0 {
                    receiver.abandon(&delivery).await.unwrap();
                } else {
                    receiver.complete(&delivery).await.unwrap();
                    let name = delivery.target.to_string();
                    *done.lock().unwrap().entry(name).or_default() += 1;
                }
            }
        });
    }
    tasks.join_all().await;
    assert!(done.lock().unwrap().values().all(|count| *count == 1));
    assert_eq!(counts(&*queue).await, (0, 0, 0));
}

/// Makes a test of every promise, in the place that `$place` makes; none where there is none.
macro_rules! queue_contract {
    ($place:expr) => {
        $crate::contract::queue::queue_contract! { @each $place;
            targets_are_delivered_in_their_order_and_completed_once
            a_target_arrives_as_it_was_sent
            an_abandoned_target_comes_back_with_a_higher_count
            a_delivery_is_settled_once
            a_receiver_waits_for_a_slot
            a_receiver_waits_for_what_is_sent_later
            a_dropped_receiver_loses_nothing
            no_more_of_a_session_than_its_limit
            a_session_that_ran_dry_is_free_for_others
            sessions_take_turns
            slots_are_a_limit_for_all
            a_renewed_lock_lasts
            the_dead_are_kept_with_the_reason
            a_target_that_always_comes_back_is_given_up
            closing_gives_back_what_is_pending
            everybody_learns_that_a_queue_is_removed
            many_share_the_work_within_the_limits
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
                    .block_on($crate::contract::queue::$promise(&place));
            }
        )+
    };
}
pub(crate) use queue_contract;
