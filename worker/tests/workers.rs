//! Worker processes that share a run.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy lets tests unwrap, but not the functions that they share"
)]

mod support;

use std::{fs, time::Duration};

use sbm::{
    protocol::{Phase, State},
    queue::{Purpose, Queue},
};
use support::{PACED, Worker, World, eventually};

const DONE: [(State, bool); 1] = [(State::Committed, true)];

#[test]
fn a_worker_builds_all_targets_and_exits_when_the_run_is_closed() {
    let mut world = World::new();
    let names = ["a", "b", "c", "d"];
    world.send_each(&names);
    let worker = world.start("w");
    eventually("all are final", || {
        names.iter().all(|name| world.has_final(name))
    });
    // Others may still be sent.
    world.send_each(&["e"]);
    eventually("the last is final", || world.has_final("e"));
    world.phase(Phase::Closed);
    worker.end_well();
    assert_eq!(world.left(), (0, 0));
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(world.ends(name), DONE, "{name}");
        assert_eq!(world.starts(name), 1, "{name}");
        assert!(world.is_built_once(name), "{name}");
    }
}

#[test]
fn a_slow_target_keeps_one_worker_and_the_other_does_the_rest() {
    let mut world = World::with(PACED, |job| job.concurrency.limit = 1);
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        world.pace(name, 1);
    }
    world.send_each(&names);
    let occupied = world.occupy("a");
    let workers = ["w1", "w2"].map(|name| world.start(name));
    eventually("all others are final", || {
        names[1..].iter().all(|name| world.has_final(name))
    });
    eventually("the slow one was started", || world.starts("a") == 1);
    drop(occupied);
    eventually("the slow one is final", || world.has_final("a"));
    world.phase(Phase::Closed);
    for worker in workers {
        worker.end_well();
    }
    for name in names {
        assert_eq!(world.ends(name), DONE, "{name}");
        assert!(world.is_built_once(name), "{name}");
    }
    let slow = world
        .lines()
        .into_iter()
        .find(|line| line.target == world.target(&["a"]));
    let slow = slow.unwrap().worker;
    assert!(
        world.lines().iter().any(|line| line.worker != slow),
        "both have worked"
    );
}

#[test]
fn a_first_delivery_proves_nothing_in_a_run_that_was_resumed_or_sent_twice() {
    for (resumed, doubled, first) in [
        (false, false, (State::RolledBack, true)),
        (true, false, (State::Unknown, false)),
        (false, true, (State::Unknown, false)),
    ] {
        let mut world = World::new();
        (world.control.resumed, world.control.doubled) = (resumed, doubled);
        world.phase(Phase::Open);
        world.send_each(&["a"]);
        fs::remove_file(world.database("a")).unwrap();
        let worker = world.start("w");
        eventually("an attempt has ended", || !world.ends("a").is_empty());
        assert_eq!(world.ends("a")[0], first);
        world.phase(Phase::Closed);
        worker.end_well();
    }
}

#[test]
fn a_target_that_has_its_last_word_is_not_built_again() {
    let mut world = World::with("SELECT * FROM no_such_table;", |_| {});
    world.send_each(&["a"]);
    let worker = world.start("w");
    eventually("it is told", || world.has_final("a"));
    world.control.doubled = true;
    world.phase(Phase::Open);
    worker.kill();
    world.send_each(&["a", "b"]);
    let worker = world.start("other");
    eventually("the queue is empty", || world.left() == (0, 0));
    world.phase(Phase::Closed);
    worker.end_well();
    assert_eq!(world.ends("a"), [(State::RolledBack, true)]);
    assert_eq!((world.starts("a"), world.starts("b")), (1, 1));
}

