//! Service Bus beyond the contract of queues: faults, foreign messages, and other ways to connect.

use std::{collections::HashMap, sync::Arc, time::Duration};

use fe2o3_amqp_types::messaging::Properties;
use sbm::{
    azure::{
        amqp::Settings,
        service_bus::{Open, Options, ServiceBus, ServiceBusQueue},
    },
    protocol::{ConcurrencyType, Platform},
    queue::{Delivery, Error, Purpose, Queue, Received},
};
use uuid::Uuid;

use super::{
    cut::Way,
    raw::{self, port},
    sandbox::{Own, Sandbox},
};
use crate::{
    contract::queue::{PATIENCE, concurrency, next, send, targets},
    support::postgres::runtime,
};

/// A job of its own for each test.
fn options(kind: ConcurrencyType, limit: usize) -> Options {
    let run_id = Uuid::new_v4();
    let job = format!("t{}", run_id.simple());
    Options {
        sessions: 100,
        lock: Duration::from_secs(300),
        least_wait: Duration::from_secs(5),
        linger: Duration::from_secs(10),
        ..Options::new(
            &job,
            run_id,
            Platform::SqlServer,
            concurrency(kind, limit, 32),
        )
    }
}

/// A queue that is there.
async fn made(open: Open, options: &Options) -> ServiceBusQueue {
    let queue = ServiceBus::open(open).unwrap().queue(options.clone());
    queue.create().await.unwrap();
    queue
}

/// One target goes in and out.
async fn use_it(queue: &ServiceBusQueue) {
    send(queue, "s:a").await;
    let delivery = next(queue).await;
    queue.renew(&delivery).await.unwrap();
    queue.complete(&delivery).await.unwrap();
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.pending, counts.in_flight, counts.dead), (0, 0, 0));
    queue.remove().await.unwrap();
}

fn is_lost<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::LockLost { .. }))
}

/// The next delivery, for which a connection may have to be made anew.
async fn next_at_last(queue: &dyn Queue) -> Delivery {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        match queue.receive(PATIENCE).await {
            Ok(Received::Delivery(delivery)) => return *delivery,
            Err(error) if tokio::time::Instant::now() > until => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            Ok(other) => panic!("no target but {other:?}"),
        }
    }
}

#[test]
fn a_queue_is_used_without_tls_and_in_a_web_socket() {
    let Some(sandbox) = Sandbox::find() else {
        return;
    };
    runtime().block_on(async {
        let options = options(ConcurrencyType::Count, 3);
        let place = &sandbox.service_bus;
        use_it(&made(sandbox.open(&place.emulator), &options).await).await;
        for connection in [&place.connection, &place.emulator] {
            let open = Open {
                settings: Settings {
                    web_socket: true,
                    ..Settings::default()
                },
                ..sandbox.open(connection)
            };
            use_it(&made(open, &options).await).await;
        }
    });
}

#[test]
fn a_namespace_is_used_with_a_token_of_entra() {
    let Some(sandbox) = Sandbox::find() else {
        return;
    };
    runtime().block_on(async {
        let open = Open {
            identity: Some(Arc::new(sandbox.identity().await)),
            ..sandbox.open(&sandbox.service_bus.namespace)
        };
        use_it(&made(open, &options(ConcurrencyType::Server, 1)).await).await;
    });
}

#[test]
fn whoever_may_only_listen_works_and_makes_nothing() {
    let Some(sandbox) = Sandbox::find() else {
        return;
    };
    runtime().block_on(async {
        let options = options(ConcurrencyType::MaxPerServer, 2);
        let place = &sandbox.service_bus;
        let listening = ServiceBus::open(sandbox.open(&place.listen_only)).unwrap();
        let worker = listening.queue(options.clone());
        assert_eq!(worker.receive(PATIENCE).await.unwrap(), Received::Gone);
        assert!(matches!(worker.create().await, Err(Error::Other { .. })));
        let owner = made(sandbox.open(&place.connection), &options).await;
        send(&owner, "s:a s:b").await;
        let first = next(&worker).await;
        assert_eq!(worker.counts().await.unwrap().in_flight, 1);
        worker.renew(&first).await.unwrap();
        worker.complete(&first).await.unwrap();
        let second = next(&worker).await;
        worker
            .dead_letter(&second, "Bad", "very bad")
            .await
            .unwrap();
        assert_eq!(worker.dead().await.unwrap().len(), 1);
        owner.remove().await.unwrap();
        assert_eq!(worker.receive(PATIENCE).await.unwrap(), Received::Gone);
    });
}

/// The body of a message of the reference program.
const BODY: &str = r#"{
  "ServerName": "srv-a",
  "DbOverrideSequence": [
    {
      "ConcurrencyTag": "",
      "Server": "srv-a",
      "DefaultDbTarget": "client",
      "OverrideDbTarget": "Tenant0001"
    }
  ],
  "ConcurrencyTag": ""
}"#;

