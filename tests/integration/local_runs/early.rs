//! Runs that end before their last target, and what is said of the rest.

use super::job::{self, Job, expect_one_effect_each, occupy, signal, slow, total};
use crate::support::{
    fleet::{Fleet, Platform},
    live::{Live, eventually},
    many::Many,
    program::Run,
    run_files::RunFiles,
};
use sbm::protocol::Phase;

fn fleet(targets: usize, test: &str) -> (Fleet, Job) {
    let test = format!("local_runs::early::{test}");
    let fleet = Fleet::new(Platform::Sqlite, targets, &test).unwrap();
    let job = Job::of_files(&fleet);
    (fleet, job)
}

/// Whether nothing starts any more: all that is left in the queue is in the hands of workers.
fn drains(job: &Job) -> bool {
    let control = job.control();
    let left = job.queued().unwrap_or_default();
    control.is_some_and(|control| control.phase >= Phase::Draining) && left.0 == left.1
}

/// Every target is in one of the three lists.
fn expect_one_state_each(job: &Job, fleet: &Fleet) {
    RunFiles(job.container()).assert_partition(&fleet.lines());
}

/// How many databases nobody has touched.
fn untouched(fleet: &Fleet) -> u64 {
    let databases = 0..fleet.names.len();
    let untouched = databases.filter(|index| {
        !fleet.has_table(*index, "effect") && !fleet.has_table(*index, "SqlBuild_Ledger")
    });
    untouched.count() as u64
}

#[test]
fn a_signal_leaves_the_rest_untouched_and_the_run_can_go_on() {
    let (fleet, job) = fleet(12, "a_signal");
    job.package(&[("1.sql", &slow(1_000))]);
    let occupied = [occupy(&fleet, 2), occupy(&fleet, 3)];
    let live = Live::start(
        job.begin("run")
            .option("--workers", "2")
            .option("--concurrency", "1"),
    );
    // Targets are handed out in turn.
    eventually("two targets are built, and both workers wait", || {
        job.queued() == Some((10, 2))
    });
    live.signal("INT");
    eventually("the run drains", || drains(&job));
    drop(occupied);
    let run = live.end().expect_code(130);
    let (committed, skipped) = (total(&run, "committed"), total(&run, "skipped"));
    assert_eq!((committed, skipped), (4, 8), "{}", run.stdout);
    assert_eq!(untouched(&fleet), skipped);
    expect_one_state_each(&job, &fleet);
    let run = job.go_on().run().expect_code(0);
    assert_eq!(job::committed(&run), 12, "{}", run.stdout);
    expect_one_effect_each(&fleet);
    job.expect_nothing_left();
}

#[test]
fn too_many_failures_halt_the_run_and_the_rest_is_skipped() {
    let (fleet, job) = fleet(12, "too_many_failures");
    job.package(&[("1.sql", "SELECT * FROM no_such_table;\n")]);
    let occupied = [occupy(&fleet, 4), occupy(&fleet, 5)];
    let live = Live::start(
        job.begin("run")
            .option("--workers", "2")
            .option("--concurrency", "1")
            .option("--maxfailures", "3"),
    );
    eventually("the run drains", || drains(&job));
    drop(occupied);
    let run = live.end().expect_code(4);
    let (failed, skipped) = (total(&run, "rolledBack"), total(&run, "skipped"));
    assert_eq!(failed + skipped, 12, "{}", run.stdout);
    assert!(failed >= 4 && skipped >= 6, "{}", run.stdout);
    assert!(run.stdout.contains("--maxfailures is 3"), "{}", run.stdout);
    expect_one_state_each(&job, &fleet);
    job.expect_nothing_left();
}

