//! What ends a worker: its run, a signal, a deadline, or that nobody is there any more.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy lets tests unwrap, but not the functions that they share"
)]

mod support;

use std::time::Duration;

use sbm::{
    protocol::{Phase, State},
    queue::{Purpose, Queue},
};
use support::{PACED, World, eventually};

const DONE: [(State, bool); 1] = [(State::Committed, true)];

#[test]
fn a_closed_run_ends_builds_at_once() {
    let mut world = World::with(PACED, |_| {});
    world.pace("a", i64::MAX);
    world.send_each(&["a"]);
    let worker = world.start("w");
    eventually("the build runs", || world.is_written("a"));
    world.phase(Phase::Closed);
    worker.end_well();
    assert_eq!(world.ends("a"), [(State::RolledBack, false)]);
    eventually("it is given back", || world.left() == (1, 0));
    assert!(!world.is_written("a"));
}

#[test]
fn a_signal_lets_what_runs_end_and_starts_nothing_else() {
    let world = World::with(PACED, |job| job.concurrency.limit = 1);
    world.pace("a", 1);
    world.pace("b", 1);
    let occupied = world.occupy("a");
    world.send_each(&["a", "b"]);
    let worker = world.start("w");
    eventually("the build was started", || world.starts("a") == 1);
    worker.signal("TERM");
    worker.says("SIGTERM: no target starts any more");
    drop(occupied);
    worker.end_well();
    assert_eq!(world.ends("a"), DONE);
    assert_eq!(world.starts("b"), 0);
    eventually("it is given back", || world.left() == (1, 0));
}

#[test]
fn what_does_not_end_within_the_drain_time_out_is_rolled_back_and_given_back() {
    let world = World::with(PACED, |job| {
        job.limits.drain_timeout = Duration::from_secs(1);
    });
    world.pace("a", i64::MAX);
    world.send_each(&["a"]);
    let worker = world.start("w");
    eventually("the build runs", || world.is_written("a"));
    worker.signal("TERM");
    worker.end_well();
    assert_eq!(world.ends("a"), [(State::RolledBack, false)]);
    eventually("it is given back", || world.left() == (1, 0));
    world.pace("a", 1);
    let mut world = world;
    let other = world.start("other");
    eventually("another has built it", || world.has_final("a"));
    world.phase(Phase::Closed);
    other.end_well();
    assert!(world.is_built_once("a"));
}

#[test]
fn a_run_that_drains_starts_nothing_but_still_looks_into_databases() {
    let mut world = World::with(PACED, |job| job.concurrency.limit = 1);
    for name in ["a", "b", "c"] {
        world.pace(name, 1);
    }
    let occupied = world.occupy("a");
    world.send_each(&["a", "b"]);
    let worker = world.start("w");
    eventually("the build was started", || world.starts("a") == 1);
    world.phase(Phase::Draining);
    worker.says("the run drains");
    drop(occupied);
    eventually("what ran has ended", || world.has_final("a"));
    // The worker may just have taken it, to give it back.
    let mut left = Vec::new();
    eventually("what did not start is left", || {
        left.extend(world.wait(world.queue.close()).unwrap());
        !left.is_empty()
    });
    assert_eq!(left, [world.target(&["b"])]);
    world.wait(world.queue.create()).unwrap();
    world.send(
        vec![world.target(&["a"]), world.target(&["c"])],
        Purpose::Reconcile,
    );
    eventually("both are looked into", || {
        world.has_final("c") && world.ends("a").len() == 2
    });
    world.phase(Phase::Closed);
    worker.end_well();
    assert_eq!(world.starts("b"), 0);
    assert_eq!(world.ends("a"), [DONE[0], DONE[0]]);
    assert_eq!(world.ends("c"), [(State::RolledBack, true)]);
    let tables = "SELECT count(*) FROM sqlite_master WHERE name <> 'pace'";
    assert_eq!(world.value("c", tables), 0, "nothing runs");
    assert!(world.is_built_once("a"));
}

#[test]
fn a_conductor_can_have_builds_rolled_back_at_once() {
    let mut world = World::with(PACED, |_| {});
    world.pace("a", i64::MAX);
    world.send_each(&["a"]);
    let worker = world.start("w");
    eventually("the build runs", || world.is_written("a"));
    world.control.roll_back = true;
    world.phase(Phase::Draining);
    eventually("it is rolled back", || !world.ends("a").is_empty());
    assert_eq!(world.ends("a"), [(State::RolledBack, false)]);
    world.send(vec![world.target(&["b"])], Purpose::Reconcile);
    eventually("others are still looked into", || world.has_final("b"));
    world.phase(Phase::Closed);
    worker.end_well();
}

#[test]
fn at_the_deadline_of_the_run_its_workers_roll_back_and_exit() {
    let world = World::with(PACED, |job| {
        let deadline = jiff::Timestamp::now() + Duration::from_secs(4);
        job.limits.hard_deadline = Some(deadline);
    });
    world.pace("a", i64::MAX);
    world.send_each(&["a"]);
    world.start("w").end_well();
    assert!(!world.has_final("a") && !world.is_written("a"));
    eventually("it is given back", || world.left() == (1, 0));
}

#[test]
fn nobody_works_for_a_run_that_nobody_conducts_when_nothing_is_left() {
    let world = World::new();
    world.send_each(&["a"]);
    world.age_control(Duration::from_secs(3600));
    let worker = world.start("w");
    let said = worker.end_well();
    assert!(said.contains("nobody conducts the run any more"), "{said}");
    assert_eq!(world.ends("a"), DONE);
}

#[test]
fn nobody_works_for_a_run_that_drains_and_that_nobody_conducts_whatever_is_left() {
    let mut world = World::new();
    world.send_each(&["a"]);
    world.phase(Phase::Draining);
    world.age_control(Duration::from_secs(3600));
    let said = world.start("w").end_well();
    assert!(said.contains("nobody conducts the run any more"), "{said}");
    assert_eq!((world.starts("a"), world.left()), (0, (1, 0)));
}
