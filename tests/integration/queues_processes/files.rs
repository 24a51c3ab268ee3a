//! The file: locked, foreign, taken away, removed.

use std::{
    fs,
    time::{Duration, Instant},
};

use sbm::{
    protocol::ConcurrencyType,
    queue::{Counts, Error, LocalQueue, Options, Purpose, Queue, Received},
};

use super::{made, open, options, sqlite};
use crate::{
    contract::queue::{PATIENCE, concurrency, next, send, targets},
    support::postgres::runtime,
};

fn count() -> Options {
    options(concurrency(ConcurrencyType::Count, 9, 9))
}

#[test]
fn a_file_that_is_locked_for_a_moment_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    runtime().block_on(async {
        let queue = made(&path, count()).await;
        send(&queue, "s:a s:b").await;
        let delivery = next(&queue).await;
        let other = sqlite(&path);
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut complete = Box::pin(queue.complete(&delivery));
        let early = tokio::time::timeout(Duration::from_millis(200), &mut complete).await;
        assert!(early.is_err(), "the file is locked");
        other.execute_batch("COMMIT").unwrap();
        complete.await.unwrap();
        let counts = queue.counts().await.unwrap();
        assert_eq!((counts.pending, counts.in_flight), (1, 0));
    });
}

#[test]
fn a_file_that_stays_locked_is_an_error_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    runtime().block_on(async {
        let patient = made(&path, count()).await;
        send(&patient, "s:a s:b s:c").await;
        let busy = Duration::from_secs(1);
        let queue = open(&path, Options { busy, ..count() });
        let mut deliveries = Vec::new();
        while deliveries.len() < 2 {
            // Other programs of a busy machine may hold a lock for a second, too.
            match queue.receive(PATIENCE).await {
                Ok(received) => deliveries.extend(received.delivery()),
                Err(Error::Busy { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
        let other = sqlite(&path);
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let errors = [
            queue.complete(&deliveries[0]).await.unwrap_err(),
            queue.renew(&deliveries[1]).await.unwrap_err(),
            queue.receive(PATIENCE).await.unwrap_err(),
            queue
                .send_all(targets("s:d"), Purpose::Build)
                .await
                .unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, Error::Busy { .. }), "{error}");
            assert_eq!(
                error.to_string(),
                format!(
                    "queue {} is locked by another program, and was not free within 1 s",
                    path.display()
                )
            );
        }
        other.execute_batch("COMMIT").unwrap();
        for delivery in &deliveries {
            patient.complete(delivery).await.unwrap();
        }
        let third = next(&patient).await;
        assert_eq!((third.target.to_string(), third.count), ("s:c".into(), 1));
        patient.complete(&third).await.unwrap();
        assert_eq!(patient.counts().await.unwrap(), Counts::default());
    });
}

async fn refusal(queue: &LocalQueue) -> String {
    let text = refusal_of_use(queue).await;
    let error = queue.remove().await.unwrap_err();
    assert_eq!(error.to_string(), text);
    text
}

async fn refusal_of_use(queue: &LocalQueue) -> String {
    let errors = [
        queue.create().await.unwrap_err(),
        queue
            .send_all(targets("s:d"), Purpose::Build)
            .await
            .unwrap_err(),
        queue.receive(PATIENCE).await.unwrap_err(),
        queue.counts().await.unwrap_err(),
        queue.close().await.unwrap_err(),
    ];
    let texts = errors.map(|error| {
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        error.to_string()
    });
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    texts[0].clone()
}

#[test]
fn a_file_that_is_no_queue_is_refused_by_name_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("text"), "Not a database; ".repeat(100)).unwrap();
    fs::write(path("empty"), "").unwrap();
    let foreign = sqlite(&path("foreign"));
    foreign
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (id); INSERT INTO t VALUES (1)")
        .unwrap();
    foreign.close().unwrap();
    made_blocking(&path("newer"));
    let begun = Instant::now();
    // The queue's thread may still have it open.
    while sqlite(&path("newer"))
        .execute_batch("PRAGMA journal_mode = DELETE; PRAGMA user_version = 7")
        .is_err()
    {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
    for (name, why) in [
        ("text", "it is no SQLite database"),
        ("empty", "it is no queue"),
        ("foreign", "it is no queue"),
        (
            "newer",
            "it is a queue of version 7; this program uses version 1",
        ),
    ] {
        let before = fs::read(path(name)).unwrap();
        let text = runtime().block_on(async { refusal(&open(&path(name), count())).await });
        let expected = format!("{} cannot be used as a queue: {why}", path(name).display());
        assert_eq!(text, expected);
        assert_eq!(fs::read(path(name)).unwrap(), before, "{name}");
    }
    fs::create_dir(path("folder")).unwrap();
    let text = runtime().block_on(async { refusal(&open(&path("folder"), count())).await });
    assert!(text.ends_with("it is a folder"), "{text}");
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["empty", "folder", "foreign", "newer", "text"]);
}