#[test]
fn messages_of_the_reference_program_are_built_and_what_is_none_is_put_with_the_dead() {
    let Some(sandbox) = Sandbox::find() else {
        return;
    };
    runtime().block_on(async {
        let options = options(ConcurrencyType::Count, 9);
        let queue = made(sandbox.open(&sandbox.service_bus.connection), &options).await;
        let properties = || {
            Properties::builder()
                .subject(options.job.clone())
                .group_id("srv-a".to_owned())
                .build()
        };
        let topic = sbm::azure::service_bus::TOPIC;
        raw::send(&sandbox, topic, properties(), b"{\"no\": \"target\"}").await;
        raw::send(&sandbox, topic, properties(), BODY.as_bytes()).await;
        let another = Options {
            run_id: Uuid::new_v4(),
            ..options.clone()
        };
        let other = ServiceBus::open(sandbox.open(&sandbox.service_bus.connection)).unwrap();
        send(&other.queue(another), "s:of-another-run").await;
        send(&queue, "s:of-this-run").await;
        let mut names = Vec::new();
        for _ in 0..2 {
            let delivery = next(&queue).await;
            names.push(delivery.target.to_string());
            queue.complete(&delivery).await.unwrap();
        }
        names.sort();
        assert_eq!(names, ["s:of-this-run", "srv-a:Tenant0001"]);
        assert_eq!(
            queue.receive(Duration::ZERO).await.unwrap(),
            Received::Nothing
        );
        let counts = queue.counts().await.unwrap();
        assert_eq!((counts.pending, counts.in_flight, counts.dead), (0, 0, 2));
        queue.remove().await.unwrap();
    });
}

#[test]
fn a_lock_that_is_lost_fails_its_delivery_and_the_target_comes_back() {
    let Some(sandbox) = Sandbox::find() else {
        return;
    };
    runtime().block_on(async {
        for kind in [ConcurrencyType::Count, ConcurrencyType::MaxPerServer] {
            let options = options(kind, 5);
            let queue = made(sandbox.open(&sandbox.service_bus.connection), &options).await;
            send(&queue, "s:a s:b").await;
            let (first, second) = (next(&queue).await, next(&queue).await);
            let end = if kind == ConcurrencyType::Count {
                ""
            } else {
                "session"
            };
            let subscription = format!("{}{end}", options.job);
            let lost = serde_json::json!({"lose_locks": {
                "topic": sbm::azure::service_bus::TOPIC, "subscription": subscription}});
            sandbox.disturb(&lost).await;
            if kind == ConcurrencyType::Count {
                // A session may be this receiver's again by now.
                let renewed = queue.renew(&first).await;
                assert!(is_lost(&renewed), "{renewed:?}");
            }
            for delivery in [&first, &second] {
                let completed = queue.complete(delivery).await;
                assert!(is_lost(&completed), "{kind}: {completed:?}");
            }
            let mut again = Vec::new();
            for _ in 0..2 {
                let delivery = next_at_last(&queue).await;
                assert_eq!(delivery.count, 2, "{kind}");
                again.push(delivery.target.to_string());
                queue.complete(&delivery).await.unwrap();
            }
            again.sort();
            assert_eq!(again, ["s:a", "s:b"], "{kind}");
            queue.remove().await.unwrap();
        }
    });
}

/// A queue behind a network that can be cut.
async fn behind_a_way(sandbox: &Sandbox, options: &Options) -> (ServiceBusQueue, Way) {
    let connection = &sandbox.service_bus.connection;
    let real = port(connection);
    let way = Way::to(real).await;
    let connection = connection.replace(&format!(":{real}"), &format!(":{}", way.port));
    (made(sandbox.open(&connection), options).await, way)
}

#[test]
fn a_build_outlives_the_connection_of_its_message() {
    let Some(sandbox) = Sandbox::find() else {
        return;
    };
    runtime().block_on(async {
        let options = options(ConcurrencyType::Count, 3);
        let (queue, way) = behind_a_way(&sandbox, &options).await;
        send(&queue, "s:a s:b s:c").await;
        let held = [next(&queue).await, next(&queue).await, next(&queue).await];
        way.cut();
        until_ok("a lock is renewed", || queue.renew(&held[0])).await;
        until_ok("one is completed", || queue.complete(&held[0])).await;
        until_ok("one is buried", || queue.dead_letter(&held[1], "Bad", "x")).await;
        until_ok("one is given back", || queue.abandon(&held[2])).await;
        let again = next_at_last(&queue).await;
        assert_eq!((again.target.to_string(), again.count), ("s:c".into(), 2));
        queue.complete(&again).await.unwrap();
        assert_eq!(queue.dead().await.unwrap()[0].reason, "Bad");
        let counts = queue.counts().await.unwrap();
        assert_eq!((counts.pending, counts.in_flight), (0, 0));
        queue.remove().await.unwrap();
    });
}

