//! What the run's conductor says: whether targets may start, and when this worker is no longer needed.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{
    Shutdown,
    hold::Hold,
    ladder::{Ladder, Rung},
};
use crate::{
    clock::{self, Moment},
    protocol::{Control, DocumentError, Phase, RunPaths},
    storage::{self, Storage},
};

/// One reading of the control document takes this long at most.
const ONE_READING: Duration = Duration::from_secs(10);

/// The first reading is tried this often.
const FIRST_TRIES: u32 = 10;

/// Why a worker cannot know what its conductor says.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// There is no such document.
    #[error(
        "{place} has no control document of run {run_id}; whoever starts workers writes it first"
    )]
    Missing {
        /// The storage.
        place: String,
        /// The run.
        run_id: Uuid,
    },
    /// It cannot be read, now or at all.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It belongs to another run.
    #[error("the control document is that of run {found}, not of {run_id}")]
    OtherRun {
        /// The run that is worked for.
        run_id: Uuid,
        /// The run that the document names.
        found: Uuid,
    },
    /// The storage does not give it.
    #[error("the control document cannot be read: {0}")]
    Storage(#[from] storage::Error),
    /// The storage has not given it for as long as a run may be without its conductor.
    #[error("the control document could not be read for {} s: {why}", after.as_secs())]
    Silent {
        /// How long.
        after: Duration,
        /// What happened last.
        why: String,
    },
}

/// The worker's view of the control document. A worker of a run that has none starts whatever it is handed.
#[derive(Clone, Debug, Default)]
pub struct Gate(Option<Arc<Watched>>);

#[derive(Debug)]
struct Watched {
    document: Document,
    seen: watch::Sender<Seen>,
    /// Somebody waits for a fresher answer.
    ask: Notify,
}

/// Where the document is.
#[derive(Debug)]
struct Document {
    storage: Arc<dyn Storage>,
    name: String,
    run_id: Uuid,
}

/// One answer.
#[derive(Clone, Debug)]
struct Seen {
    control: Arc<Control>,
    /// The clock before the storage was asked.
    asked: Moment,
    /// How old the document was then.
    age: Duration,
}

/// Whether a target may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// It may, within the next moment. `untouched` when nobody but the receiver of its first delivery can have built it.
    Now { untouched: bool },
    /// It may not, now or later.
    Never,
}

