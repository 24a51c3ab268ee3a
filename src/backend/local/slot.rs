//! One slot: a worker, and the next one when it dies.

use std::{
    io,
    process::ExitStatus,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    LocalOptions, logs, others, process,
    start::{self, Started},
};
use crate::{
    backend::{WorkerState, WorkerStatus},
    worker::presence::Shown,
};

/// How long the operating system may take to end a process that was killed.
pub(super) const KILLED: Duration = Duration::from_secs(10);

/// What the slot does at the moment.
#[derive(Debug)]
pub(super) struct Now {
    present: Mutex<Present>,
    /// The names of all workers of the slot that this process has started.
    children: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Present {
    worker: String,
    /// The child that runs.
    process: Option<u32>,
    state: WorkerState,
}

/// Who works in a slot.
#[derive(Debug)]
pub(super) enum Occupant {
    /// A child of this process.
    Child(Box<Started>),
    /// A worker that another process has started.
    Other(Shown),
}

impl Occupant {
    /// A child in a slot.
    pub(super) async fn start(options: &LocalOptions, slot: usize) -> io::Result<Self> {
        let started = start::start(options, slot).await?;
        Ok(Self::Child(Box::new(started)))
    }

    /// The name of a child.
    fn child(&self) -> Option<String> {
        match self {
            Self::Child(started) => Some(started.name.clone()),
            Self::Other(_) => None,
        }
    }

    fn present(&self) -> Present {
        match self {
            Self::Child(started) => Present {
                worker: started.name.clone(),
                process: Some(started.id),
                state: WorkerState::Running,
            },
            Self::Other(shown) => Present {
                worker: shown.worker.clone(),
                process: None,
                state: WorkerState::Running,
            },
        }
    }
}

impl Now {
    pub(super) fn new(occupant: &Occupant) -> Self {
        Self {
            present: Mutex::new(occupant.present()),
            children: Mutex::new(occupant.child().into_iter().collect()),
        }
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        let present = self.present.lock();
        present.unwrap_or_else(PoisonError::into_inner)
    }

    fn children(&self) -> MutexGuard<'_, Vec<String>> {
        let children = self.children.lock();
        children.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a worker of that name is, or was, the slot's.
    pub(super) fn has(&self, worker: &str) -> bool {
        self.present().worker == worker || self.has_child(worker)
    }

    /// Whether this process has started a worker of that name.
    pub(super) fn has_child(&self, worker: &str) -> bool {
        self.children().iter().any(|child| child == worker)
    }

    pub(super) fn status(&self) -> WorkerStatus {
        let present = self.present();
        WorkerStatus {
            name: present.worker.clone(),
            state: present.state.clone(),
        }
    }

    /// What runs, in words.
    pub(super) fn process(&self) -> Option<String> {
        let present = self.present();
        let id = present.process?;
        Some(others::words(&present.worker, Some(id)))
    }

    fn runs(&self, occupant: &Occupant) {
        self.children().extend(occupant.child());
        *self.present() = occupant.present();
    }

    fn is(&self, state: WorkerState) {
        let mut present = self.present();
        present.process = None;
        present.state = state;
    }
}

/// Keeps one worker running until it is told to stop, a worker has ended as it should, or enough have died.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) options: Arc<LocalOptions>,
    pub(super) number: usize,
    pub(super) now: Arc<Now>,
    pub(super) stop: CancellationToken,
    /// Whether nothing is replaced any more.
    pub(super) let_go: watch::Receiver<bool>,
}

