//! The same on SQLite, whose databases are locked by the operating system.

use super::{
    chaos::{KILLS, Span, kill_workers, most_at_once},
    job::{self, Job, expect_one_effect_each, seeded},
};
use crate::support::{
    fleet::{Fleet, Platform},
    live::Live,
};

const WORKERS: usize = 4;

/// Says when it began and ended, to the millisecond.
const SCRIPT: &str = "CREATE TABLE IF NOT EXISTS effect (began REAL, ended REAL);\n\
    INSERT INTO effect (began) VALUES (julianday('now'));\n\
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) SELECT count(*) FROM n;\n\
    UPDATE effect SET ended = julianday('now') WHERE ended IS NULL;\n";

/// Never more than `most` at the same moment.
fn files_are_built_once(kind: &str, targets: usize, most: usize) {
    let test = format!("local_runs::files::{kind}");
    let fleet = Fleet::new(Platform::Sqlite, targets, &test).unwrap();
    let mut random = seeded(&test);
    let job = Job::of_files(&fleet);
    job.package(&[("1.sql", SCRIPT)]);
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
    let spans: Vec<Span> = (0..targets).map(|index| span(&fleet, index)).collect();
    let at_once = most_at_once(&spans.iter().collect::<Vec<_>>());
    assert!(at_once <= most, "{at_once}");
    job.expect_nothing_left();
}

fn span(fleet: &Fleet, index: usize) -> Span {
    let at = |column: &str| {
        let moment = fleet.value(index, &format!("SELECT {column} FROM effect"));
        moment.parse().unwrap()
    };
    Span {
        server: fleet.server(),
        began: at("began"),
        ended: at("ended"),
    }
}

#[test]
fn two_hundred_files_are_built_once_each_while_workers_are_killed() {
    files_are_built_once("Count", 200, 2 * WORKERS);
}

#[test]
fn files_of_one_server_are_built_once_each_and_in_turn_while_workers_are_killed() {
    files_are_built_once("Server", 120, 1);
}
