//! Blobs beyond the contract of storages: rights, links, and answers that are lost.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{TryStreamExt, future::join_all};
use sbm::{
    azure::{
        Cloud,
        blob::{Access, Account, BlobContainer},
    },
    protocol::{Pair, Platform, ResultLine, RunPaths, State, Target},
    storage::{Condition, Error, LinesSettings, Listed, ResultLines, ResultReader, Storage},
};
use secrecy::ExposeSecret;
use serde_json::json;
use uuid::Uuid;

use super::identity;
use crate::{
    contract::storage::{LONG, names, put, text},
    support::{postgres::runtime, sandbox::Sandbox},
};

const HOUR: Duration = Duration::from_secs(3_600);

/// A container that is not made yet, for whoever has this access.
fn container(sandbox: &Sandbox, name: &str, access: Access) -> BlobContainer {
    let account = Account::new(&sandbox.text(&["blob", "endpoint"]), Cloud::Public).unwrap();
    BlobContainer::new(account, name, access, &sandbox.trust()).unwrap()
}

/// One that is made, and its name.
async fn made(sandbox: &Sandbox) -> (BlobContainer, String) {
    let name = format!("t-{}", Uuid::new_v4());
    let container = container(sandbox, &name, sandbox.blob_key());
    assert!(container.create().await.unwrap());
    (container, name)
}

/// The signature in a link.
fn signature(link: &str) -> Access {
    let (_, query) = link.split_once('?').unwrap();
    Access::Sas(query.to_owned().into())
}

#[test]
fn a_link_lets_read_and_list_for_some_time_and_nothing_else() {
    let test = "azure::blob::a_link_lets_read_and_list_for_some_time_and_nothing_else";
    let Some(sandbox) = Sandbox::for_test(test) else {
        return;
    };
    runtime().block_on(async {
        let (owner, name) = made(&sandbox).await;
        put(&owner, "runs/1/a%2b+c", "1").await;
        let link = owner.reading_link(HOUR).await.unwrap().unwrap();
        assert!(!format!("{link:?}").contains("sig="));
        let left = link.expires.as_second() - jiff::Timestamp::now().as_second();
        assert!((3_300..=3_600).contains(&left), "{left}");
        let url = link.url.expose_secret();
        assert!(url.starts_with(owner.url().as_str()), "another address");

        let reader = container(&sandbox, &name, signature(url));
        assert_eq!(text(&reader, "runs/1/a%2b+c").await.unwrap(), "1");
        assert_eq!(names(&reader, "runs/").await, ["runs/1/a%2b+c"]);
        let bytes = || Bytes::from_static(b"2");
        let faults = [
            reader.put("a", bytes(), Condition::Any).await.err(),
            reader.append("b", bytes()).await.err(),
            reader.delete("runs/1/a%2b+c", None).await.err(),
            reader.lease("runs/1/a%2b+c", LONG).await.err(),
        ];
        for (index, fault) in faults.into_iter().enumerate() {
            let Some(Error::Failed { source, .. }) = fault else {
                panic!("{index}: {fault:?}");
            };
            let told = source.to_string();
            assert!(told.starts_with("403 "), "{index}: {told}");
            assert!(!told.contains("sig="), "{told}");
        }
        // Whoever has no more than a link makes none.
        assert!(reader.reading_link(HOUR).await.unwrap().is_none());
        assert!(!format!("{reader:?}").contains("sig="));
    });
}

