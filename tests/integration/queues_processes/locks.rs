//! Locks: how they end, and who gets what.

use std::time::Duration;

use sbm::{
    protocol::ConcurrencyType,
    queue::{Error, Options, Queue, Received},
};

use super::{made, open, options, sqlite};
use crate::{
    contract::queue::{PATIENCE, concurrency, next, send},
    support::postgres::runtime,
};

#[test]
fn a_lock_expires_when_nobody_renews_it() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [ConcurrencyType::Count, ConcurrencyType::Server] {
        let path = folder.path().join(kind.to_string());
        let lock = Duration::from_secs(3);
        let options = Options {
            lock,
            ..options(concurrency(kind, 1, 1))
        };
        runtime().block_on(async {
            let first = made(&path, options).await;
            send(&first, "s:a").await;
            let delivery = next(&first).await;
            let second = open(&path, options);
            let again = next(&second).await;
            assert!(delivery.locked_until.has_passed());
            assert_eq!((&again.target, again.count), (&delivery.target, 2));
            for error in [
                first.complete(&delivery).await.unwrap_err(),
                first.renew(&delivery).await.unwrap_err(),
            ] {
                assert!(matches!(error, Error::LockLost { .. }), "{error}");
            }
        });
    }
}

#[test]
fn renewing_one_delivery_renews_its_session_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    runtime().block_on(async {
        let queue = made(
            &path,
            Options {
                sessions: 9,
                ..options(concurrency(ConcurrencyType::MaxPerServer, 2, 9))
            },
        )
        .await;
        send(&queue, "a:1 b:1 a:2").await;
        let deliveries = [next(&queue).await, next(&queue).await, next(&queue).await];
        let file = sqlite(&path);
        file.execute("UPDATE message SET locked_until = locked_until - 1000000", [])
            .unwrap();
        let until = |database: &str| -> i64 {
            let sql = "SELECT locked_until FROM message WHERE target LIKE ?";
            file.query_row(sql, [format!("%{database}%")], |row| row.get(0))
                .unwrap()
        };
        let before = until("\"b\"");
        queue.renew(&deliveries[0]).await.unwrap();
        let sessions: Vec<_> = deliveries.iter().map(|one| one.session.as_deref()).collect();
        assert_eq!(sessions, [Some("a"), Some("b"), Some("a")]);
        assert_eq!(until("\"b\""), before);
        let sql = "SELECT count(DISTINCT locked_until), min(locked_until) FROM message WHERE target LIKE '%\"a\"%'";
        let (different, least): (i64, i64) = file
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!(different, 1);
        assert!(least > before);
    });
}

#[test]
fn no_lock_outlives_the_machine_that_it_was_given_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let options = options(concurrency(ConcurrencyType::MaxPerServer, 2, 9));
    runtime().block_on(async {
        let first = made(&path, options).await;
        send(&first, "a:1 a:2").await;
        let lost = [next(&first).await, next(&first).await];
        sqlite(&path)
            .execute("UPDATE queue SET boot = 'an earlier one'", [])
            .unwrap();
        let second = open(&path, options);
        assert_eq!(second.counts().await.unwrap().in_flight, 0);
        let again = next(&second).await;
        assert_eq!((&again.target, again.count), (&lost[0].target, 2));
        let error = first.complete(&lost[0]).await.unwrap_err();
        assert!(matches!(error, Error::LockLost { .. }), "{error}");
    });
}

#[test]
fn a_receiver_takes_more_sessions_only_while_no_other_waits_with_fewer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let options = options(concurrency(ConcurrencyType::Server, 1, 9));
    runtime().block_on(async {
        let queue = made(&path, options).await;
        send(&queue, "a:1 b:1 c:1").await;
        let file = sqlite(&path);
        file.execute(
            "INSERT INTO receiver (process, started, waits_until) VALUES (1, 0, 1 << 60)",
            [],
        )
        .unwrap();
        next(&queue).await;
        let more = queue.receive(Duration::ZERO).await.unwrap();
        assert_eq!(more, Received::Nothing);
        file.execute("UPDATE receiver SET waits_until = 0 WHERE process = 1", [])
            .unwrap();
        next(&queue).await;
        next(&queue).await;
    });
}

#[test]
fn a_receiver_that_waits_is_known_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let options = options(concurrency(ConcurrencyType::Server, 1, 9));
    runtime().block_on(async {
        let queue = std::sync::Arc::new(made(&path, options).await);
        let waiting = tokio::spawn({
            let queue = std::sync::Arc::clone(&queue);
            async move { next(&*queue).await }
        });
        let file = sqlite(&path);
        let waits = || -> bool {
            let sql = "SELECT EXISTS (SELECT 1 FROM receiver WHERE waits_until > 0)";
            file.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        let begun = std::time::Instant::now();
        while !waits() {
            assert!(begun.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        send(&*queue, "a:1").await;
        waiting.await.unwrap();
        assert!(!waits());
    });
}

#[test]
fn what_a_process_that_runs_holds_is_not_released() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let options = options(concurrency(ConcurrencyType::Count, 2, 2));
    runtime().block_on(async {
        let queue = made(&path, options).await;
        send(&queue, "s:a").await;
        let delivery = next(&queue).await;
        if cfg!(target_os = "linux") {
            assert_eq!(queue.release_of(std::process::id()).await.unwrap(), 0);
        }
        queue.complete(&delivery).await.unwrap();
    });
}
