//! What every storage promises about objects: one function per promise, called for each implementation in `storages.rs`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{TryStreamExt, future::join_all};
use sbm::storage::{Condition, Error, LeaseId, Listed, MAX_PIECE, Storage, Version};

/// A lease that does not lapse in a test.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// One place that is not made yet, seen by two clients that know nothing of each other.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) other: Arc<dyn Storage>,
    /// The shortest lease.
    pub(crate) shortest: Duration,
}

impl Fixture {
    /// Both clients, with the place made.
    pub(crate) async fn made(&self) -> (&dyn Storage, &dyn Storage) {
        assert!(self.storage.create().await.unwrap());
        (&*self.storage, &*self.other)
    }
}

pub(crate) async fn put(storage: &dyn Storage, name: &str, text: &str) -> Version {
    let bytes = Bytes::from(text.to_owned());
    storage.put(name, bytes, Condition::Any).await.unwrap()
}

pub(crate) async fn text(storage: &dyn Storage, name: &str) -> Option<String> {
    let object = storage.get(name).await.unwrap()?;
    Some(String::from_utf8(object.bytes.to_vec()).unwrap())
}

pub(crate) async fn names(storage: &dyn Storage, prefix: &str) -> Vec<String> {
    let listed: Vec<Listed> = storage.list(prefix).try_collect().await.unwrap();
    listed.into_iter().map(|object| object.name).collect()
}

pub(crate) async fn the_place_is_made_once(fixture: Fixture) {
    assert!(!fixture.storage.exists().await.unwrap());
    let all = (0..8).map(|index| {
        let storage = if index % 2 == 0 {
            &fixture.storage
        } else {
            &fixture.other
        };
        storage.create()
    });
    let made = join_all(all).await;
    let made = made.into_iter().filter(|made| *made.as_ref().unwrap());
    assert_eq!(made.count(), 1);
    assert!(fixture.other.exists().await.unwrap());
    put(&*fixture.storage, "a", "1").await;
    assert!(!fixture.other.create().await.unwrap());
    assert_eq!(text(&*fixture.other, "a").await.unwrap(), "1");
}

pub(crate) async fn without_the_place_nothing_works_and_nothing_makes_it(fixture: Fixture) {
    let storage = &*fixture.storage;
    let file = tempfile::NamedTempFile::new().unwrap();
    let any = Condition::Any;
    let bytes = || Bytes::from_static(b"x");
    let faults = [
        storage.put("a/b", bytes(), any.clone()).await.err(),
        storage.put_file("a/b", file.path(), any).await.err(),
        storage.get("a/b").await.err(),
        storage.get_file("a/b", file.path()).await.err(),
        storage.get_range("a/b", 0, 1).await.err(),
        storage.begin("a/b").await.err(),
        storage.append("a/b", bytes()).await.err(),
        storage.list("a/").try_collect::<Vec<_>>().await.err(),
        storage.delete("a/b", None).await.err(),
        storage.delete_all("a/").await.err(),
        storage.lease("a/b", LONG).await.err(),
    ];
    for (index, fault) in faults.into_iter().enumerate() {
        assert!(
            matches!(fault, Some(Error::NoPlace { .. })),
            "{index}: {fault:?}"
        );
    }
    assert!(!storage.exists().await.unwrap());
}

pub(crate) async fn what_is_put_is_read_by_others(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    let version = put(storage, "runs/1/job.json", "{}").await;
    let read = other.get("runs/1/job.json").await.unwrap().unwrap();
    assert_eq!((&*read.bytes, &read.version), (&b"{}"[..], &version));
    assert!(read.age < Duration::from_secs(3600), "{:?}", read.age);
    put(other, "runs/1/job.json", "").await;
    assert_eq!(text(storage, "runs/1/job.json").await.unwrap(), "");
    assert!(storage.get("runs/1").await.unwrap().is_none());
    assert!(storage.get("runs/1/job.json/x").await.unwrap().is_none());
    assert!(storage.get("other").await.unwrap().is_none());
}

pub(crate) async fn every_write_makes_another_version(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    let mut versions: Vec<String> = Vec::new();
    for index in 0..50 {
        let storage = if index % 2 == 0 { storage } else { other };
        let version = put(storage, "a", "always the same").await;
        assert_eq!(storage.get("a").await.unwrap().unwrap().version, version);
        versions.push(version.to_string());
    }
    storage.begin("b").await.unwrap();
    for _ in 0..10 {
        storage.append("b", Bytes::from_static(b"x")).await.unwrap();
        let version = storage.get("b").await.unwrap().unwrap().version;
        versions.push(version.to_string());
    }
    let count = versions.len();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), count);
}

