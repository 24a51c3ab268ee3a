//! Result lines on their way through a storage that is slow, fails or goes away.

use std::{fs, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use sbm::{
    protocol::{ErrorReport, Pair, Platform, ResultLine, RunPaths, State, Target},
    storage::{LinesError, LinesSettings, LocalFolder, ResultLines, ResultReader, Storage},
};
use uuid::Uuid;

use crate::{
    contract::storage::names,
    support::{
        faulty_storage::{FaultyStorage, until},
        postgres::runtime,
    },
};

fn paths() -> RunPaths {
    RunPaths::new(Uuid::from_u128(7))
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

fn number(line: &ResultLine) -> usize {
    line.retries.try_into().unwrap()
}

/// Tries again quickly, and for longer than any test takes.
fn patient() -> LinesSettings {
    LinesSettings {
        first_pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(50),
        ..LinesSettings::default()
    }
}

fn worker(storage: &Arc<dyn Storage>, name: &str, settings: LinesSettings) -> ResultLines {
    ResultLines::new(Arc::clone(storage), &paths(), name, settings)
}

/// The numbers of all lines that a new reader finds, and how many it passed over.
async fn stored(storage: &Arc<dyn Storage>) -> (Vec<usize>, u64) {
    let mut reader = ResultReader::new(Arc::clone(storage), &paths());
    let numbers = more(&mut reader).await;
    (numbers, reader.skipped())
}

async fn more(reader: &mut ResultReader) -> Vec<usize> {
    let mut numbers = Vec::new();
    let count = reader.read(|line| numbers.push(number(&line))).await;
    assert_eq!(count.unwrap(), numbers.len() as u64);
    numbers
}

async fn objects(storage: &Arc<dyn Storage>) -> Vec<String> {
    let results = paths().results();
    let names = names(&**storage, &results).await;
    let short = names.iter().map(|name| name.replace(&results, ""));
    short.collect()
}

/// A result in the form that tests compare.
fn words(result: Result<(), LinesError>) -> Result<(), String> {
    result.map_err(|error| error.to_string())
}

#[test]
fn a_line_is_stored_when_its_append_is_done() {
    runtime().block_on(async {
        let (_, storage) = FaultyStorage::new().await.shared();
        let lines = worker(&storage, "w", patient());
        assert!(objects(&storage).await.is_empty());
        for number in 0..5 {
            lines.append(&line(number)).await.unwrap();
            let expected: Vec<usize> = (0..=number).collect();
            assert_eq!(stored(&storage).await, (expected, 0));
        }
        assert_eq!(objects(&storage).await, ["w.1.jsonl"]);
    });
}

#[test]
fn lines_that_come_during_a_write_are_written_together_and_in_order() {
    runtime().block_on(async {
        let mut faulty = FaultyStorage::new().await;
        faulty.door = tokio::sync::Semaphore::new(0);
        let (faulty, storage) = faulty.shared();
        let lines = worker(&storage, "w", patient());
        let first = lines.append(&line(0));
        until("the first line is written", || faulty.appends() == 1).await;
        let others: Vec<_> = (1..50).map(|number| lines.append(&line(number))).collect();
        faulty.door.add_permits(2);
        first.await.unwrap();
        for other in join_all(others).await {
            other.unwrap();
        }
        assert_eq!(faulty.appends(), 2);
        assert_eq!(stored(&storage).await, ((0..50).collect(), 0));
    });
}

#[test]
fn lines_that_are_too_many_for_one_write_are_written_in_order() {
    runtime().block_on(async {
        let (faulty, storage) = FaultyStorage::new().await.shared();
        let lines = worker(&storage, "w", patient());
        let wide = |number| {
            let mut line = line(number);
            line.warnings.push("w".repeat(100_000));
            line
        };
        let all: Vec<_> = (0..10).map(|number| lines.append(&wide(number))).collect();
        for result in join_all(all).await {
            result.unwrap();
        }
        assert!(faulty.appends() >= 5, "{}", faulty.appends());
        assert_eq!(stored(&storage).await, ((0..10).collect(), 0));
    });
}

#[test]
fn lines_wait_for_a_storage_that_fails_and_arrive_in_order() {
    runtime().block_on(async {
        let (faulty, storage) = FaultyStorage::new().await.shared();
        faulty.fail(u32::MAX);
        let lines = worker(&storage, "w", patient());
        let trouble = lines.trouble();
        let all: Vec<_> = (0..20).map(|number| lines.append(&line(number))).collect();
        until("it is tried again", || faulty.appends() >= 3).await;
        let why = trouble.borrow().clone().unwrap();
        assert!(why.contains("the test wants it so"), "{why}");
        faulty.fail(0);
        for result in join_all(all).await {
            result.unwrap();
        }
        assert!(trouble.borrow().is_none());
        assert_eq!(stored(&storage).await, ((0..20).collect(), 0));
    });
}

#[test]
fn a_storage_that_is_gone_is_tried_again_until_patience_is_over() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let storage: Arc<dyn Storage> = Arc::new(LocalFolder::new(&root));
        let settings = LinesSettings {
            patience: Duration::from_secs(1),
            ..patient()
        };
        let began = std::time::Instant::now();
        let lines = worker(&storage, "w", settings.clone());
        let error = words(lines.append(&line(1)).await).unwrap_err();
        assert!(began.elapsed() >= settings.patience);
        assert!(
            error.contains(root.to_str().unwrap()) && error.contains("tried for"),
            "{error}"
        );
        assert!(!root.exists());
    });
}