#[test]
fn workers_that_never_stay_fail_the_run_and_others_complete_it() {
    let (fleet, job) = fleet(12, "workers_that_never_stay");
    job.package(&[("1.sql", &slow(200_000))]);
    // However slow the killing is, not everything is built.
    let occupied = occupy(&fleet, 0);
    let mut live = Live::start(job.begin("run").option("--workers", "1"));
    while live.is_running() {
        for (_, process) in job.workers() {
            signal(process, "KILL");
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let run = live.end().expect_code(3);
    assert!(run.stdout.contains("no worker can work"), "{}", run.stdout);
    expect_one_state_each(&job, &fleet);
    job.expect_nothing_left();
    drop(occupied);
    let run = job.go_on().run().expect_code(0);
    assert_eq!(job::committed(&run), 12, "{}", run.stdout);
    expect_one_effect_each(&fleet);
    job.expect_nothing_left();
}

#[test]
fn a_server_that_is_down_fails_its_databases_only() {
    let Some(many) = Many::new(4, "local_runs::early::a_server_that_is_down") else {
        return;
    };
    let mut lines = many.lines();
    lines.insert(1, "127.0.0.1:1:nowhere".to_owned());
    let job = Job::of_many(&many, &lines);
    job.package(&[("1.sql", "CREATE TABLE effect (id int);\n")]);
    let program = job.begin("run").option("--workers", "2");
    let run = program.option("--connecttimeout", "2").run().expect_code(1);
    let totals = (total(&run, "committed"), total(&run, "rolledBack"));
    assert_eq!(totals, (4, 1), "{}", run.stdout);
    assert_eq!(
        RunFiles(job.container()).list("failure"),
        [lines[1].clone()]
    );
    job.expect_nothing_left();
}

#[test]
fn a_deadline_ends_a_run_that_would_not_end() {
    let (fleet, job) = fleet(6, "a_deadline");
    job.package(&[("1.sql", &slow(1_000_000_000_000))]);
    let program = job
        .begin("run")
        .option("--workers", "2")
        .option("--concurrency", "1")
        .option("--deadline", "3")
        .option("--draintimeout", "1");
    let run = program.run();
    assert!(matches!(run.code, Some(4 | 5)), "{run:?}");
    expect_no_effect(&fleet);
    expect_one_state_each(&job, &fleet);
    assert_eq!(
        total(&run, "rolledBack") + total(&run, "skipped") + total(&run, "unknown"),
        6,
        "{}",
        run.stdout
    );
    job.expect_nothing_left();
}

fn expect_no_effect(fleet: &Fleet) {
    for index in 0..fleet.names.len() {
        assert!(!fleet.has_table(index, "effect"), "{index}");
    }
}

#[test]
fn a_second_process_does_not_begin_what_is_open() {
    let (fleet, job) = fleet(3, "a_second_process");
    job.package(&[("1.sql", &slow(1_000))]);
    let occupied = occupy(&fleet, 0);
    let live = Live::start(job.begin("run").option("--workers", "1"));
    eventually("others are built", || job.settled() == 2);
    let refused = |run: Run| {
        let run = run.expect_code(2);
        assert!(run.stderr.contains("conducts it"), "{}", run.stderr);
    };
    refused(job.begin("run").run());
    refused(job.begin("run").option("--force", "true").run());
    job.step("cleanup").run().expect_code(2);
    drop(occupied);
    live.end().expect_code(0);
    expect_one_effect_each(&fleet);
    job.expect_nothing_left();
}

#[test]
fn targets_that_are_dequeued_cancel_the_run_of_whoever_conducts_it() {
    let (fleet, job) = fleet(8, "targets_that_are_dequeued");
    job.package(&[("1.sql", &slow(1_000))]);
    let occupied = occupy(&fleet, 2);
    let program = job.begin("run").option("--workers", "1");
    let live = Live::start(program.option("--concurrency", "1"));
    eventually("two targets are built, and the worker waits", || {
        job.queued() == Some((6, 1))
    });
    let said = job.step("dequeue").run().expect_code(0);
    assert!(
        said.stdout.contains("5 targets are taken"),
        "{}",
        said.stdout
    );
    drop(occupied);
    let run = live.end().expect_code(130);
    let totals = (total(&run, "committed"), total(&run, "skipped"));
    assert_eq!(totals, (3, 5), "{}", run.stdout);
    assert_eq!(untouched(&fleet), 5);
    expect_one_state_each(&job, &fleet);
    job.expect_nothing_left();
}

#[test]
fn a_dequeue_that_takes_nothing_cancels_nothing() {
    let (fleet, job) = fleet(3, "a_dequeue_that_takes_nothing");
    job.package(&[("1.sql", &slow(1_000))]);
    let occupied = occupy(&fleet, 1);
    let live = Live::start(job.begin("run").option("--workers", "1"));
    eventually("the last one waits", || job.queued() == Some((1, 1)));
    let said = job.step("dequeue").run().expect_code(0);
    assert!(
        said.stdout.contains("0 targets are taken"),
        "{}",
        said.stdout
    );
    drop(occupied);
    let run = live.end().expect_code(0);
    assert_eq!(total(&run, "committed"), 3, "{}", run.stdout);
    expect_one_effect_each(&fleet);
    job.expect_nothing_left();
}