#[test]
fn an_identity_reads_and_writes_and_makes_links_in_its_name() {
    let test = "azure::blob::an_identity_reads_and_writes_and_makes_links_in_its_name";
    let Some(sandbox) = Sandbox::for_test(test) else {
        return;
    };
    runtime().block_on(async {
        let name = format!("t-{}", Uuid::new_v4());
        let access = Access::Identity(identity::of_github(&sandbox).credential());
        let storage = container(&sandbox, &name, access);
        assert!(storage.create().await.unwrap());
        put(&storage, "a", "1").await;
        storage.append("b", Bytes::from_static(b"2")).await.unwrap();
        assert_eq!(names(&storage, "").await, ["a", "b"]);
        // Azurite is older than the form of signature, so nobody can look whether it lets in.
        let link = storage.reading_link(HOUR).await.unwrap().unwrap();
        let url = link.url.expose_secret();
        for part in ["sp=rl", "sr=c", "skoid=", "se=", "spr=https", "sig="] {
            assert!(url.contains(part), "no {part}");
        }
    });
}

#[test]
fn a_wrong_key_is_told_and_not_shown() {
    let test = "azure::blob::a_wrong_key_is_told_and_not_shown";
    let Some(sandbox) = Sandbox::for_test(test) else {
        return;
    };
    runtime().block_on(async {
        let (_, name) = made(&sandbox).await;
        // It is `canary` in Base64. Azure answers 403, and Azurite 400 when it takes tokens as well.
        let storage = container(&sandbox, &name, Access::Key("Y2FuYXJ5".into()));
        let error = storage.get("a").await.unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error:?}");
        let told = format!("{error} {error:?} {storage:?}");
        assert!(told.contains("Auth") && told.contains(&name), "{told}");
        assert!(!told.contains("Y2FuYXJ5"), "{told}");
    });
}

/// Lets the service do what it is asked, and loses the answer, once for each request that has `part` in its address.
fn lose_answer(sandbox: &Sandbox, method: &str, part: &str) {
    sandbox.plan_fault(&json!({
        "service": "blob", "method": method, "contains": part, "times": 1, "cut": "answer"
    }));
}

#[test]
fn a_write_whose_answer_is_lost_is_known_again() {
    let test = "azure::blob::a_write_whose_answer_is_lost_is_known_again";
    let Some(sandbox) = Sandbox::for_test(test) else {
        return;
    };
    runtime().block_on(async {
        let name = format!("t-{}", Uuid::new_v4());
        let storage = container(&sandbox, &name, sandbox.blob_key());
        lose_answer(&sandbox, "PUT", &name);
        assert!(
            storage.create().await.unwrap(),
            "it was this call that made it"
        );
        assert!(!storage.create().await.unwrap());

        let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
        lose_answer(&sandbox, "PUT", &name);
        let made = storage
            .put("a", bytes("1"), Condition::Absent)
            .await
            .unwrap();
        assert_eq!(storage.get("a").await.unwrap().unwrap().version, made);
        lose_answer(&sandbox, "PUT", &name);
        let changed = Condition::Unchanged(made.clone());
        let changed = storage.put("a", bytes("2"), changed).await.unwrap();
        assert_eq!(storage.get("a").await.unwrap().unwrap().version, changed);
        // Somebody else's write is not taken for one's own.
        lose_answer(&sandbox, "PUT", &name);
        let error = storage
            .put("a", bytes("3"), Condition::Unchanged(made))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error:?}");
        assert_eq!(text(&storage, "a").await.unwrap(), "2");

        lose_answer(&sandbox, "PUT", &name);
        assert!(
            storage.begin("b").await.unwrap(),
            "it was this call that made it"
        );
        lose_answer(&sandbox, "PUT", &name);
        let lease = storage.lease("a", LONG).await.unwrap().unwrap();
        storage.renew(&lease).await.unwrap();
        lose_answer(&sandbox, "PUT", &name);
        storage.release(lease).await.unwrap();
        lose_answer(&sandbox, "DELETE", &name);
        assert!(
            storage.delete("a", None).await.unwrap(),
            "it was this call that deleted it"
        );
        assert!(storage.get("a").await.unwrap().is_none());
        assert!(!sandbox.has_fault(&name), "an answer was not lost");
    });
}