#[test]
fn after_its_patience_nothing_is_stored_any_more() {
    runtime().block_on(async {
        let (faulty, storage) = FaultyStorage::new().await.shared();
        faulty.fail(1);
        let settings = LinesSettings {
            patience: Duration::ZERO,
            ..patient()
        };
        let lines = worker(&storage, "w", settings);
        let all: Vec<_> = (0..3).map(|number| lines.append(&line(number))).collect();
        for result in join_all(all).await {
            assert!(words(result).unwrap_err().contains("the test wants it so"));
        }
        // Whoever waits for better times is told that they do not come.
        assert!(lines.trouble().wait_for(Option::is_none).await.is_err());
        let late = words(lines.append(&line(3)).await).unwrap_err();
        assert!(late.contains("cannot be stored"), "{late}");
        lines.close().await;
        assert_eq!(faulty.appends(), 1);
        assert_eq!(stored(&storage).await, (vec![], 0));
    });
}

#[test]
fn a_line_for_which_nobody_waits_any_more_is_stored() {
    runtime().block_on(async {
        let (_, storage) = FaultyStorage::new().await.shared();
        let lines = worker(&storage, "w", patient());
        for number in 0..5 {
            drop(lines.append(&line(number)));
        }
        lines.close().await;
        assert_eq!(stored(&storage).await, ((0..5).collect(), 0));
    });
}

#[test]
fn a_new_object_begins_before_one_has_too_many_appends() {
    runtime().block_on(async {
        let (faulty, storage) = FaultyStorage::new().await.shared();
        let settings = LinesSettings {
            appends_per_object: 3,
            ..patient()
        };
        let lines = worker(&storage, "w", settings);
        for number in 0..7 {
            lines.append(&line(number)).await.unwrap();
        }
        assert_eq!(
            objects(&storage).await,
            ["w.1.jsonl", "w.2.jsonl", "w.3.jsonl"]
        );
        let counts = faulty.texts().await;
        let counts: Vec<usize> = counts.iter().map(|text| text.lines().count()).collect();
        assert_eq!(counts, [3, 3, 1]);
        assert_eq!(stored(&storage).await, ((0..7).collect(), 0));
    });
}

#[test]
fn failed_appends_count_for_the_limit_of_an_object() {
    runtime().block_on(async {
        let (faulty, storage) = FaultyStorage::new().await.shared();
        faulty.fail(2);
        let settings = LinesSettings {
            appends_per_object: 3,
            ..patient()
        };
        let lines = worker(&storage, "w", settings);
        for number in 0..2 {
            lines.append(&line(number)).await.unwrap();
        }
        assert_eq!(objects(&storage).await, ["w.1.jsonl", "w.2.jsonl"]);
        assert_eq!(stored(&storage).await, (vec![0, 1], 0));
    });
}

#[test]
fn another_worker_of_the_same_name_begins_an_object_of_its_own() {
    runtime().block_on(async {
        let (_, storage) = FaultyStorage::new().await.shared();
        let workers: Vec<_> = (0..4).map(|_| worker(&storage, "w", patient())).collect();
        let all = workers.iter().enumerate();
        let all: Vec<_> = all
            .map(|(number, worker)| worker.append(&line(number)))
            .collect();
        for result in join_all(all).await {
            result.unwrap();
        }
        assert_eq!(objects(&storage).await.len(), 4);
        let (mut numbers, skipped) = stored(&storage).await;
        numbers.sort_unstable();
        assert_eq!((numbers, skipped), (vec![0, 1, 2, 3], 0));
    });
}

#[test]
fn a_write_that_is_torn_harms_no_other_line() {
    runtime().block_on(async {
        let mut faulty = FaultyStorage::new().await;
        faulty.torn = true;
        let (faulty, storage) = faulty.shared();
        let lines = worker(&storage, "w", patient());
        for number in 0..3 {
            faulty.fail(u32::from(number == 1));
            lines.append(&line(number)).await.unwrap();
        }
        assert_eq!(stored(&storage).await, (vec![0, 1, 2], 1));
    });
}

#[test]
fn an_object_that_is_cut_off_in_a_line_loses_only_that_line() {
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(LocalFolder::new(folder.path()));
        storage.create().await.unwrap();
        let mut reader = ResultReader::new(Arc::clone(&storage), &paths());
        for (name, numbers) in [("v", 0..3), ("w", 3..6)] {
            let lines = worker(&storage, name, patient());
            for number in numbers {
                lines.append(&line(number)).await.unwrap();
            }
        }
        assert_eq!(more(&mut reader).await, [0, 1, 2, 3, 4, 5]);
        let object = folder.path().join(paths().results_of("v") + "1.jsonl");
        let size = fs::metadata(&object).unwrap().len();
        let file = fs::File::options().write(true).open(&object).unwrap();
        file.set_len(size - 40).unwrap();
        assert_eq!(stored(&storage).await, (vec![0, 1, 3, 4, 5], 0));
        // Who had read it before reads it again, and says what it does not understand.
        assert_eq!(more(&mut reader).await, [0, 1]);
        assert_eq!((reader.skipped(), reader.unfinished()), (0, 1));
        assert!(more(&mut reader).await.is_empty());
        // A worker of the same name goes on in another object.
        let lines = worker(&storage, "v", patient());
        lines.append(&line(6)).await.unwrap();
        assert_eq!(more(&mut reader).await, [6]);
    });
}

