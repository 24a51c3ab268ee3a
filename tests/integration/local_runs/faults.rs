//! Files that are locked, cut off or gone while a run goes on.

use std::{fs, thread, time::Duration};

use rusqlite::Connection;

use super::job::{self, Job, expect_one_effect_each, occupy, seeded, slow};
use crate::support::{
    fleet::{self, Fleet},
    live::{Live, eventually},
    postgres::runtime,
    run_files::RunFiles,
};
use sbm::{
    protocol::{Concurrency, ConcurrencyType, Platform},
    queue::{LocalQueue, Options, Queue},
};

const TARGETS: usize = 40;

/// Starts a run, does `harm` when a quarter of it is done, and expects that all ends well.
fn run_in_trouble(test: &str, harm: impl FnOnce(&Job, &mut Live)) {
    let fleet = Fleet::new(fleet::Platform::Sqlite, TARGETS, test).unwrap();
    let job = Job::of_files(&fleet);
    job.package(&[("1.sql", &slow(100_000))]);
    let program = job.begin("run").option("--workers", "2");
    let mut live = Live::start(program.option("--concurrency", "1"));
    eventually("a quarter is done", || job.settled() >= TARGETS / 4);
    harm(&job, &mut live);
    let report = live.end().expect_code(0);
    assert_eq!(job::committed(&report), TARGETS as u64, "{}", report.stdout);
    expect_one_effect_each(&fleet);
    job.expect_nothing_left();
}

#[test]
fn a_queue_that_another_process_has_locked_for_some_seconds_costs_nothing() {
    run_in_trouble("local_runs::faults::a_queue_that_is_locked", |job, _| {
        let queue = Connection::open(job.queue()).unwrap();
        queue.busy_timeout(Duration::from_secs(60)).unwrap();
        queue.execute_batch("BEGIN EXCLUSIVE").unwrap();
        thread::sleep(Duration::from_secs(3));
        queue.execute_batch("ROLLBACK").unwrap();
    });
}

#[test]
fn result_lines_that_are_cut_off_are_asked_of_the_databases() {
    const TEST: &str = "local_runs::faults::result_lines_that_are_cut_off";
    let mut random = seeded(TEST);
    run_in_trouble(TEST, |job, _| {
        for path in job.result_files() {
            let file = fs::File::options().write(true).open(path).unwrap();
            let length = file.metadata().unwrap().len();
            file.set_len(length - length.min(random.u64(1..600)))
                .unwrap();
        }
    });
}

#[test]
fn a_queue_that_is_removed_is_made_anew() {
    run_in_trouble("local_runs::faults::a_queue_that_is_removed", |job, _| {
        let concurrency = Concurrency {
            kind: ConcurrencyType::Count,
            limit: 1,
            max_slots: 32,
        };
        let options = Options::new(Platform::Sqlite, concurrency);
        let queue = LocalQueue::open(&job.queue(), options).unwrap();
        runtime().block_on(queue.remove()).unwrap();
    });
}

#[test]
fn a_queue_that_somebody_has_spoilt_ends_the_run_and_every_target_has_its_state() {
    let test = "local_runs::faults::a_queue_that_somebody_has_spoilt";
    let fleet = Fleet::new(fleet::Platform::Sqlite, TARGETS, test).unwrap();
    let job = Job::of_files(&fleet);
    job.package(&[("1.sql", &slow(1_000))]);
    let occupied = occupy(&fleet, 0);
    let program = job.begin("run").option("--workers", "1");
    let live = Live::start(program.option("--concurrency", "1"));
    eventually("the first one waits", || !job.lines().is_empty());
    // The log beside it, which belongs to it, stays.
    fs::remove_file(job.queue()).unwrap();
    drop(occupied);
    let report = live.end().expect_code(3);
    RunFiles(job.container()).assert_partition(&fleet.lines());
    assert!(
        report.stdout.contains("cannot be used as a queue"),
        "{}",
        report.stdout
    );
    // What is left of it is named until somebody has removed it; then the run goes on.
    let journal = job.queue().display().to_string() + "-wal";
    if fs::exists(&journal).unwrap() {
        let said = job.step("cleanup").run().expect_code(6);
        assert!(said.stdout.contains(&journal), "{}", said.stdout);
        fs::remove_file(journal).unwrap();
    }
    let report = job.go_on().run().expect_code(0);
    assert_eq!(job::committed(&report), TARGETS as u64, "{}", report.stdout);
    expect_one_effect_each(&fleet);
    job.expect_nothing_left();
}
