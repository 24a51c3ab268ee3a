//! Workers as child processes of this machine, replaced when they die.
//!
//! [`Local`] keeps a list of slots; `slot` keeps one worker running in each, which `start` starts with what `environment` leaves of
//! the variables. Workers that other processes have started are known by their [`presence`](crate::worker::presence); `others` ends
//! them. `process` sends signals, `logs` reads the ends of logs, `preflight` finds what stands in the way.

mod environment;
mod logs;
mod options;
mod others;
mod preflight;
mod process;
mod slot;
mod slots;
mod start;

pub use options::{LocalOptions, Replacement};

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use self::{others::Others, slots::Slots};
use super::{Backend, Error, WorkerState, WorkerStatus};
use crate::{
    protocol::MadeObject,
    worker::presence::{Life, Shown},
};

/// How long is waited for workers that were started to show that they live.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);

/// How often it is looked whether they have.
const LOOK_FOR_SHOWN: Duration = Duration::from_millis(20);

/// The workers of one run on this machine.
///
/// When it is dropped, nothing is replaced any more; attached workers drain then, because their standard input ends.
#[derive(Debug)]
pub struct Local {
    options: Arc<LocalOptions>,
    slots: Slots,
    /// Workers are started and removed one after the other.
    turn: Mutex<()>,
    shown_within: Duration,
}

impl Local {
    /// Workers as `options` say; nothing is started before [`deploy`](Backend::deploy).
    pub fn new(options: LocalOptions) -> Self {
        let options = Arc::new(options);
        Self {
            slots: Slots::new(Arc::clone(&options)),
            options,
            turn: Mutex::default(),
            shown_within: SHOWN_WITHIN,
        }
    }

    /// How long [`deploy`](Backend::deploy) waits at most until the workers that it has started show that they live, so that other
    /// processes count them; 5 s unless somebody says otherwise.
    #[must_use]
    pub fn shown_within(mut self, time: Duration) -> Self {
        self.shown_within = time;
        self
    }

    /// From now on no worker that ends is replaced, until [`deploy`](Backend::deploy) is called again. Those that run stay; attached
    /// ones have their standard input as long as this is held.
    pub fn stop_replacing(&self) {
        self.slots.let_go(true);
    }

    fn failed(
        &self,
        action: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error {
            backend: self.to_string(),
            action,
            source: source.into(),
        }
    }

    /// What workers have shown; a file of this machine is looked at in a moment.
    fn shown(&self, action: &'static str) -> Result<Vec<Shown>, Error> {
        let shown = self.options.shown();
        shown.map_err(|error| self.failed(action, error))
    }

    /// Waits until every worker that runs shows that it lives.
    async fn until_shown(&self) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let mut hidden = self.slots.running();
            for shown in self.shown(START)?.iter().filter(|shown| shown.lives()) {
                hidden.remove(&shown.worker);
            }
            if hidden.is_empty() {
                return Ok(());
            }
            if begun.elapsed() >= self.shown_within {
                log::info!("do not show yet that they live: {hidden:?}");
                return Ok(());
            }
            sleep(LOOK_FOR_SHOWN).await;
        }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("worker processes of this machine")
    }
}

const START: &str = "starting workers";
const LOOK: &str = "looking for workers";
const REMOVE: &str = "removing workers";

#[async_trait]
impl Backend for Local {
    async fn preflight(&self, workers: usize) -> Result<Vec<String>, Error> {
        Ok(preflight::faults(&self.options, workers))
    }

    fn objects(&self, workers: usize) -> Vec<MadeObject> {
        let object = |slot| MadeObject {
            kind: "process".to_owned(),
            name: self.options.slot_name(slot),
        };
        (0..workers).map(object).collect()
    }

    async fn deploy(&self, workers: usize) -> Result<(), Error> {
        let turn = self.turn.lock().await;
        self.slots.let_go(false);
        let mut others = self.shown(START)?;
        others.retain(|shown| shown.lives() && !self.slots.has(&shown.worker));
        let left_over = self.slots.adopt(others, workers);
        self.slots
            .fill(workers.saturating_sub(left_over))
            .await
            .map_err(|error| self.failed(START, error))?;
        // They can be removed meanwhile.
        drop(turn);
        self.until_shown().await
    }

    fn let_go(&self) {
        self.stop_replacing();
    }

    fn take_up(&self) {
        self.slots.let_go(false);
    }

    async fn status(&self) -> Result<Vec<WorkerStatus>, Error> {
        // In this order: whatever is started meanwhile is known by its slot only.
        let mut others = self.shown(LOOK)?;
        let mut all = self.slots.status();
        others.retain(|shown| !self.slots.has(&shown.worker));
        for shown in others {
            let state = match shown.life {
                Life::Here(_) | Life::Somewhere => WorkerState::Running,
                Life::Over => WorkerState::Exited { code: None },
            };
            all.push(WorkerStatus {
                name: shown.worker,
                state,
            });
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    async fn logs(&self, worker: &str) -> Result<Vec<String>, Error> {
        let Some(log) = self.options.log(worker) else {
            return Ok(Vec::new());
        };
        logs::last_lines(&log).map_err(|error| self.failed("reading the log of a worker", error))
    }

    async fn remove(&self) -> Result<(), Error> {
        // Before anything else: whatever ends from now on is not replaced.
        self.slots.stop();
        let _turn = self.turn.lock().await;
        self.slots.stop();
        let is_child = |name: &str| self.slots.has_child(name);
        let others = Others::new(&self.options);
        let (mut left, others) = tokio::join!(self.slots.end(), others.end(is_child));
        self.slots.clear();
        others::tidy(&self.options).map_err(|error| self.failed(REMOVE, error))?;
        left.extend(others.map_err(|error| self.failed(REMOVE, error))?);
        if left.is_empty() {
            Ok(())
        } else {
            Err(self.failed(REMOVE, left.join("\n")))
        }
    }

    async fn leftovers(&self) -> Result<Vec<String>, Error> {
        let mut left = self.slots.processes();
        let mut others = self.shown(LOOK)?;
        others.retain(|shown| !self.slots.has_child(&shown.worker));
        left.extend(others.iter().filter_map(others::describe));
        left.sort();
        Ok(left)
    }
}