#[test]
fn lines_of_many_workers_are_read_each_once() {
    runtime().block_on(async {
        let (_, storage) = FaultyStorage::new().await.shared();
        let mut reader = ResultReader::new(Arc::clone(&storage), &paths());
        assert!(more(&mut reader).await.is_empty());
        let workers: Vec<_> = (0..10)
            .map(|index| worker(&storage, &format!("w{index}"), patient()))
            .collect();
        let mut all = Vec::new();
        for round in 0..5 {
            let numbers = (0..30).map(|index| round * 30 + index);
            let appends: Vec<_> = numbers
                .map(|number| workers[number % 10].append(&line(number)))
                .collect();
            for result in join_all(appends).await {
                result.unwrap();
            }
            let read = more(&mut reader).await;
            assert_eq!(read.len(), 30);
            all.extend(read);
        }
        assert!(more(&mut reader).await.is_empty());
        all.sort_unstable();
        assert_eq!(all, (0..150).collect::<Vec<usize>>());
    });
}

#[test]
fn lines_that_are_none_are_counted_once_and_skipped() {
    runtime().block_on(async {
        let (_, storage) = FaultyStorage::new().await.shared();
        let lines = worker(&storage, "w", patient());
        lines.append(&line(0)).await.unwrap();
        let object = paths().results_of("w") + "1.jsonl";
        let mut newer = line(9);
        newer.version = ResultLine::VERSION + 1;
        let newer = serde_json::to_string(&newer).unwrap();
        let odd = format!("no line\n{{\"version\":1}}\n\n\u{fffd}\n{newer}\n[\n");
        let mut odd = odd.into_bytes();
        odd.extend_from_slice(b"\xff\xfe\n");
        storage.append(&object, Bytes::from(odd)).await.unwrap();
        lines.append(&line(1)).await.unwrap();
        let mut reader = ResultReader::new(Arc::clone(&storage), &paths());
        for expected in [vec![0, 1], vec![]] {
            assert_eq!(more(&mut reader).await, expected);
            assert_eq!((reader.skipped(), reader.unfinished()), (6, 0));
        }
    });
}

#[test]
fn a_line_longer_than_what_is_read_at_once_is_read() {
    runtime().block_on(async {
        let (_, storage) = FaultyStorage::new().await.shared();
        let object = paths().results_of("w") + "1.jsonl";
        for number in 0..3 {
            let mut line = line(number);
            line.warnings.push("x".repeat(3 * 1024 * 1024));
            let text = serde_json::to_string(&line).unwrap() + "\n";
            storage.append(&object, Bytes::from(text)).await.unwrap();
        }
        assert_eq!(stored(&storage).await, (vec![0, 1, 2], 0));
    });
}

#[test]
fn what_is_no_line_at_all_is_passed_over_however_long_it_is() {
    runtime().block_on(async {
        let (_, storage) = FaultyStorage::new().await.shared();
        let object = paths().results_of("w") + "1.jsonl";
        for _ in 0..10 {
            let piece = Bytes::from(vec![b'x'; 4 * 1024 * 1024]);
            storage.append(&object, piece).await.unwrap();
        }
        let mut reader = ResultReader::new(Arc::clone(&storage), &paths());
        assert!(more(&mut reader).await.is_empty());
        let text = format!("\n{}\n", serde_json::to_string(&line(1)).unwrap());
        storage.append(&object, Bytes::from(text)).await.unwrap();
        assert_eq!(more(&mut reader).await, [1]);
        assert_eq!(reader.skipped(), 1);
    });
}

#[test]
fn a_line_with_too_many_details_keeps_what_counts() {
    runtime().block_on(async {
        let (_, storage) = FaultyStorage::new().await.shared();
        let lines = worker(&storage, "w", patient());
        let mut long = line(1);
        long.state = State::RolledBack;
        let error = ErrorReport {
            message: "ä".repeat(100_000),
            ..ErrorReport::default()
        };
        long.errors = vec![error; 50];
        lines.append(&long).await.unwrap();
        let mut reader = ResultReader::new(Arc::clone(&storage), &paths());
        let mut read = Vec::new();
        reader.read(|line| read.push(line)).await.unwrap();
        let [short] = read.as_slice() else {
            panic!("{} lines", read.len());
        };
        assert_eq!((short.state, &short.key), (long.state, &long.key));
        assert!(short.errors[0].message.starts_with("ää"));
        assert!(short.warnings[0].contains("left out"));
    });
}