impl Gate {
    /// Reads the document for the first time.
    pub(super) async fn open(
        storage: Arc<dyn Storage>,
        paths: &RunPaths,
        run_id: Uuid,
    ) -> Result<Self, ControlError> {
        let document = Document {
            storage,
            name: paths.control(),
            run_id,
        };
        let mut tries = 1;
        let seen = loop {
            match document.read().await {
                Ok(seen) => break seen,
                Err(error) if error.may_pass() && tries < FIRST_TRIES => {
                    log::debug!("try {tries}: {error}");
                    tries += 1;
                    sleep(Control::LOOK).await;
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Self(Some(Arc::new(Watched {
            document,
            seen: watch::Sender::new(seen),
            ask: Notify::new(),
        }))))
    }

    /// Whether it makes sense to ask the queue: the run is not closed, and it is known what the conductor says.
    pub(super) fn is_open(&self) -> bool {
        self.latest()
            .is_none_or(|seen| seen.control.phase < Phase::Closed && seen.is_fresh())
    }

    /// Whether the run drains or is closed.
    pub(super) fn is_draining(&self) -> bool {
        self.latest()
            .is_some_and(|seen| seen.control.phase > Phase::Open)
    }

    /// Whether there is a conductor who may fill the queue again.
    pub(super) fn is_conducted(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the conductor has been silent for so long that nothing more is to come.
    pub(super) fn is_abandoned(&self) -> bool {
        self.latest()
            .is_some_and(|seen| seen.heartbeat() > Control::ABANDONED)
    }

    /// Whether another process worked for this run before it was opened this time; not known where there is no document.
    pub(super) fn is_resumed(&self) -> bool {
        self.latest().is_some_and(|seen| seen.control.resumed)
    }

    /// Whether a target may have been sent twice, so that a first delivery proves nothing.
    pub(super) fn is_doubled(&self) -> bool {
        self.latest().is_some_and(|seen| seen.control.doubled)
    }

    /// Waits until it is known what the conductor says just now.
    pub(super) async fn start(&self, hold: &Hold) -> Start {
        let Some(watched) = &self.0 else {
            return if hold.is_draining() {
                Start::Never
            } else {
                Start::Now { untouched: true }
            };
        };
        let mut answers = watched.seen.subscribe();
        loop {
            let seen = answers.borrow_and_update().clone();
            if seen.control.phase > Phase::Open || hold.is_draining() {
                return Start::Never;
            }
            if seen.is_fresh() {
                let untouched = !seen.control.resumed && !seen.control.doubled;
                return Start::Now { untouched };
            }
            watched.ask.notify_one();
            tokio::select! {
                _ = answers.changed() => {}
                () = hold.draining() => {}
            }
        }
    }

    /// Reads the document again and again until the run is closed, and tells builds when it drains. Has to run beside
    /// everything else; never returns where there is no document.
    pub(super) async fn watch(
        &self,
        builds: &Shutdown,
        drain_timeout: Duration,
    ) -> Result<(), ControlError> {
        let Some(watched) = &self.0 else {
            return std::future::pending().await;
        };
        let mut ladder = Ladder::new();
        let mut next = Moment::now();
        loop {
            tokio::select! {
                () = ladder.due() => {
                    ladder.step(Moment::now());
                    ladder.tell(builds);
                    continue;
                }
                () = clock::sleep_until(next) => {}
                () = watched.ask.notified() => {}
            }
            next = Moment::now() + Control::LOOK;
            let seen = watched.look().await?;
            let now = Moment::now();
            if seen.control.phase == Phase::Closed {
                return Ok(());
            }
            if seen.control.phase == Phase::Draining {
                if ladder.step(now) == Rung::Working {
                    log::info!("the run drains; no target starts any more");
                }
                ladder.drain(drain_timeout, now);
            }
            if seen.control.roll_back {
                ladder.roll_back(now);
            }
            if ladder.step(now) > Rung::Working {
                ladder.tell(builds);
            }
        }
    }

    fn latest(&self) -> Option<Seen> {
        self.0.as_ref().map(|watched| watched.seen.borrow().clone())
    }
}

impl Watched {
    /// The newest answer: this one, or the one before when the storage does not give another.
    async fn look(&self) -> Result<Seen, ControlError> {
        let before = self.seen.borrow().clone();
        match self.document.read().await {
            Ok(seen) => {
                self.seen.send_replace(seen.clone());
                Ok(seen)
            }
            // Whoever removes a run has no need of its workers.
            Err(ControlError::Missing { .. }) => {
                log::warn!("the control document is gone; the run is taken for closed");
                let mut control = Control::clone(&before.control);
                control.phase = Phase::Closed;
                let seen = Seen {
                    control: Arc::new(control),
                    ..before
                };
                self.seen.send_replace(seen.clone());
                Ok(seen)
            }
            Err(error) if error.may_pass() && before.asked.elapsed() > Control::ABANDONED => {
                Err(ControlError::Silent {
                    after: before.asked.elapsed(),
                    why: error.to_string(),
                })
            }
            Err(error) if error.may_pass() => {
                log::warn!("no target starts at the moment: {error}");
                Ok(before)
            }
            Err(error) => Err(error),
        }
    }
}

impl Document {
    async fn read(&self) -> Result<Seen, ControlError> {
        let asked = Moment::now();
        let object = match timeout(ONE_READING, self.storage.get(&self.name)).await {
            Ok(object) => object?,
            Err(_) => return Err(self.no_answer()),
        };
        let object = object.ok_or_else(|| ControlError::Missing {
            place: self.storage.to_string(),
            run_id: self.run_id,
        })?;
        let control = Control::read(&object.bytes)?;
        if control.run_id != self.run_id {
            return Err(ControlError::OtherRun {
                run_id: self.run_id,
                found: control.run_id,
            });
        }
        Ok(Seen {
            control: Arc::new(control),
            asked,
            age: object.age,
        })
    }

    fn no_answer(&self) -> ControlError {
        let why = format!("no answer within {} s", ONE_READING.as_secs());
        ControlError::Storage(storage::Error::Failed {
            place: self.storage.to_string(),
            name: self.name.clone(),
            action: "read",
            source: why.into(),
        })
    }
}

impl ControlError {
    /// Whether the next reading may succeed. A storage that is removed is a run that is.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Storage(_))
    }
}

impl Seen {
    /// Whether a target that starts now starts within the allowed time after `Draining`.
    fn is_fresh(&self) -> bool {
        self.asked.elapsed() < Control::FRESH
    }

    /// How long ago the document was written.
    fn heartbeat(&self) -> Duration {
        self.age.saturating_add(self.asked.elapsed())
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(watched) => write!(
                f,
                "{} in {}",
                watched.document.name, watched.document.storage
            ),
            None => f.write_str("no control document"),
        }
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
