//! Workers that nobody has started to watch, and several who watch them.

use super::job::{self, Job, expect_one_effect_each, occupy, slow};
use crate::support::{
    fleet::{Fleet, Platform},
    live::{Live, eventually},
    run_files::RunFiles,
};

const TARGETS: usize = 8;

fn monitor(job: &Job) -> Live {
    Live::start(job.step("monitor").option("--output", "json"))
}

#[test]
fn steps_that_stand_alone_are_conducted_by_one_monitor_and_taken_over_by_the_next() {
    let test = "local_runs::takeover::steps_that_stand_alone";
    let fleet = Fleet::new(Platform::Sqlite, TARGETS, test).unwrap();
    let job = Job::of_files(&fleet);
    job.package(&[("1.sql", &slow(1_000))]);
    // The run does not end before everything was tried.
    let occupied = occupy(&fleet, 0);
    job.begin("prep").run().expect_code(0);
    job.step("enqueue").run().expect_code(0);
    job.step("deploy")
        .option("--workers", "2")
        .run()
        .expect_code(0);
    eventually("there are workers", || job.workers().len() == 2);

    let before = job.control().unwrap().conductor;
    let conductor = monitor(&job);
    eventually("it conducts", || job.control().unwrap().conductor != before);
    let follower = watching(&job);
    let left = watching(&job);
    conductor.signal("KILL");
    drop(conductor);
    eventually("one of the two takes over", || {
        [&follower, &left]
            .iter()
            .any(|live| live.said().contains("takes over"))
    });
    let (heir, left) = if follower.said().contains("takes over") {
        (follower, left)
    } else {
        (left, follower)
    };
    let last = watching(&job);
    left.signal("INT");
    let gone = left.end().expect_code(130);
    assert!(gone.stderr.contains("the run goes on"), "{}", gone.stderr);
    let phase = job.control().unwrap().phase;
    assert_eq!(phase, sbm::protocol::Phase::Open);

    drop(occupied);
    let (heir, last) = (heir.end().expect_code(0), last.end().expect_code(0));
    for report in [&heir, &last] {
        assert_eq!(job::committed(report), TARGETS as u64, "{}", report.stdout);
    }
    assert_eq!(heir.json()["totals"], last.json()["totals"]);
    // The report stands where that of every run stands.
    let files = RunFiles(job.container());
    files.assert_partition(&fleet.lines());
    assert_eq!(files.json("result.json")["totals"], heir.json()["totals"]);
    expect_one_effect_each(&fleet);
    job.expect_nothing_left();
}

/// A monitor that has seen that somebody else conducts.
fn watching(job: &Job) -> Live {
    let live = monitor(job);
    eventually("it only watches", || live.said().contains("only watches"));
    live
}
