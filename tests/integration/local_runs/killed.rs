//! The process that conducts a run is killed, at whatever step it is, and another one goes on.

use std::{thread, time::Duration};

use super::job::{self, Job, expect_one_effect_each, seeded, signal, slow};
use crate::support::{
    fleet::{Fleet, Platform},
    live::{Live, eventually},
    program::Program,
};

const TARGETS: usize = 16;

struct World {
    fleet: Fleet,
    job: Job,
}

impl World {
    fn new(test: &str) -> Self {
        let fleet = Fleet::new(Platform::Sqlite, TARGETS, test).unwrap();
        let job = Job::of_files(&fleet);
        job.package(&[("1.sql", &slow(100_000))]);
        Self { fleet, job }
    }

    fn program(&self) -> Program {
        let program = self.job.go_on();
        program
            .option("--workers", "2")
            .option("--concurrency", "1")
    }

    /// Kills the conductor when `ready` says so, at the latest when it has ended.
    fn kill_when(&self, mut ready: impl FnMut(&Job) -> bool) {
        let mut live = Live::start(self.program());
        eventually("the moment to kill the conductor comes", || {
            ready(&self.job) || !live.is_running()
        });
        if live.is_running() {
            live.signal("KILL");
        }
    }

    /// Goes on, to the end: everything is built, once.
    fn complete(&self) {
        let report = self.program().run().expect_code(0);
        assert_eq!(job::committed(&report), TARGETS as u64, "{}", report.stdout);
        expect_one_effect_each(&self.fleet);
        self.job.expect_nothing_left();
    }
}

#[test]
fn a_run_whose_conductor_was_killed_at_a_known_step_goes_on() {
    const TEST: &str = "local_runs::killed::a_known_step";
    type Ready = fn(&Job) -> bool;
    let steps: [(&str, Ready); 6] = [
        ("the run is named", |job| job.run_id().is_some()),
        ("there is a queue", |job| job.queue().exists()),
        ("targets are in the queue", |job| {
            job.queued().is_some_and(|(queued, _)| queued > 0)
        }),
        ("the first line is there", |job| !job.lines().is_empty()),
        ("half of it is done", |job| job.settled() >= TARGETS / 2),
        ("it is closed", |job| {
            job.control()
                .is_some_and(|control| control.phase == sbm::protocol::Phase::Closed)
        }),
    ];
    for (step, ready) in steps {
        eprintln!("{TEST}: {step}");
        let world = World::new(TEST);
        world.kill_when(ready);
        world.complete();
    }
}

#[test]
fn a_run_whose_conductor_was_killed_while_it_drains_goes_on() {
    let world = World::new("local_runs::killed::while_it_drains");
    let live = Live::start(world.program());
    eventually("something is built", || world.job.settled() > 0);
    live.signal("INT");
    eventually("the run drains", || {
        let control = world.job.control();
        control.is_some_and(|control| control.phase == sbm::protocol::Phase::Draining)
    });
    live.signal("KILL");
    drop(live);
    world.complete();
}

#[test]
fn a_run_whose_conductors_are_killed_again_and_again_goes_on() {
    const TEST: &str = "local_runs::killed::again_and_again";
    let mut random = seeded(TEST);
    let world = World::new(TEST);
    for _ in 0..12 {
        let mut live = Live::start(world.program());
        thread::sleep(Duration::from_millis(random.u64(0..900)));
        if live.is_running() {
            live.signal("KILL");
        }
        drop(live);
        // A worker may go with it.
        if let Some((_, process)) = random.choice(world.job.workers()) {
            signal(process, "KILL");
        }
    }
    world.complete();
}
