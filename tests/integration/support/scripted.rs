//! A queue whose locks do what a test says, and a worker on it in a thread.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::Duration,
};

use async_trait::async_trait;
use sbm::{
    clock::Moment,
    engine::{Engine, audit},
    events::{InProcess as Events, Subscription},
    package::{Limits, Package},
    protocol::{EventKind, JobSpec, ResultLine, Target},
    queue::{Counts, Dead, Delivery, DeliveryId, Error, Purpose, Queue, Received},
    worker::{self, Shutdown, Worker, prepare::Prepared, run},
};

use super::{
    fleet::{Fleet, Platform},
    live::eventually,
};

/// Long enough for a slow machine to renew in time, which happens after a quarter of it.
const LOCK: Duration = Duration::from_secs(40);

/// What renewals are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Renewals {
    /// The lock lasts its whole duration again.
    #[default]
    Succeed,
    /// The lock is lost.
    Lost,
    /// Nothing.
    Silent,
    /// The program breaks down.
    Panics,
}

/// Hands deliveries out one after the other.
#[derive(Debug, Default)]
pub(crate) struct Scripted(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    pending: VecDeque<Delivery>,
    in_flight: HashSet<DeliveryId>,
    renewals: Renewals,
    settled: Vec<&'static str>,
    closed: bool,
    next: u128,
}

impl Scripted {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Hands a target out as if it were for the time number `count`.
    pub(crate) fn hand_out(&self, target: Target, count: u32) {
        let mut state = self.state();
        state.next += 1;
        let delivery = Delivery {
            id: DeliveryId(state.next),
            target,
            count,
            purpose: Purpose::Build,
            session: None,
            locked_until: Moment::now(),
        };
        state.pending.push_back(delivery);
    }

    pub(crate) fn renewals(&self, answer: Renewals) {
        self.state().renewals = answer;
    }

    /// Somebody else has what was handed out, and whatever is told of it comes too late.
    pub(crate) fn take_away(&self) {
        let mut state = self.state();
        state.renewals = Renewals::Lost;
        state.in_flight.clear();
    }

    /// What it was told of ends in time, in order.
    pub(crate) fn settled(&self) -> Vec<&'static str> {
        self.state().settled.clone()
    }

    /// Nothing more is to come.
    pub(crate) fn close_it(&self) {
        self.state().closed = true;
    }

    fn settle(&self, delivery: &Delivery, how: &'static str) -> Result<(), Error> {
        let mut state = self.state();
        if !state.in_flight.remove(&delivery.id) {
            return Err(lost(delivery));
        }
        state.settled.push(how);
        Ok(())
    }
}

fn lost(delivery: &Delivery) -> Error {
    Error::LockLost {
        id: delivery.id,
        target: delivery.target.to_string(),
    }
}

impl fmt::Display for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue of a test")
    }
}