impl Supervisor {
    pub(super) async fn look_after(mut self, first: Occupant) {
        let mut attempt = Ok(first);
        let mut ends = 0;
        loop {
            let end = match attempt {
                Ok(Occupant::Child(started)) => self.until_it_ends(*started).await,
                Ok(Occupant::Other(shown)) => self.until_other_ends(&shown).await,
                Err(error) => Some(End::NotStarted(error)),
            };
            let Some(end) = end else { return };
            if end.code() == Some(0) {
                // It was told to, or the run is over.
                log::info!("worker {}: {end}", self.now.status().name);
                self.now.is(WorkerState::Exited { code: Some(0) });
                return;
            }
            ends += 1;
            log::warn!("worker {}: {end}", self.now.status().name);
            if ends >= self.options.replacement.ends {
                self.give_up(ends, &end);
                return;
            }
            self.now.is(WorkerState::Waiting);
            if !self
                .goes_on_after(self.options.replacement.pause(ends))
                .await
            {
                self.now.is(WorkerState::Exited { code: end.code() });
                return;
            }
            attempt = Occupant::start(&self.options, self.number).await;
            if let Ok(occupant) = &attempt {
                self.now.runs(occupant);
            }
        }
    }

    /// Whether there is to be another worker after a pause.
    async fn goes_on_after(&mut self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            _ = self.let_go.wait_for(|let_go| *let_go) => false,
            () = sleep(pause) => true,
        }
    }

    /// How the worker has ended; none when it was removed.
    async fn until_it_ends(&self, mut started: Started) -> Option<End> {
        let ended = tokio::select! {
            ended = started.child.wait() => Some(ended),
            () = self.stop.cancelled() => None,
        };
        let Some(ended) = ended else {
            self.end(&mut started).await;
            return None;
        };
        self.now.is(WorkerState::Waiting);
        self.release(&started).await;
        Some(ended.map_or_else(End::Unseen, End::Ended))
    }

    /// Waits for the end of a worker of another process; none when it was removed, which is not done here.
    async fn until_other_ends(&self, shown: &Shown) -> Option<End> {
        let id = tokio::select! {
            id = others::until_it_ends(shown) => id,
            () = self.stop.cancelled() => return None,
        };
        self.now.is(WorkerState::Waiting);
        if let Some(id) = id {
            others::until_it_is_gone(id).await;
            others::release(&self.options, &shown.worker, id).await;
        }
        Some(End::Other)
    }

    /// Tells the worker to end, and kills it when it does not.
    async fn end(&self, started: &mut Started) {
        process::terminate_child(&mut started.child, started.id);
        let mut ended = timeout(self.options.grace, started.child.wait()).await;
        if ended.is_err() {
            log::warn!("worker {} does not end and is killed", started.name);
            started.child.start_kill().ok();
            ended = timeout(KILLED, started.child.wait()).await;
        }
        let Ok(ended) = ended else {
            // It stays in the list of what is left.
            log::error!("worker {} cannot be killed", started.name);
            return;
        };
        let code = ended.ok().and_then(|status| status.code());
        self.now.is(WorkerState::Exited { code });
        self.release(started).await;
    }

    async fn release(&self, started: &Started) {
        others::release(&self.options, &started.name, started.id).await;
    }

    fn give_up(&self, ends: u32, end: &End) {
        let worker = self.now.status().name;
        let log = self.options.log(&worker);
        let lines = log.map(|log| logs::last_lines(&log).unwrap_or_default());
        let lines = lines.unwrap_or_default();
        let mut reason = format!("has ended {ends} times; the last time, as {worker}, it {end}");
        if lines.is_empty() {
            reason.push_str(" and has logged nothing");
        } else {
            reason.push_str(", and its log ends with:\n");
            reason.push_str(&lines.join("\n"));
        }
        log::error!("worker {worker} is not replaced any more: {reason}");
        self.now.is(WorkerState::Failed { reason });
    }
}

/// How a worker has ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("{}", words(*.0))]
    Ended(ExitStatus),
    #[error("has ended, nobody knows how: {0}")]
    Unseen(io::Error),
    #[error("has ended, nobody knows how: another process had started it")]
    Other,
    #[error("could not be started: {0}")]
    NotStarted(io::Error),
}

impl End {
    fn code(&self) -> Option<i32> {
        match self {
            Self::Ended(status) => status.code(),
            _ => None,
        }
    }
}

fn words(status: ExitStatus) -> String {
    if let Some(code) = status.code() {
        return format!("ended with exit code {code}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;

        if let Some(signal) = status.signal() {
            return format!("was ended by signal {signal}");
        }
    }
    format!("ended: {status}")
}
