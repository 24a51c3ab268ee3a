//! The same on SQLite, whose databases are locked by the operating system.

use super::{
    chaos::{KILLS, kill_workers},
    job::{self, Job, expect_one_effect_each, seeded, slow},
};
use crate::support::{
    fleet::{Fleet, Platform},
    live::Live,
};

const WORKERS: usize = 4;

fn files_are_built_once(kind: &str, targets: usize) {
    let test = format!("local_runs::files::{kind}");
    let fleet = Fleet::new(Platform::Sqlite, targets, &test).unwrap();
    let mut random = seeded(&test);
    let job = Job::of_files(&fleet);
    job.package(&[("1.sql", &slow(60_000))]);
    let program = job
        .begin("run")
        .option("--concurrencytype", kind)
        .option("--concurrency", "2")
        .option("--workers", WORKERS.to_string());
    let mut live = Live::start(program);
    let killed = kill_workers(&job, targets, &mut random, &mut live);
    let report = live.end().expect_code(0);
    assert_eq!(killed.len(), KILLS);
    assert_eq!(job::committed(&report), targets as u64, "{}", report.stdout);
    expect_one_effect_each(&fleet);
    job.expect_nothing_left();
}

#[test]
fn two_hundred_files_are_built_once_each_while_workers_are_killed() {
    files_are_built_once("Count", 200);
}

#[test]
fn files_of_one_server_are_built_once_each_and_in_turn_while_workers_are_killed() {
    files_are_built_once("Server", 120);
}
