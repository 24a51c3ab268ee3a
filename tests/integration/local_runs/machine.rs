//! A machine that is in trouble while a run goes on: a disk that is full, logs that cannot be written, a clock that somebody sets,
//! a process that stands still.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::job::{self, Job, expect_one_effect_each, occupy, signal, slow};
use crate::support::{
    fleet::{Fleet, Platform},
    live::{Live, eventually},
    program::Run,
    skip,
};
use sbm::protocol::RunPaths;

const TARGETS: usize = 40;

/// Databases that take a moment each.
fn fleet(test: &str, targets: usize, rounds: u64) -> (Fleet, Job) {
    let fleet = Fleet::new(Platform::Sqlite, targets, test).unwrap();
    let job = Job::of_files(&fleet);
    job.package(&[("1.sql", &slow(rounds))]);
    (fleet, job)
}

fn expect_all_is_well(fleet: &Fleet, report: &Run) {
    let targets = fleet.names.len() as u64;
    assert_eq!(job::committed(report), targets, "{}", report.stdout);
    expect_one_effect_each(fleet);
}

/// Mounts a small disk at the store, and fills it when a quarter of the lines are there. The command that runs meanwhile is
/// `$@`; what it leaves in the store is copied to `$0.kept`.
const ON_A_FULL_DISK: &str = r#"
mkdir -p "$0" && mount -t tmpfs -o size=24m tmpfs "$0" || exit 99
(
    while [ "$(cat "$0"/job/runs/*/results/* 2>/dev/null | wc -l)" -lt 20 ]; do sleep 0.05; done
    cat /dev/zero >"$0/filler" 2>/dev/null
    touch "$0.filled"
    sleep 3
    rm "$0/filler"
) &
"$@"
"#;

#[test]
fn a_disk_that_is_full_for_some_seconds_costs_nothing() {
    let test = "local_runs::machine::a_disk_that_is_full_for_some_seconds_costs_nothing";
    let (fleet, job) = fleet(test, TARGETS, 60_000);
    let program = job.begin("run").option("--workers", "2");
    let program = program.option("--concurrency", "1").within([
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        ON_A_FULL_DISK,
        job.store().to_str().unwrap(),
    ]);
    if !may_mount() {
        skip(
            "a kernel that lets users mount file systems of their own",
            test,
        );
        return;
    }
    let report = Live::start(program).end().expect_code(0);
    assert!(job.store().with_added_extension("filled").exists());
    expect_all_is_well(&fleet, &report);
}

fn may_mount() -> bool {
    let tried = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .args(["sh", "-c", "mount -t tmpfs tmpfs /mnt"])
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

#[test]
fn logs_of_workers_that_cannot_be_written_are_named_and_cost_no_database() {
    let test = "local_runs::machine::logs_of_workers_that_cannot_be_written";
    let (fleet, job) = fleet(test, 8, 1_000);
    job.begin("prep").run().expect_code(0);
    job.step("enqueue").run().expect_code(0);
    // Even a user who may do everything cannot write below a file.
    let logs = logs(&job);
    fs::write(&logs, "in the way").unwrap();
    let refused = job.step("deploy").run().expect_code(3);
    let name = logs.display().to_string();
    assert!(refused.stderr.contains(&name), "{}", refused.stderr);
    fs::remove_file(&logs).unwrap();
    job.step("deploy").run().expect_code(0);
    let report = job.step("monitor").option("--output", "json").run();
    expect_all_is_well(&fleet, &report.expect_code(0));
    job.expect_nothing_left();
}

#[test]
fn logs_of_databases_that_cannot_be_written_cost_no_database() {
    let test = "local_runs::machine::logs_of_databases_that_cannot_be_written";
    let (fleet, job) = fleet(test, 8, 1_000);
    job.begin("prep").run().expect_code(0);
    job.step("enqueue").run().expect_code(0);
    let list = sbm::targets::parse_inline(&fleet.lines()[0], None).unwrap();
    let log = sbm::worker::log_path(&logs(&job), &list.targets[0].target);
    let folder = log.parent().unwrap();
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    fs::write(folder, "in the way").unwrap();
    job.step("deploy").run().expect_code(0);
    let report = job.step("monitor").option("--output", "json").run();
    expect_all_is_well(&fleet, &report.expect_code(0));
    assert!(folder.is_file());
    job.expect_nothing_left();
}

/// The folder of the logs of the present run.
fn logs(job: &Job) -> PathBuf {
    let paths = RunPaths::new(job.run_id().unwrap());
    // Without the stroke at the end of a prefix.
    job.container().join(paths.logs()).components().collect()
}

/// The library that lets one process have another time than its machine.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let places = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    places.into_iter().find(|path| path.exists())
}

#[test]
fn a_clock_that_is_set_an_hour_on_and_back_costs_nothing() {
    let test = "local_runs::machine::a_clock_that_is_set_an_hour_on_and_back_costs_nothing";
    let Some(library) = faketime() else {
        skip("the library libfaketime (Debian: faketime)", test);
        return;
    };
    let (fleet, job) = fleet(test, TARGETS, 60_000);
    let clock = job.folder.path().join("clock");
    set(&clock, "+0");
    let program = job
        .begin("run")
        .option("--workers", "2")
        .option("--concurrency", "1")
        .variable("LD_PRELOAD", library)
        .variable("FAKETIME_TIMESTAMP_FILE", &clock)
        .variable("FAKETIME_NO_CACHE", "1")
        .variable("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let live = Live::start(program);
    for (part, time) in [(1, "+3600"), (2, "-3600"), (3, "+0")] {
        eventually("one more quarter is done", || {
            job.settled() >= part * TARGETS / 4
        });
        set(&clock, time);
    }
    let report = live.end().expect_code(0);
    // No lock has seemed to have ended, so nothing was begun twice.
    let attempts: HashSet<_> = job.lines().iter().map(|line| line.attempt_id).collect();
    assert_eq!(attempts.len(), TARGETS);
    expect_all_is_well(&fleet, &report);
    job.expect_nothing_left();
}

/// Sets the clock of all processes that read `file`, at once.
fn set(file: &Path, time: &str) {
    let new = file.with_added_extension("new");
    fs::write(&new, time).unwrap();
    fs::rename(new, file).unwrap();
}

#[test]
fn a_worker_that_stands_still_for_longer_than_its_locks_last_builds_nothing_twice() {
    let test = "local_runs::machine::a_worker_that_stands_still";
    let (fleet, job) = fleet(test, 12, 1_000);
    // The only database that takes long.
    let occupied = occupy(&fleet, 0);
    let program = job.begin("run").option("--workers", "2");
    let live = Live::start(program.option("--concurrency", "1"));
    let holder = || {
        let lines = job.lines();
        let begun = lines
            .iter()
            .find(|line| line.target.to_string().contains(&fleet.names[0]));
        begun.map(|line| line.worker.clone())
    };
    eventually("one worker waits, and the other has done the rest", || {
        holder().is_some() && job.settled() == 11
    });
    let stopped = holder().unwrap();
    let workers = job.workers();
    let (_, process) = workers.iter().find(|(name, _)| *name == stopped).unwrap();
    signal(*process, "STOP");
    drop(occupied);
    eventually("the other one builds what it held", || job.settled() == 12);
    signal(*process, "CONT");
    let report = live.end().expect_code(0);
    expect_all_is_well(&fleet, &report);
    job.expect_nothing_left();
}