/// Makes a queue and leaves it.
fn made_blocking(path: &std::path::Path) {
    runtime().block_on(async {
        made(path, count()).await;
    });
}

#[test]
fn a_queue_for_other_limits_is_refused_and_can_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    made_blocking(&path);
    let tags = options(concurrency(ConcurrencyType::MaxPerTag, 9, 9));
    let text = runtime().block_on(async { refusal_of_use(&open(&path, tags)).await });
    let why = "it was made for Count, and this run wants MaxPerTag";
    assert!(text.ends_with(why), "{text}");
    runtime().block_on(async { open(&path, tags).remove().await.unwrap() });
    assert!(!path.exists());
}

#[test]
fn a_queue_that_was_never_made_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let queue = open(&folder.path().join("queue.db"), count());
        assert_eq!(queue.receive(PATIENCE).await.unwrap(), Received::Gone);
        let error = queue.counts().await.unwrap_err();
        assert!(matches!(error, Error::Gone { .. }), "{error}");
        queue.remove().await.unwrap();
        let nowhere = open(&folder.path().join("no such folder/queue.db"), count());
        let error = nowhere.create().await.unwrap_err().to_string();
        assert!(error.contains("no such folder"), "{error}");
    });
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn a_file_that_is_taken_away_is_a_queue_that_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    runtime().block_on(async {
        let queue = std::sync::Arc::new(made(&path, count()).await);
        send(&*queue, "s:a").await;
        let delivery = next(&*queue).await;
        let waiting = tokio::spawn({
            let queue = std::sync::Arc::clone(&queue);
            async move { queue.receive(PATIENCE).await.unwrap() }
        });
        tokio::task::yield_now().await;
        for ending in ["", "-wal", "-shm"] {
            let name = format!("queue.db{ending}");
            fs::rename(
                folder.path().join(&name),
                folder.path().join("x".to_owned() + &name),
            )
            .unwrap();
        }
        assert_eq!(waiting.await.unwrap(), Received::Gone);
        let error = queue.complete(&delivery).await.unwrap_err();
        assert!(matches!(error, Error::Gone { .. }), "{error}");
        // Made anew, it is another queue.
        queue.create().await.unwrap();
        assert_eq!(queue.counts().await.unwrap(), Counts::default());
        let error = queue.complete(&delivery).await.unwrap_err();
        assert!(matches!(error, Error::LockLost { .. }), "{error}");
    });
}

#[test]
fn nothing_is_left_of_a_queue_that_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    runtime().block_on(async {
        let queue = made(&path, count()).await;
        send(&queue, "s:a s:b").await;
        let (idle, busy) = (open(&path, count()), open(&path, count()));
        idle.counts().await.unwrap();
        next(&busy).await;
        let another = open(&path, count());
        let waiting = tokio::spawn(async move {
            loop {
                match another.receive(PATIENCE).await.unwrap() {
                    Received::Delivery(_) | Received::Nothing => {}
                    end => return end,
                }
            }
        });
        queue.remove().await.unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(waiting.await.unwrap(), Received::Gone);
        let error = idle.counts().await.unwrap_err();
        assert!(matches!(error, Error::Gone { .. }), "{error}");
    });
}

#[test]
fn a_removal_that_broke_off_is_ended_by_who_makes_the_queue_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    runtime().block_on(async {
        let queue = made(&path, count()).await;
        send(&queue, "s:a s:b").await;
        let other = sqlite(&path);
        other.execute("UPDATE queue SET removed = 1", []).unwrap();
        drop(other);
        assert_eq!(queue.receive(PATIENCE).await.unwrap(), Received::Gone);
        queue.create().await.unwrap();
        assert_eq!(queue.counts().await.unwrap(), Counts::default());
        send(&queue, "s:c").await;
        assert_eq!(next(&queue).await.target.to_string(), "s:c");
    });
}
