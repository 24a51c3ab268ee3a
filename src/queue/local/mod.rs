//! The queue of many processes of one machine: a SQLite file.
//!
//! All work on the file is done by one thread per [`LocalQueue`] (`keeper`), which puts what is asked for at the same time into one
//! transaction. `file` opens, recognises and removes the file and `make` makes it; `records`, `turns` (who gets what), `receivers` (who holds
//! locks) and `overview` are what happens in it.

mod file;
mod job;
mod keeper;
mod make;
mod overview;
mod receivers;
mod records;
mod turns;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::{
    clock::Moment,
    protocol::{Concurrency, Platform, Target},
};

use super::{
    Counts, Dead, Delivery, DeliveryId, Error, LOCK, Purpose, Queue, Received, window::FOR_EVER,
};
use job::{Answer, Job, Mode, Request, Trouble};
use keeper::Keeper;
use records::Records;

/// How long a file may stay locked by another process.
const BUSY: Duration = Duration::from_secs(30);

/// How a queue file is used. All who use a file must agree on platform and concurrency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the targets live; it decides which spellings are one server.
    pub platform: Platform,
    /// `Count` allows each receiver `limit` deliveries at once. The other types allow one or `limit` of each session, and hand
    /// the deliveries of a session to one receiver at a time. A receiver never has more than `max_slots` at once.
    pub concurrency: Concurrency,
    /// How many sessions a receiver takes whoever else waits; more only when no receiver with fewer waits. The groups of
    /// the run divided by its workers, rounded up, share them out evenly.
    pub sessions: usize,
    /// How long a lock lasts that is not renewed. The one who makes the file decides for all.
    pub lock: Duration,
    /// How long a file that another process keeps locked is waited for.
    pub busy: Duration,
}

impl Options {
    /// One session to begin with, locks of a minute.
    pub fn new(platform: Platform, concurrency: Concurrency) -> Self {
        Self {
            platform,
            concurrency,
            sessions: 1,
            lock: LOCK,
            busy: BUSY,
        }
    }
}

/// A receiver's, or sender's, handle of a queue that is a file.
///
/// What was answered is in the file and outlives every process that is killed; after a crash of the whole machine the last
/// changes may be missing, and their targets are delivered once more. Locks end at the latest when the machine starts anew.
/// The file must be on a disk of the machine, not on a share. [`Error::Busy`] means that the same call may succeed later.
#[derive(Debug)]
pub struct LocalQueue {
    path: PathBuf,
    options: Options,
    requests: Arc<mpsc::Sender<Request>>,
}

impl LocalQueue {
    /// A handle of the queue at `path`, whether it is there yet or not; nothing is made or touched before it is used.
    ///
    /// Fails when no thread can be started.
    pub fn open(path: &Path, options: Options) -> Result<Self, Error> {
        let (sender, requests) = mpsc::channel();
        let sender = Arc::new(sender);
        let keeper = Keeper::new(path, options, requests, Arc::downgrade(&sender));
        let queue = Self {
            path: path.to_owned(),
            options,
            requests: sender,
        };
        let thread = std::thread::Builder::new()
            .name("queue".to_owned())
            .spawn(move || keeper.run());
        match thread {
            Ok(_) => Ok(queue),
            Err(error) => Err(queue.other(error)),
        }
    }

    /// Makes pending at once what the receivers of a process hold that has ended, and says how much that was.
    ///
    /// For whoever has started the process `id` and seen it end; where it can be told that the process runs, nothing is
    /// released. Without this its locks end by themselves.
    pub async fn release_of(&self, id: u32) -> Result<usize, Error> {
        let release = move |records: &Records<'_>| records.release_of(id);
        self.work(Mode::Alone, release)
            .await
            .map_err(|trouble| self.error(trouble))
    }

