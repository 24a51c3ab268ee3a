//! Workers as processes of this machine.

use std::{collections::BTreeSet, fs, process::Command, time::Duration};

use sbm::backend::{Backend, Local, LocalOptions, WorkerState};

use super::run::{Run, runs};
use crate::{
    contract::backend::{Place, backend_contract, eventually, running, working},
    support::postgres::runtime,
};

backend_contract!(Run::new);

/// Why the only worker was given up, as soon as it is.
async fn reason(backend: &dyn Backend) -> String {
    let started = std::time::Instant::now();
    loop {
        let status = backend.status().await.unwrap();
        if let [worker] = &status[..]
            && let WorkerState::Failed { reason } = &worker.state
        {
            return reason.clone();
        }
        crate::contract::backend::not_stuck(started, &status);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[test]
fn a_worker_is_tried_as_often_as_was_said_and_the_reason_says_how_it_ended() {
    for (script, how) in [
        ("echo 'no space' >&2; exit 3", "exit code 3"),
        ("kill -KILL $$", "signal 9"),
    ] {
        let run = Run::new();
        runtime().block_on(async {
            let backend = Local::new(run.shell(script));
            backend.deploy(1).await.unwrap();
            let reason = reason(&backend).await;
            assert!(reason.contains(how), "{reason}");
            assert!(reason.contains("3 times"), "{reason}");
            assert_eq!(reason.contains("no space"), how == "exit code 3");
        });
        assert_eq!(run.logs().len(), 3);
    }
}

/// The state of the only worker, as soon as it has ended for good.
async fn exited(backend: &dyn Backend) -> WorkerState {
    let started = std::time::Instant::now();
    loop {
        let status = backend.status().await.unwrap();
        if let [worker] = &status[..]
            && !worker.state.is_alive()
        {
            return worker.state.clone();
        }
        crate::contract::backend::not_stuck(started, &status);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[test]
fn a_worker_that_ends_as_it_should_is_replaced_only_on_request() {
    let run = Run::new();
    runtime().block_on(async {
        let backend = Local::new(run.shell("exit 0"));
        for workers in 1..=2 {
            backend.deploy(1).await.unwrap();
            let ended = WorkerState::Exited { code: Some(0) };
            assert_eq!(exited(&backend).await, ended);
            assert_eq!(run.logs().len(), workers);
        }
    });
}

#[test]
fn who_looks_after_workers_no_more_lets_them_run_and_replaces_none() {
    let run = Run::new();
    runtime().block_on(async {
        let backend = Local::new(LocalOptions {
            detached: false,
            // It ends with 0 when its input ends.
            ..run.shell("echo $$ >&2; exec cat > /dev/null")
        });
        let backend = backend.shown_within(Duration::ZERO);
        backend.deploy(1).await.unwrap();
        let said = || run.logs().into_values().next().unwrap_or_default();
        eventually!("it runs", said().ends_with('\n'));
        backend.let_go();
        let mut kill = Command::new("kill");
        assert!(
            kill.args(["-KILL", said().trim()])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(exited(&backend).await, WorkerState::Exited { code: None });
        assert_eq!(run.logs().len(), 1);
    });
}

#[test]
fn what_was_deployed_is_known_to_other_processes_at_once() {
    let run = Run::new();
    runtime().block_on(async {
        let backend = Local::new(run.options()).shown_within(Duration::from_secs(120));
        backend.deploy(2).await.unwrap();
        assert_eq!(run.shown().iter().filter(|shown| shown.lives()).count(), 2);
        backend.remove().await.unwrap();
    });
}

#[test]
fn a_slot_that_was_given_up_is_tried_anew_on_request() {
    let run = Run::new();
    runtime().block_on(async {
        let backend = Local::new(run.shell("exit 3"));
        backend.deploy(1).await.unwrap();
        reason(&backend).await;
        backend.deploy(1).await.unwrap();
        eventually!("three more", run.logs().len() == 6);
        reason(&backend).await;
        assert_eq!(run.logs().len(), 6);
    });
}

#[test]
fn a_program_that_cannot_run_starts_nothing() {
    let run = Run::new();
    let program = run.path("program");
    for text in [None, Some("#!/bin/sh\n")] {
        if let Some(text) = text {
            fs::write(&program, text).unwrap();
        }
        let backend = Local::new(LocalOptions {
            program: program.clone(),
            ..run.options()
        });
        runtime().block_on(async {
            let faults = backend.preflight(1).await.unwrap();
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].contains(program.to_str().unwrap()), "{faults:?}");
            let error = backend.deploy(2).await.unwrap_err().to_string();
            assert!(error.contains(program.to_str().unwrap()), "{error}");
            assert!(error.starts_with("worker processes of this machine: starting workers failed"));
            assert_eq!(backend.status().await.unwrap(), []);
        });
        assert!(run.logs().is_empty());
    }
}

#[test]
fn everything_in_the_way_is_told_at_once() {
    let run = Run::new();
    fs::write(run.path("file"), "").unwrap();
    let backend = Local::new(LocalOptions {
        program: run.path("nothing"),
        store: run.path("file/store"),
        ..run.options()
    });
    runtime().block_on(async {
        for workers in [0, 65] {
            let faults = backend.preflight(workers).await.unwrap();
            assert_eq!(faults.len(), 3, "{faults:?}");
            assert!(faults[0].contains("accepted are 1 to 64"), "{faults:?}");
        }
        assert_eq!(backend.preflight(64).await.unwrap().len(), 2);
    });
}

#[test]
fn a_run_that_is_gone_does_not_come_back() {
    let run = Run::new();
    fs::remove_dir_all(run.path("store/nightly")).unwrap();
    let backend = Local::new(run.options());
    runtime().block_on(async {
        let error = backend.deploy(1).await.unwrap_err().to_string();
        assert!(error.contains("is no folder of a run"), "{error}");
        backend.remove().await.unwrap();
    });
    assert!(!run.path("store/nightly").exists());
}

#[test]
fn attached_workers_end_when_whoever_started_them_is_gone() {
    let run = Run::new();
    runtime().block_on(async {
        let backend = Local::new(LocalOptions {
            detached: false,
            ..run.options()
        });
        backend.deploy(2).await.unwrap();
        let names = working(&run, 2).await;
        let processes: Vec<u32> = names.iter().map(|name| run.process(name)).collect();
        drop(backend);
        eventually!("they end", !processes.iter().any(|process| runs(*process)));
        // Nobody has replaced them.
        assert_eq!(run.logs().into_keys().collect::<BTreeSet<_>>(), names);
        let exited = WorkerState::Exited { code: None };
        let status = run.backend().status().await.unwrap();
        assert_eq!(status.len(), 2);
        assert!(status.iter().all(|worker| worker.state == exited));
        run.backend().remove().await.unwrap();
        assert_eq!(run.backend().status().await.unwrap(), []);
    });
}

#[test]
fn a_worker_that_does_not_listen_is_killed() {
    let run = Run::new();
    runtime().block_on(async {
        let backend = Local::new(LocalOptions {
            grace: Duration::from_millis(200),
            ..run.shell("trap '' TERM; echo $$ >&2; exec sleep 100000")
        });
        let backend = backend.shown_within(Duration::ZERO);
        backend.deploy(1).await.unwrap();
        eventually!(
            "it is deaf",
            run.logs().values().any(|log| log.contains('\n'))
        );
        let log = run.logs().into_values().next().unwrap();
        let process = log.trim().parse().unwrap();
        let left = backend.leftovers().await.unwrap();
        assert!(left[0].contains(&format!("process {process}")), "{left:?}");
        backend.remove().await.unwrap();
        assert!(!runs(process));
        assert_eq!(backend.leftovers().await.unwrap(), Vec::<String>::new());
    });
}

#[test]
fn a_terminal_interrupts_whoever_starts_workers_and_not_the_workers() {
    let run = Run::new();
    runtime().block_on(async {
        for detached in [true, false] {
            let backend = Local::new(LocalOptions {
                detached,
                ..run.options()
            });
            backend.deploy(1).await.unwrap();
            let name = working(&run, 1).await.pop_first().unwrap();
            let process = run.process(&name);
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
            let (_, rest) = stat.rsplit_once(") ").unwrap();
            let group = rest.split(' ').nth(2).unwrap();
            assert_eq!(group, process.to_string());
            backend.remove().await.unwrap();
        }
    });
}

#[test]
fn no_two_workers_of_a_run_have_one_name() {
    let run = Run::new();
    runtime().block_on(async {
        let backend = Local::new(run.options());
        backend.deploy(1).await.unwrap();
        let name = working(&run, 1).await.pop_first().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_sbm"))
            .args(["local", "worker"])
            .env("SBM_STORE", run.path("store"))
            .env("SBM_JOB", "nightly")
            .env("SBM_RUN", run.options().run_id.to_string())
            .env("SBM_WORKER", &name)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let refused = format!("a worker named {name} works for this run already");
        assert!(said.contains(&refused), "{said}");
        assert!(runs(run.process(&name)));
        backend.remove().await.unwrap();
    });
}

#[test]
fn workers_are_named_after_what_was_noted_down() {
    let run = Run::new();
    runtime().block_on(async {
        let backend = Local::new(run.options());
        backend.deploy(3).await.unwrap();
        let names = running(&backend, 3).await;
        let objects = backend.objects(3);
        assert!(objects.iter().all(|object| object.kind == "process"));
        for name in names {
            let of = objects.iter().filter(|object| {
                let rest = name.strip_prefix(&object.name);
                rest.is_some_and(|rest| rest.starts_with('-'))
            });
            assert_eq!(of.count(), 1, "{name} {objects:?}");
        }
        backend.remove().await.unwrap();
    });
}