pub(crate) async fn one_of_many_makes_an_absent_object(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    let all = (0..16).map(|index| {
        let storage = if index % 2 == 0 { storage } else { other };
        storage.put("a", Bytes::from(index.to_string()), Condition::Absent)
    });
    let results = join_all(all).await;
    let winners: Vec<usize> = (0..16).filter(|index| results[*index].is_ok()).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(text(storage, "a").await.unwrap(), winners[0].to_string());
    for result in results.into_iter().filter_map(Result::err) {
        assert!(matches!(result, Error::Changed { .. }), "{result:?}");
    }
}

pub(crate) async fn one_of_many_changes_the_version_that_all_read(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    put(storage, "a", "0").await;
    // Each adds one, and reads again when another was faster.
    let all = (0..8).map(|index| {
        let storage = if index % 2 == 0 { storage } else { other };
        async move {
            for _ in 0..5 {
                add_one(storage, "a").await;
            }
        }
    });
    join_all(all).await;
    assert_eq!(text(storage, "a").await.unwrap(), "40");
}

pub(crate) async fn add_one(storage: &dyn Storage, name: &str) {
    loop {
        let read = storage.get(name).await.unwrap().unwrap();
        let number: u32 = std::str::from_utf8(&read.bytes).unwrap().parse().unwrap();
        let bytes = Bytes::from((number + 1).to_string());
        match storage
            .put(name, bytes, Condition::Unchanged(read.version))
            .await
        {
            Ok(_) => return,
            Err(error) => assert!(matches!(error, Error::Changed { .. }), "{error:?}"),
        }
    }
}

pub(crate) async fn a_condition_that_does_not_hold_changes_nothing(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    let old = put(storage, "a", "1").await;
    put(other, "a", "2").await;
    let nobody = LeaseId::new("11111111-2222-3333-4444-555555555555");
    for (name, condition) in [
        ("a", Condition::Absent),
        ("a", Condition::Unchanged(old.clone())),
        ("b", Condition::Unchanged(old)),
        ("a", Condition::leased(&nobody)),
    ] {
        let lease = matches!(condition, Condition::Leased(_));
        let error = storage
            .put(name, Bytes::from_static(b"3"), condition)
            .await
            .unwrap_err();
        let expected = match error {
            Error::Changed { .. } => !lease,
            Error::LeaseLost { .. } => lease,
            _ => false,
        };
        assert!(expected, "{error:?}");
        let message = error.to_string();
        let place = storage.to_string();
        assert!(
            message.contains(name) && message.contains(&place),
            "{message}"
        );
    }
    assert_eq!(text(storage, "a").await.unwrap(), "2");
    assert_eq!(names(storage, "").await, ["a"]);
}

pub(crate) async fn readers_see_objects_whole(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    const SIZE: usize = 300_000;
    let filled = |byte: u8| Bytes::from(vec![byte; SIZE]);
    storage.put("a", filled(0), Condition::Any).await.unwrap();
    let writing = async {
        for byte in 1..=20 {
            storage
                .put("a", filled(byte), Condition::Any)
                .await
                .unwrap();
        }
    };
    let reading = async {
        let mut last = 0;
        while last < 20 {
            let bytes = other.get("a").await.unwrap().unwrap().bytes;
            assert_eq!(bytes.len(), SIZE);
            assert!(bytes.iter().all(|byte| *byte == bytes[0]));
            assert!(bytes[0] >= last, "what was read is not forgotten");
            last = bytes[0];
        }
    };
    tokio::join!(writing, reading);
}

pub(crate) async fn a_range_has_the_bytes_that_there_are(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    put(storage, "a", "0123456789").await;
    for (from, at_most, expected) in [
        (0, 10, "0123456789"),
        (0, 3, "012"),
        (7, 2, "78"),
        (7, 100, "789"),
        (10, 5, ""),
        (99, 5, ""),
        (3, 0, ""),
    ] {
        let bytes = other.get_range("a", from, at_most).await.unwrap().unwrap();
        assert_eq!(bytes, expected, "{from} {at_most}");
    }
    assert!(storage.get_range("b", 0, 1).await.unwrap().is_none());
}

pub(crate) async fn an_object_for_appending_is_begun_once(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    let all = (0..8).map(|index| {
        let storage = if index % 2 == 0 { storage } else { other };
        storage.begin("results/w.1.jsonl")
    });
    let begun = join_all(all).await;
    let begun = begun.into_iter().filter(|begun| *begun.as_ref().unwrap());
    assert_eq!(begun.count(), 1);
    assert_eq!(text(other, "results/w.1.jsonl").await.unwrap(), "");
    let piece = Bytes::from_static(b"1\n");
    storage.append("results/w.1.jsonl", piece).await.unwrap();
    assert!(!other.begin("results/w.1.jsonl").await.unwrap());
    assert_eq!(text(other, "results/w.1.jsonl").await.unwrap(), "1\n");
}