#[test]
fn a_worker_that_is_killed_in_a_build_leaves_it_to_another_and_there_is_one_effect() {
    let mut world = World::with(PACED, |_| {});
    world.pace("a", i64::MAX);
    world.send_each(&["a"]);
    let worker = world.start("w");
    eventually("the build runs", || {
        world.is_written("a") && world.was_started_by("a", "w")
    });
    let id = worker.id();
    worker.kill();
    world.pace("a", 1);
    let other = world.start("other");
    world.wait(world.queue.release_of(id)).unwrap();
    eventually("another has built it", || world.has_final("a"));
    world.phase(Phase::Closed);
    other.end_well();
    assert_eq!(world.ends("a"), DONE);
    assert!(world.was_started_by("a", "other"));
    assert!(world.is_built_once("a"));
}

#[test]
fn a_target_that_ends_its_worker_five_times_is_crashed() {
    let mut world = World::with(PACED, |_| {});
    world.pace("a", i64::MAX);
    world.send_each(&["a"]);
    for round in 1..=5 {
        let worker = world.start(&format!("w{round}"));
        eventually("the build runs", || {
            world.was_started_by("a", &format!("w{round}")) && world.is_written("a")
        });
        let id = worker.id();
        worker.kill();
        world.wait(world.queue.release_of(id)).unwrap();
    }
    let worker = world.start("last");
    eventually("it is given up", || world.has_final("a"));
    world.phase(Phase::Closed);
    worker.end_well();
    assert_eq!(world.ends("a"), [(State::Crashed, true)]);
    assert_eq!(world.left(), (0, 0));
    assert!(!world.is_written("a"));
}

#[test]
fn a_target_that_was_committed_by_a_worker_that_died_is_committed_and_not_crashed() {
    let mut world = World::new();
    world.send_each(&["a"]);
    let worker = world.start("w");
    eventually("it is built", || world.has_final("a"));
    worker.kill();
    world.forget_lines();
    let starts: Vec<_> = (0..5).map(|_| world.start_line("a")).collect();
    world.store_lines("gone", &starts);
    world.send_each(&["a"]);
    let first = world
        .wait(world.queue.receive(Duration::from_secs(60)))
        .unwrap();
    world
        .wait(world.queue.abandon(&first.delivery().unwrap()))
        .unwrap();
    let worker = world.start("last");
    eventually("it is told", || world.has_final("a"));
    world.phase(Phase::Closed);
    worker.end_well();
    assert_eq!(world.ends("a"), DONE);
    assert!(world.is_built_once("a"));
}

#[test]
fn a_worker_that_slept_over_its_lock_rolls_back_and_leaves_the_target_to_who_has_it() {
    let mut world = World::with(PACED, |job| {
        job.limits.message_lock = Duration::from_secs(30);
        job.concurrency.limit = 1;
    });
    world.pace("a", 1);
    let target = world.target(&["a", "b"]);
    let occupied = world.occupy("b");
    world.send(vec![target], Purpose::Build);
    let sleeper = world.start("sleeper");
    eventually("the build was started", || world.starts("a") == 1);
    stop_outside_the_queue(&world, &sleeper);
    let other = world.start("other");
    eventually("another has it", || world.was_started_by("a", "other"));
    sleeper.signal("CONT");
    eventually("who lost it has let it go", || {
        world
            .lines()
            .iter()
            .any(|line| line.worker == "sleeper" && !line.errors.is_empty())
    });
    drop(occupied);
    eventually("it is built", || world.has_final("a"));
    world.phase(Phase::Closed);
    sleeper.end_well();
    other.end_well();
    let ends = world.ends("a");
    let finals: Vec<_> = ends.iter().filter(|(_, is_final)| *is_final).collect();
    assert_eq!(finals, [&DONE[0]], "{ends:?}");
    assert!(world.is_built_once("a"));
}

/// Stops a worker where it does not keep the file of the queue locked for the others.
fn stop_outside_the_queue(world: &World, worker: &Worker) {
    let free = || world.is_free(&world.queue_file());
    eventually("it is stopped outside the queue", || {
        worker.stop();
        let is_outside = free();
        if !is_outside {
            worker.signal("CONT");
        }
        is_outside
    });
}