#[async_trait]
impl Queue for Scripted {
    async fn create(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn send_all(&self, targets: Vec<Target>, _: Purpose) -> Result<(), Error> {
        targets
            .into_iter()
            .for_each(|target| self.hand_out(target, 1));
        Ok(())
    }

    async fn receive(&self, _: Duration) -> Result<Received, Error> {
        {
            let mut state = self.state();
            if let Some(mut delivery) = state.pending.pop_front() {
                state.in_flight.insert(delivery.id);
                delivery.locked_until = Moment::now() + LOCK;
                return Ok(Received::Delivery(Box::new(delivery)));
            }
            if state.closed {
                return Ok(Received::Closed);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(Received::Nothing)
    }

    async fn renew(&self, delivery: &Delivery) -> Result<Moment, Error> {
        let asked = Moment::now();
        let answer = self.state().renewals;
        match answer {
            Renewals::Succeed => Ok(asked + LOCK),
            Renewals::Lost => Err(lost(delivery)),
            Renewals::Silent => std::future::pending().await,
            Renewals::Panics => panic!("an answer that nobody has thought of"),
        }
    }

    async fn complete(&self, delivery: &Delivery) -> Result<(), Error> {
        self.settle(delivery, "completed")
    }

    async fn abandon(&self, delivery: &Delivery) -> Result<(), Error> {
        self.settle(delivery, "abandoned")
    }

    async fn dead_letter(&self, delivery: &Delivery, _: &str, _: &str) -> Result<(), Error> {
        self.settle(delivery, "dead")
    }

    async fn counts(&self) -> Result<Counts, Error> {
        Ok(Counts::default())
    }

    async fn dead(&self) -> Result<Vec<Dead>, Error> {
        Ok(Vec::new())
    }

    async fn close(&self) -> Result<Vec<Target>, Error> {
        Ok(Vec::new())
    }

    async fn remove(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// A worker that runs until its queue is closed.
pub(crate) struct Working {
    pub(crate) queue: Arc<Scripted>,
    events: Subscription,
    lines: Vec<ResultLine>,
    thread: JoinHandle<Result<(), worker::Error>>,
}

impl Working {
    /// Builds databases of `fleet` by `engine` with the package that was written last.
    pub(crate) fn start(fleet: &Fleet, engine: Arc<dyn Engine>, new_run: bool) -> Self {
        let folder = fleet.folder.path().join("package");
        let package = Package::open(&folder, &Limits::default()).unwrap();
        let job = job(&package, fleet.platform);
        let (events, subscription) = Events::new();
        let worker = Worker {
            prepared: Arc::new(Prepared::new(&package, &job).unwrap()),
            engine,
            name: "w".into(),
            new_run,
            audit: audit::Run::of(&job, "me".into()),
            events: Arc::new(events),
            results: None,
            logs: None,
            job,
        };
        let queue = Arc::new(Scripted::default());
        let shared = Arc::clone(&queue);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let shutdown = Shutdown::new();
            let work = run(Arc::new(worker), shared, &shutdown);
            runtime.block_on(work)
        });
        Self {
            queue,
            events: subscription,
            lines: Vec::new(),
            thread,
        }
    }

    /// The lines that have come so far.
    pub(crate) fn lines(&mut self) -> &[ResultLine] {
        while let Ok(event) = self.events.try_recv() {
            if let EventKind::Finished { line } = event.kind {
                self.lines.push(*line);
            }
        }
        &self.lines
    }

    /// All lines, when nothing more is handed out.
    pub(crate) fn end(mut self) -> Vec<ResultLine> {
        self.queue.close_it();
        while !self.thread.is_finished() {
            thread::sleep(Duration::from_millis(20));
        }
        self.lines();
        self.thread.join().unwrap().unwrap();
        self.lines
    }

    /// Why it has ended, although its queue is not closed.
    pub(crate) fn failure(self) -> worker::Error {
        eventually("the worker ends", || self.thread.is_finished());
        self.thread.join().unwrap().unwrap_err()
    }
}

fn job(package: &Package, platform: Platform) -> JobSpec {
    let platform = match platform {
        Platform::Sqlite => "SQLite",
        Platform::Postgres => "PostgreSQL",
        Platform::SqlServer => "SqlServer",
        Platform::MySql => "MySQL",
    };
    let job = serde_json::json!({
        "version": 1,
        "runId": uuid::Uuid::new_v4(),
        "package": {"name": "p", "buildHash": package.build_hash(), "sha256": package.sha256()},
        "platform": platform,
        "connection": {"sslMode": "auto", "connectTimeout": 20.0},
        "build": {
            "transactional": true, "trial": false, "description": "", "ledgerKeepDays": 90,
            "defaultScriptTimeout": 600.0, "timeoutRetryCount": 0, "lockWait": 600.0, "finishPartial": false,
            "redoInterrupted": false, "redoFailed": false, "requestedBy": "me"
        },
        "concurrency": {"kind": "Count", "limit": 2, "maxSlots": 2},
        "created": "2026-01-01T00:00:00Z"
    });
    serde_json::from_value(job).unwrap()
}