    /// Does `work` in the file.
    async fn work<T: Send + 'static>(
        &self,
        mode: Mode,
        work: impl FnOnce(&Records<'_>) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        self.ask(|answer| Request::Work(mode, Job::boxed(work, answer)))
            .await
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, Trouble> {
        let (answer, answered) = oneshot::channel();
        if self.requests.send(request(answer)).is_err() {
            return Err(Trouble::Stopped);
        }
        answered.await.unwrap_or(Err(Trouble::Stopped))
    }

    /// Does `work` about a delivery.
    async fn settle<T: Send + 'static>(
        &self,
        delivery: &Delivery,
        work: impl FnOnce(&Records<'_>, DeliveryId) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Error> {
        let id = delivery.id;
        let settled = self.work(Mode::Together, move |records| work(records, id));
        settled.await.map_err(|trouble| match trouble {
            Trouble::LockLost => Error::lock_lost(delivery),
            trouble => self.error(trouble),
        })
    }

    fn error(&self, trouble: Trouble) -> Error {
        let queue = self.to_string();
        match trouble {
            Trouble::Closed => Error::Closed { queue },
            Trouble::Gone => Error::Gone { queue },
            Trouble::Busy => Error::Busy {
                queue,
                waited: self.options.busy,
            },
            Trouble::Refused(why) => Error::Refused {
                path: self.path.clone(),
                why,
            },
            Trouble::LockLost => self.other("a lock is lost"),
            Trouble::Stopped => self.other("its thread has ended"),
            Trouble::Sqlite(source) => self.other(source),
            Trouble::File(source) => self.other(source),
        }
    }

    fn other(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Other {
            queue: self.to_string(),
            source: source.into(),
        }
    }
}

impl fmt::Display for LocalQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue {}", self.path.display())
    }
}

#[async_trait]
impl Queue for LocalQueue {
    async fn create(&self) -> Result<(), Error> {
        let created = self.ask(Request::Create).await;
        created.map_err(|trouble| self.error(trouble))
    }

    async fn send_all(&self, targets: Vec<Target>, purpose: Purpose) -> Result<(), Error> {
        let platform = self.options.platform;
        let send = move |records: &Records<'_>| records.send_all(platform, &targets, purpose);
        let sent = self.work(Mode::Alone, send).await;
        sent.map_err(|trouble| self.error(trouble))
    }

    async fn receive(&self, wait: Duration) -> Result<Received, Error> {
        let until = Instant::now() + wait.min(FOR_EVER);
        match self.ask(|answer| Request::Receive { until, answer }).await {
            Ok(handed) => Ok(handed.into_received()),
            Err(Trouble::Gone) => Ok(Received::Gone),
            Err(Trouble::Closed) => Ok(Received::Closed),
            Err(trouble) => Err(self.error(trouble)),
        }
    }

    async fn renew(&self, delivery: &Delivery) -> Result<Moment, Error> {
        let asked = Moment::now();
        let lock = self
            .settle(delivery, |records, id| records.renew(id))
            .await?;
        Ok(asked + lock)
    }

    async fn complete(&self, delivery: &Delivery) -> Result<(), Error> {
        self.settle(delivery, |records, id| records.complete(id))
            .await
    }

    async fn abandon(&self, delivery: &Delivery) -> Result<(), Error> {
        self.settle(delivery, |records, id| records.abandon(id))
            .await
    }

    async fn dead_letter(
        &self,
        delivery: &Delivery,
        reason: &str,
        description: &str,
    ) -> Result<(), Error> {
        let (reason, description) = (reason.to_owned(), description.to_owned());
        let bury = move |records: &Records<'_>, id| records.dead_letter(id, &reason, &description);
        self.settle(delivery, bury).await
    }

    async fn counts(&self) -> Result<Counts, Error> {
        let counts = self.work(Mode::Read, |records| records.counts()).await;
        counts.map_err(|trouble| self.error(trouble))
    }

    async fn dead(&self) -> Result<Vec<Dead>, Error> {
        let dead = self.work(Mode::Read, |records| records.dead()).await;
        dead.map_err(|trouble| self.error(trouble))
    }

    async fn close(&self) -> Result<Vec<Target>, Error> {
        let pending = self.work(Mode::Alone, |records| records.close()).await;
        pending.map_err(|trouble| self.error(trouble))
    }

    async fn remove(&self) -> Result<(), Error> {
        let removed = self.ask(Request::Remove).await;
        removed.map_err(|trouble| self.error(trouble))
    }
}