/// Tries until it succeeds.
async fn until_ok<T, F: Future<Output = Result<T, Error>>>(
    what: &str,
    mut attempt: impl FnMut() -> F,
) {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Ok(_) => return,
            Err(error) if tokio::time::Instant::now() > until => panic!("{what}: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

#[test]
fn with_the_connection_go_the_deliveries_of_its_sessions() {
    let Some(sandbox) = Sandbox::find() else {
        return;
    };
    runtime().block_on(async {
        let options = options(ConcurrencyType::MaxPerServer, 2);
        let (queue, way) = behind_a_way(&sandbox, &options).await;
        send(&queue, "a:1 a:2 b:1").await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(next(&queue).await);
        }
        way.cut();
        for delivery in &held {
            let completed = queue.complete(delivery).await;
            assert!(is_lost(&completed), "{completed:?}");
        }
        let mut again = Vec::new();
        for _ in 0..3 {
            let delivery = next_at_last(&queue).await;
            again.push(delivery.target.to_string());
            queue.complete(&delivery).await.unwrap();
        }
        again.sort();
        assert_eq!(again, ["a:1", "a:2", "b:1"]);
        queue.remove().await.unwrap();
    });
}

async fn is_anything_left(queue: &ServiceBusQueue) -> bool {
    let counts = queue.counts().await.unwrap();
    counts.pending + counts.in_flight > 0
}

#[test]
fn a_network_that_is_cut_again_and_again_neither_loses_nor_doubles_a_target() {
    const TARGETS: usize = 60;
    let Some(sandbox) = Sandbox::find() else {
        return;
    };
    let seed = std::env::var("SBM_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| fastrand::u64(..));
    runtime().block_on(async {
        for kind in [ConcurrencyType::Count, ConcurrencyType::MaxPerServer] {
            // What was on its way when the network was cut comes back when its lock ends.
            let options = Options {
                lock: Duration::from_secs(5),
                ..options(kind, 4)
            };
            let (queue, way) = behind_a_way(&sandbox, &options).await;
            let text: String = (0..TARGETS).map(|n| format!("s{}:d{n} ", n % 5)).collect();
            send(&queue, &text).await;
            let mut random = fastrand::Rng::with_seed(seed);
            let mut done: HashMap<String, usize> = HashMap::new();
            let mut cuts = 0;
            while is_anything_left(&queue).await {
                let received = queue.receive(Duration::from_secs(1)).await;
                let Ok(Received::Delivery(delivery)) = received else {
                    continue;
                };
                let count = done.entry(delivery.target.to_string()).or_default();
                if cuts < 8 && random.usize(0..4) == 0 {
                    cuts += 1;
                    way.cut();
                }
                let until = tokio::time::Instant::now() + PATIENCE;
                loop {
                    match queue.complete(&delivery).await {
                        Ok(()) => *count += 1,
                        // It comes again, unless it was completed and the answer was lost.
                        Err(Error::LockLost { .. }) => {}
                        Err(error) => {
                            assert!(tokio::time::Instant::now() < until, "{error}, seed {seed}");
                            tokio::time::sleep(Duration::from_millis(50)).await;
                            continue;
                        }
                    }
                    break;
                }
            }
            assert_eq!(done.len(), TARGETS, "lost; seed {seed}");
            assert!(
                done.values().all(|count| *count <= 1),
                "{done:?}, seed {seed}"
            );
            queue.remove().await.unwrap();
        }
    });
}

#[test]
fn a_service_that_has_too_much_to_do_is_asked_again() {
    let Some(sandbox) = Own::start() else {
        return;
    };
    runtime().block_on(async {
        let options = options(ConcurrencyType::Server, 1);
        let queue = made(sandbox.open(&sandbox.service_bus.connection), &options).await;
        sandbox.disturb(&serde_json::json!({"busy": 5})).await;
        let text: String = (0..40).map(|n| format!("s{}:d{n} ", n % 20)).collect();
        queue
            .send_all(targets(&text), Purpose::Build)
            .await
            .unwrap();
        assert_eq!(queue.counts().await.unwrap().pending, 40);
    });
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    const LIFETIME: Duration = Duration::from_secs(4);
    let Some(sandbox) = Sandbox::find() else {
        return;
    };
    runtime().block_on(async {
        let options = options(ConcurrencyType::MaxPerServer, 2);
        let open = Open {
            settings: Settings {
                token_lifetime: Some(LIFETIME),
                ..Settings::default()
            },
            ..sandbox.open(&sandbox.service_bus.connection)
        };
        let queue = made(open, &options).await;
        let begun = tokio::time::Instant::now();
        while begun.elapsed() < 3 * LIFETIME {
            until_ok("a target is sent", || {
                queue.send_all(targets("s:a"), Purpose::Build)
            })
            .await;
            let delivery = next_at_last(&queue).await;
            // On a machine that stood still the token may have ended, and the lock with its link.
            let renewed = queue.renew(&delivery).await;
            assert!(renewed.is_ok() || begun.elapsed() > LIFETIME, "{renewed:?}");
            queue.complete(&delivery).await.ok();
        }
        queue.remove().await.unwrap();
    });
}