pub(crate) async fn pieces_appended_at_once_stay_whole(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    let lines: Vec<String> = (0..40)
        .map(|index| format!("{index}{}\n", "x".repeat(index * 100)))
        .collect();
    let all = lines.iter().enumerate().map(|(index, line)| {
        let storage = if index % 2 == 0 { storage } else { other };
        storage.append("new/a", Bytes::from(line.clone()))
    });
    for result in join_all(all).await {
        result.unwrap();
    }
    let found = text(storage, "new/a").await.unwrap();
    let mut found: Vec<String> = found.lines().map(|line| format!("{line}\n")).collect();
    let mut expected = lines;
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let long = Bytes::from(vec![b'x'; MAX_PIECE + 1]);
    let error = storage.append("new/a", long).await.unwrap_err();
    assert!(matches!(error, Error::TooLong { .. }), "{error:?}");
}

pub(crate) async fn readers_see_an_object_grow(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    let mut read = Vec::new();
    for index in 0..20 {
        let piece = Bytes::from(format!("{index}\n"));
        storage.append("a", piece).await.unwrap();
        let more = other.get_range("a", read.len() as u64, 1_000).await;
        read.extend_from_slice(&more.unwrap().unwrap());
        assert!(read.ends_with(format!("{index}\n").as_bytes()));
    }
    let expected: String = (0..20).map(|index| format!("{index}\n")).collect();
    assert_eq!(read, expected.as_bytes());
    assert_eq!(text(other, "a").await.unwrap(), expected);
}

pub(crate) async fn a_list_is_in_the_order_of_names(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    let mut all: Vec<String> = [
        "a/b", "a-b", "a.b", "a+b", "a0", "A", "a/c/d", "a/c-d", "a/c.d", "b/x/y", "a_b",
    ]
    .map(str::to_owned)
    .to_vec();
    all.extend((0..60).map(|index| format!("many/{index}")));
    for name in &all {
        put(storage, name, name).await;
    }
    all.sort();
    for prefix in ["", "a", "a/", "a/c", "many/1", "many/", "no", "no/", "a/b/"] {
        let mut expected = all.clone();
        expected.retain(|name| name.starts_with(prefix));
        assert_eq!(names(other, prefix).await, expected, "{prefix}");
    }
    let listed: Vec<Listed> = other.list("many/1").try_collect().await.unwrap();
    assert!(
        listed
            .iter()
            .all(|object| object.size == object.name.len() as u64)
    );
}

pub(crate) async fn deleting_again_is_no_error(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    for name in ["runs/1/a", "runs/1/b/c", "runs/10/a", "x"] {
        put(storage, name, "1").await;
    }
    assert!(other.delete("x", None).await.unwrap());
    assert!(!storage.delete("x", None).await.unwrap());
    assert!(storage.get("x").await.unwrap().is_none());
    assert_eq!(other.delete_all("runs/1/").await.unwrap(), 2);
    assert_eq!(storage.delete_all("runs/1/").await.unwrap(), 0);
    assert_eq!(names(storage, "").await, ["runs/10/a"]);
    let error = storage.delete_all("").await.unwrap_err();
    assert!(matches!(error, Error::Name { .. }), "{error:?}");
}

pub(crate) async fn objects_come_and_go_beside_each_other(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    let all = (0..8).map(|index| {
        let storage = if index % 2 == 0 { storage } else { other };
        async move {
            let name = format!("a/b/{index}");
            for _ in 0..10 {
                put(storage, &name, "1").await;
                assert!(storage.delete(&name, None).await.unwrap());
                storage
                    .append(&name, Bytes::from_static(b"2"))
                    .await
                    .unwrap();
                assert!(storage.delete(&name, None).await.unwrap());
            }
            put(storage, &name, "3").await;
        }
    });
    join_all(all).await;
    assert_eq!(names(storage, "a/").await.len(), 8);
}

pub(crate) async fn odd_names_are_refused(fixture: Fixture) {
    let (storage, _) = fixture.made().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let bytes = || Bytes::from_static(b"x");
    for name in [
        "",
        "..",
        "../a",
        "a/../../b",
        "/etc/x",
        "a//b",
        ".sbm-store/a",
        "a\\b",
        "a:b",
        "a\nb",
    ] {
        let any = Condition::Any;
        let faults = [
            storage.put(name, bytes(), any.clone()).await.err(),
            storage.put_file(name, file.path(), any).await.err(),
            storage.get(name).await.err(),
            storage.get_file(name, file.path()).await.err(),
            storage.get_range(name, 0, 1).await.err(),
            storage.begin(name).await.err(),
            storage.append(name, bytes()).await.err(),
            storage.delete(name, None).await.err(),
            storage.lease(name, LONG).await.err(),
        ];
        for fault in faults {
            assert!(
                matches!(fault, Some(Error::Name { .. })),
                "{name}: {fault:?}"
            );
        }
    }
    for prefix in ["../", "a//", ".sbm-store/"] {
        let error = storage.list(prefix).try_collect::<Vec<_>>().await.err();
        assert!(matches!(error, Some(Error::Name { .. })), "{prefix}");
        let error = storage.delete_all(prefix).await.err();
        assert!(matches!(error, Some(Error::Name { .. })), "{prefix}");
    }
    assert!(names(storage, "").await.is_empty());
}