#[test]
fn a_piece_whose_answer_is_lost_is_appended_once() {
    let test = "azure::blob::a_piece_whose_answer_is_lost_is_appended_once";
    let Some(sandbox) = Sandbox::for_test(test) else {
        return;
    };
    runtime().block_on(async {
        let (storage, name) = made(&sandbox).await;
        let other = container(&sandbox, &name, sandbox.blob_key());
        let mut expected = String::new();
        for index in 0..12 {
            lose_answer(&sandbox, "PUT", &format!("{name}/lines"));
            // The pieces of one writer are equal, so that nothing but their place tells them apart.
            let (storage, piece) = match index % 3 {
                2 => (&other, "2\n"),
                _ => (&storage, "1\n"),
            };
            storage.append("lines", Bytes::from(piece)).await.unwrap();
            expected.push_str(piece);
            assert_eq!(text(storage, "lines").await.unwrap(), expected);
            assert!(!sandbox.has_fault(&name), "the answer was not lost");
        }
    });
}

#[test]
fn a_service_that_is_busy_is_asked_again() {
    let test = "azure::blob::a_service_that_is_busy_is_asked_again";
    let Some(sandbox) = Sandbox::for_test(test) else {
        return;
    };
    runtime().block_on(async {
        let (storage, name) = made(&sandbox).await;
        put(&storage, "a", "1").await;
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::write(&from, vec![7; 9_000_000]).unwrap();
        for (status, times) in [(503, 2), (500, 1), (429, 1)] {
            let busy = || {
                sandbox.plan_fault(&json!({
                    "service": "blob", "contains": name, "times": times, "status": status, "retry_after": 1
                }));
            };
            busy();
            assert_eq!(text(&storage, "a").await.unwrap(), "1");
            busy();
            storage.put_file("large", &from, Condition::Any).await.unwrap();
            busy();
            assert_eq!(storage.get_file("large", &to).await.unwrap(), Some(9_000_000));
            busy();
            let listed: Vec<Listed> = storage.list("").try_collect().await.unwrap();
            assert_eq!(listed.len(), 2);
        }
        assert!(std::fs::read(&to).unwrap().iter().all(|byte| *byte == 7));
    });
}

#[test]
fn result_lines_of_several_workers_arrive_once_each() {
    let test = "azure::blob::result_lines_of_several_workers_arrive_once_each";
    let Some(sandbox) = Sandbox::for_test(test) else {
        return;
    };
    runtime().block_on(async {
        let (container, name) = made(&sandbox).await;
        let storage: Arc<dyn Storage> = Arc::new(container);
        let paths = RunPaths::new(Uuid::from_u128(7));
        for _ in 0..4 {
            lose_answer(&sandbox, "PUT", &format!("{name}/runs"));
        }
        let workers = ["w1", "w2", "w3"].map(|worker| {
            // Small objects, so that several are begun.
            let settings = LinesSettings {
                appends_per_object: 3,
                ..LinesSettings::default()
            };
            ResultLines::new(Arc::clone(&storage), &paths, worker, settings)
        });
        let all = (0..300).map(|number| workers[number % 3].append(&line(number)));
        for stored in join_all(all).await {
            stored.unwrap();
        }
        for worker in workers {
            worker.close().await;
        }
        let mut found = Vec::new();
        let mut reader = ResultReader::new(Arc::clone(&storage), &paths);
        reader.read(|line| found.push(line.retries)).await.unwrap();
        found.sort_unstable();
        assert_eq!(found, (0..300).collect::<Vec<u32>>());
    });
}

fn line(number: usize) -> ResultLine {
    let target = Target {
        server: "s".into(),
        pairs: vec![Pair {
            default: String::new(),
            database: format!("d{number}"),
        }],
        tag: None,
    };
    let key = target.key(Platform::Sqlite);
    let mut line = ResultLine::new(Uuid::from_u128(7), key, target, "w", State::Committed);
    line.retries = u32::try_from(number).unwrap();
    line
}