#[test]
fn a_target_that_others_gave_back_without_a_try_is_not_given_up() {
    let mut world = World::new();
    world.control.resumed = true;
    world.phase(Phase::Open);
    world.send_each(&["a"]);
    fs::remove_file(world.database("a")).unwrap();
    for _ in 0..6 {
        let received = world.wait(world.queue.receive(Duration::from_secs(60)));
        let delivery = received.unwrap().delivery().unwrap();
        world.wait(world.queue.abandon(&delivery)).unwrap();
    }
    let worker = world.start("w");
    eventually("it is tried and not known", || !world.ends("a").is_empty());
    assert_eq!(world.ends("a")[0], (State::Unknown, false));
    // Now it is there.
    world.target(&["a"]);
    eventually("it is built", || world.has_final("a"));
    world.phase(Phase::Closed);
    worker.end_well();
    assert!(world.is_built_once("a"));
}

#[test]
fn a_target_that_comes_again_does_not_begin_before_its_start_is_told() {
    let mut world = World::with(PACED, |_| {});
    world.pace("a", 1);
    world.send_each(&["a"]);
    let received = world.wait(world.queue.receive(Duration::from_secs(60)));
    let delivery = received.unwrap().delivery().unwrap();
    world.wait(world.queue.abandon(&delivery)).unwrap();
    // Where the folder of lines should be, no line can be stored.
    let lines = world.results();
    fs::write(&lines, "").unwrap();
    let worker = world.start("w");
    worker.says("result lines wait");
    let tables = "SELECT count(*) FROM sqlite_master WHERE name <> 'pace'";
    assert_eq!(world.value("a", tables), 0, "it has begun");
    assert!(!world.is_written("a"), "it has begun");
    fs::remove_file(&lines).unwrap();
    eventually("it is built", || world.has_final("a"));
    world.phase(Phase::Closed);
    worker.end_well();
    assert_eq!((world.ends("a"), world.starts("a")), (DONE.to_vec(), 1));
}

#[test]
fn lines_wait_for_a_storage_that_is_away_and_nothing_starts_meanwhile() {
    let mut world = World::with(PACED, |job| job.concurrency.limit = 1);
    for name in ["a", "b"] {
        world.pace(name, 1);
    }
    let occupied = world.occupy("a");
    world.send_each(&["a", "b"]);
    let worker = world.start("w");
    eventually("the build was started", || world.starts("a") == 1);
    let away = world.container().with_extension("away");
    fs::rename(world.container(), &away).unwrap();
    drop(occupied);
    worker.says("result lines wait");
    worker.says("no target starts at the moment");
    assert_eq!(world.left(), (1, 1), "what has no line is not settled");
    fs::rename(&away, world.container()).unwrap();
    eventually("both are final", || {
        world.has_final("a") && world.has_final("b")
    });
    world.phase(Phase::Closed);
    worker.end_well();
    for name in ["a", "b"] {
        assert_eq!(world.ends(name), DONE, "{name}");
        assert!(world.is_built_once(name), "{name}");
    }
}

#[test]
fn a_message_that_names_no_target_of_the_run_is_put_with_the_dead() {
    let mut world = World::new();
    let mut odd = world.target(&["a"]);
    odd.pairs.clear();
    world.send(vec![odd, world.target(&["b"])], Purpose::Build);
    let worker = world.start("w");
    eventually("the good one is built", || world.has_final("b"));
    eventually("the odd one is dead", || {
        world.wait(world.queue.dead()).unwrap().len() == 1
    });
    world.phase(Phase::Closed);
    worker.end_well();
    let dead = world.wait(world.queue.dead()).unwrap();
    assert_eq!(dead[0].reason, "NotATarget");
    assert!(
        dead[0].description.contains("names no database"),
        "{dead:?}"
    );
}
