//! The slots of a run, in each of which this process keeps one worker running.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use super::{
    LocalOptions,
    slot::{Now, Occupant, Supervisor},
};
use crate::{
    backend::{WorkerState, WorkerStatus},
    worker::presence::Shown,
};

/// All slots that this process looks after.
#[derive(Debug)]
pub(super) struct Slots {
    options: Arc<LocalOptions>,
    tasks: TaskTracker,
    /// Whether nothing is replaced any more.
    let_go: watch::Sender<bool>,
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
            let_go: watch::Sender::new(false),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks after workers that other processes have started, too, but not after more than `workers`; how many are left over.
    pub(super) fn adopt(&self, others: Vec<Shown>, workers: usize) -> usize {
        let mut state = self.state();
        let mut left_over = 0;
        for shown in others {
            if state.alive() < workers {
                let number = state.free();
                self.occupy(&mut state, number, Occupant::Other(shown));
            } else {
                left_over += 1;
            }
        }
        left_over
    }

    /// Starts workers until there are `workers`. Not to be called twice at a time.
    pub(super) async fn fill(&self, workers: usize) -> io::Result<()> {
        while let Some(number) = self.next(workers)? {
            let occupant = Occupant::start(&self.options, number).await?;
            self.occupy(&mut self.state(), number, occupant);
        }
        Ok(())
    }

    /// The next slot that needs a worker.
    fn next(&self, workers: usize) -> io::Result<Option<usize>> {
        let state = self.state();
        if state.alive() >= workers {
            return Ok(None);
        }
        if state.stop.is_cancelled() {
            return Err(io::Error::other("they are being removed"));
        }
        Ok(Some(state.free()))
    }

    fn occupy(&self, state: &mut State, number: usize, occupant: Occupant) {
        let now = Arc::new(Now::new(&occupant));
        let supervisor = Supervisor {
            options: Arc::clone(&self.options),
            number,
            now: Arc::clone(&now),
            stop: state.stop.clone(),
            let_go: self.let_go.subscribe(),
        };
        let task = self.tasks.spawn(supervisor.look_after(occupant));
        state.slots.retain(|slot| slot.number != number);
        state.slots.push(Slot {
            number,
            now,
            _task: AbortOnDropHandle::new(task),
        });
    }

    /// Whether this process looks after a worker of that name.
    pub(super) fn has(&self, worker: &str) -> bool {
        let state = self.state();
        state.slots.iter().any(|slot| slot.now.has(worker))
    }

    /// Whether this process has started the worker of that name.
    pub(super) fn has_child(&self, worker: &str) -> bool {
        let state = self.state();
        state.slots.iter().any(|slot| slot.now.has_child(worker))
    }

    pub(super) fn status(&self) -> Vec<WorkerStatus> {
        let state = self.state();
        state.slots.iter().map(|slot| slot.now.status()).collect()
    }

    /// The names of all that run.
    pub(super) fn running(&self) -> BTreeSet<String> {
        let mut all = self.status();
        all.retain(|worker| worker.state == WorkerState::Running);
        all.into_iter().map(|worker| worker.name).collect()
    }

    /// What runs, in words.
    pub(super) fn processes(&self) -> Vec<String> {
        let state = self.state();
        let processes = state.slots.iter().filter_map(|slot| slot.now.process());
        processes.collect()
    }

    /// Whether from now on nothing is replaced. What runs is looked after nevertheless: what it held is free when it ends.
    pub(super) fn let_go(&self, nothing: bool) {
        self.let_go.send_replace(nothing);
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