pub(crate) async fn a_large_file_goes_there_and_back(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let content: Vec<u8> = (0..9_000_000_u32)
        .map(|index| (index % 251) as u8)
        .collect();
    std::fs::write(&from, &content).unwrap();
    std::fs::write(&to, "old").unwrap();
    let version = storage
        .put_file("runs/1/package.sbm", &from, Condition::Absent)
        .await
        .unwrap();
    let again = storage.put_file("runs/1/package.sbm", &from, Condition::Absent);
    let error = again.await.unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error:?}");
    let size = other.get_file("runs/1/package.sbm", &to).await.unwrap();
    assert_eq!(size, Some(content.len() as u64));
    assert!(std::fs::read(&to).unwrap() == content);
    let read = other.get("runs/1/package.sbm").await.unwrap().unwrap();
    assert_eq!(read.version, version);
}

pub(crate) async fn a_file_that_is_not_there_changes_nothing(fixture: Fixture) {
    let (storage, _) = fixture.made().await;
    put(storage, "a", "1").await;
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    for from in [&missing, folder.path()] {
        let error = storage
            .put_file("a", from, Condition::Any)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error:?}");
        assert!(error.to_string().contains(from.to_str().unwrap()));
    }
    assert_eq!(text(storage, "a").await.unwrap(), "1");
    assert_eq!(storage.get_file("b", &missing).await.unwrap(), None);
    assert!(!missing.exists());
    let nowhere = missing.join("x");
    let error = storage.get_file("a", &nowhere).await.unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error:?}");
}

pub(crate) async fn reports_can_be_stored_again_and_again(fixture: Fixture) {
    let (storage, other) = fixture.made().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("commits.log", "1\n");
    write("errors.log", "");
    write("no name", "3");
    std::fs::create_dir(folder.path().join("databases")).unwrap();
    // The reference program has appended to its own.
    storage
        .append("commits.log", Bytes::from_static(b"0\n"))
        .await
        .unwrap();
    for storage in [storage, other, storage] {
        let stored = sbm::storage::consolidate(storage, folder.path())
            .await
            .unwrap();
        assert_eq!(stored, ["commits.log", "errors.log"]);
        assert_eq!(text(other, "commits.log").await.unwrap(), "1\n");
        assert_eq!(text(other, "errors.log").await.unwrap(), "");
        assert_eq!(names(other, "").await, ["commits.log", "errors.log"]);
    }
    let missing = folder.path().join("missing");
    let error = sbm::storage::consolidate(storage, &missing)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error:?}");
}

/// Every promise as a test of the module in which it is called.
macro_rules! storage_contract {
    ($fixture:path) => {
        $crate::contract::storage::storage_contract! { @each $fixture; storage:
            the_place_is_made_once
            without_the_place_nothing_works_and_nothing_makes_it
            what_is_put_is_read_by_others
            every_write_makes_another_version
            one_of_many_makes_an_absent_object
            one_of_many_changes_the_version_that_all_read
            a_condition_that_does_not_hold_changes_nothing
            readers_see_objects_whole
            a_range_has_the_bytes_that_there_are
            an_object_for_appending_is_begun_once
            pieces_appended_at_once_stay_whole
            readers_see_an_object_grow
            a_list_is_in_the_order_of_names
            deleting_again_is_no_error
            objects_come_and_go_beside_each_other
            odd_names_are_refused
            a_large_file_goes_there_and_back
            a_file_that_is_not_there_changes_nothing
            reports_can_be_stored_again_and_again
        }
        $crate::contract::storage::storage_contract! { @each $fixture; leases:
            a_lease_has_one_holder
            only_the_holder_writes_a_leased_object
            a_lease_ends_with_its_object
            a_lease_lasts_while_it_is_renewed
            a_lease_that_nobody_took_is_renewed_after_it_lapsed
            a_lease_that_somebody_took_after_it_lapsed_is_lost
            a_lapsed_lease_is_lost_when_somebody_wrote
        }
    };
    (@each $fixture:path; $file:ident: $($promise:ident)*) => {
        $(
            #[test]
            fn $promise() {
                let test = concat!(module_path!(), "::", stringify!($promise));
                if let Some((fixture, _guard)) = $fixture(test) {
                    $crate::support::postgres::runtime()
                        .block_on($crate::contract::$file::$promise(fixture));
                }
            }
        )*
    };
}
pub(crate) use storage_contract;
