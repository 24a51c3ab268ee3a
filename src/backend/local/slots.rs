//! The slots of a run, in each of which this process keeps one worker running.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use super::{
    LocalOptions,
    slot::{Now, Supervisor},
    start,
};
use crate::backend::WorkerStatus;

/// All slots that this process looks after.
#[derive(Debug)]
pub(super) struct Slots {
    options: Arc<LocalOptions>,
    tasks: TaskTracker,
    state: Mutex<State>,
}

/// Since the last time that all were removed.
#[derive(Debug, Default)]
struct State {
    slots: Vec<Slot>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Slot {
    number: usize,
    now: Arc<Now>,
    /// Ends the care for the slot when this is dropped.
    _task: AbortOnDropHandle<()>,
}

impl Slots {
    pub(super) fn new(options: Arc<LocalOptions>) -> Self {
        Self {
            options,
            tasks: TaskTracker::new(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts workers until there are `workers`.
    pub(super) fn fill(&self, workers: usize) -> io::Result<()> {
        let mut state = self.state();
        while state.alive() < workers {
            if state.stop.is_cancelled() {
                return Err(io::Error::other("they are being removed"));
            }
            let number = state.free();
            let started = start::start(&self.options, number)?;
            let now = Arc::new(Now::new(&started));
            let supervisor = Supervisor {
                options: Arc::clone(&self.options),
                number,
                now: Arc::clone(&now),
                stop: state.stop.clone(),
            };
            let task = self.tasks.spawn(supervisor.look_after(started));
            state.slots.retain(|slot| slot.number != number);
            state.slots.push(Slot {
                number,
                now,
                _task: AbortOnDropHandle::new(task),
            });
        }
        Ok(())
    }

    /// Whether this process looks after a worker of that name.
    pub(super) fn has(&self, worker: &str) -> bool {
        let state = self.state();
        state.slots.iter().any(|slot| slot.now.has(worker))
    }

    pub(super) fn status(&self) -> Vec<WorkerStatus> {
        let state = self.state();
        state.slots.iter().map(|slot| slot.now.status()).collect()
    }

    /// What runs, in words.
    pub(super) fn processes(&self) -> Vec<String> {
        let state = self.state();
        let processes = state.slots.iter().filter_map(|slot| slot.now.process());
        processes.collect()
    }

    /// From now on nothing is started, and what runs is told to end.
    pub(super) fn stop(&self) {
        self.state().stop.cancel();
    }

    /// Ready when all have ended, with what is left nevertheless.
    pub(super) async fn end(&self) -> Vec<String> {
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
        self.processes()
    }

    /// Forgets all that were ended: workers may be started again.
    pub(super) fn clear(&self) {
        *self.state() = State::default();
    }
}

impl State {
    fn alive(&self) -> usize {
        let alive = |slot: &&Slot| slot.now.status().state.is_alive();
        self.slots.iter().filter(alive).count()
    }

    /// The first slot in which nothing lives.
    fn free(&self) -> usize {
        let is_free = |number: &usize| {
            let mut slots = self.slots.iter();
            !slots.any(|slot| slot.number == *number && slot.now.status().state.is_alive())
        };
        (0..=self.slots.len()).find(is_free).unwrap_or_default()
    }
}
