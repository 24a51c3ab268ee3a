//! The worker's loop.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
    time::sleep,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Results, ResultsError, Shutdown,
    database_log::DatabaseLog,
    deliver::{Context, deliver},
    gate::Gate,
    locks::Locks,
    past::Past,
    prepare::Prepared,
};
use crate::{
    clock::{self, Moment},
    engine::{Engine, audit},
    events::Events,
    protocol::{Control, Event, EventKind, JobSpec, Target, TargetKey},
    queue::{self, Delivery, Queue, Received},
};

/// Everything a build needs beside its target.
#[derive(Debug)]
pub struct Worker {
    /// The run.
    pub job: JobSpec,
    /// The package.
    pub prepared: Arc<Prepared>,
    /// The databases.
    pub engine: Arc<dyn Engine>,
    /// Who this is.
    pub name: String,
    /// Whether no process has worked for this run before, as far as is known when this one begins, so that no database can
    /// know it yet.
    pub new_run: bool,
    /// What is the same in all audit rows.
    pub audit: audit::Run,
    /// Where progress is told.
    pub events: Arc<dyn Events>,
    /// Where results are kept; nowhere when none.
    pub results: Option<Results>,
    /// The folder of the databases' logs; no logs when none.
    pub logs: Option<PathBuf>,
}

impl Worker {
    pub(super) fn event(&self, key: &TargetKey, kind: EventKind) {
        let at = jiff::Timestamp::now();
        self.events.publish(Event {
            run_id: self.job.run_id,
            key: key.clone(),
            at,
            kind,
        });
    }

    /// How old rows of the ledger become.
    pub(super) fn ledger_keep(&self) -> Duration {
        Duration::from_secs(u64::from(self.job.build.ledger_keep_days) * 24 * 3600)
    }

    pub(super) fn open_log(&self, target: &Target) -> DatabaseLog {
        let mut log = DatabaseLog::open(self.logs.as_deref(), target);
        log.line(&format!(
            "-- sbm {}, run {}, target {target}, package {} {}",
            env!("CARGO_PKG_VERSION"),
            self.job.run_id,
            self.job.package.name,
            self.job.package.build_hash
        ));
        log
    }
}

/// Why a worker stopped taking targets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] queue::Error),
    /// A result line cannot be kept.
    #[error("cannot keep the result of {target}: {source}")]
    Result {
        /// The target, as a user knows it.
        target: String,
        /// What was tried.
        source: ResultsError,
    },
    /// No result line can be kept any more.
    #[error("results cannot be kept any more")]
    NoResults,
    /// The program itself is wrong.
    #[error("a delivery was not looked after to its end: {0}")]
    Broken(#[from] JoinError),
    /// The program itself is wrong: nobody renews message locks any more.
    #[error("message locks were not looked after to the end: {0}")]
    NoLocks(JoinError),
}

/// What a worker that is one of many has in common with the others.
#[derive(Debug)]
pub(super) struct Sharing {
    pub(super) gate: Gate,
    pub(super) past: Past,
    /// The most targets at once.
    pub(super) slots: usize,
    /// What is said to builds alone; hears what is said to the worker.
    pub(super) builds: Shutdown,
}

/// How long the queue is asked for a target before it is asked again.
const WAIT: Duration = Duration::from_secs(10);

/// When message locks are not renewed any more, builds have this long to roll back before they lose their connections.
const UNKEPT: Duration = Duration::from_secs(10);

/// How long a queue that fails is asked again.
const QUEUE_PATIENCE: Duration = Duration::from_secs(300);

/// Builds targets until the queue has none left, or until it is told to drain and those that run have ended.
///
/// When the queue fails or a result cannot be kept, no target starts any more; those that run still end as they should.
/// Deliveries are renewed while they last; a build whose message is lost is rolled back and left to whoever has it.
pub async fn run(
    worker: Arc<Worker>,
    queue: Arc<dyn Queue>,
    shutdown: &Shutdown,
) -> Result<(), Error> {
    work(worker, queue, None, shutdown).await
}

/// The same for one worker of many, until the run is closed or abandoned.
pub(super) async fn work(
    worker: Arc<Worker>,
    queue: Arc<dyn Queue>,
    sharing: Option<Sharing>,
    shutdown: &Shutdown,
) -> Result<(), Error> {
    let (gate, past, slots, builds) = match sharing {
        Some(sharing) => (
            sharing.gate,
            Some(tokio::sync::Mutex::new(sharing.past)),
            sharing.slots.min(Semaphore::MAX_PERMITS),
            sharing.builds,
        ),
        None => (
            Gate::default(),
            None,
            Semaphore::MAX_PERMITS,
            shutdown.clone(),
        ),
    };
    let locks = Arc::new(Locks::new(Arc::clone(&queue)));
    let intake = Arc::new(Intake {
        slots: Arc::new(Semaphore::new(slots)),
        context: Arc::new(Context {
            worker,
            queue,
            gate,
            locks: Arc::clone(&locks),
            shutdown: shutdown.clone(),
            builds,
            past,
            refused: Mutex::new(None),
        }),
    });
    // A task of its own, so that nothing here holds up a renewal.
    let keeper = AbortOnDropHandle::new(tokio::spawn(async move { locks.keep().await }));
    let mut keeper = Some(keeper);
    let mut drop_at = None;
    let mut deliveries: JoinSet<Result<(), Error>> = JoinSet::new();
    let mut next = Some(Box::pin(Arc::clone(&intake).next()));
    let mut first_error = None;
    while next.is_some() || !deliveries.is_empty() {
        let step = tokio::select! {
            biased;
            () = shutdown.draining(), if next.is_some() => {
                next = None;
                Ok(())
            }
            Some(ended) = deliveries.join_next(), if !deliveries.is_empty() => {
                ended.unwrap_or_else(|error| Err(error.into()))
            }
            ended = ready(&mut keeper) => {
                keeper = None;
                drop_at = Some(Moment::now() + UNKEPT);
                shutdown.stop();
                match ended {
                    Ok(never) => match never {},
                    Err(error) => Err(Error::NoLocks(error)),
                }
            }
            () = clock::sleep_until(drop_at.unwrap_or_else(Moment::now)), if drop_at.is_some() => {
                drop_at = None;
                shutdown.drop_connections();
                Ok(())
            }
            taken = ready(&mut next) => match taken {
                Ok(Some((delivery, slot))) => {
                    let context = Arc::clone(&intake.context);
                    let held = context.hold(delivery);
                    deliveries.spawn(deliver(context, held, slot));
                    next = Some(Box::pin(Arc::clone(&intake).next()));
                    Ok(())
                }
                Ok(None) => {
                    next = None;
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = step {
            next = None;
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// What the future gives; never ready when there is none.
async fn ready<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// Takes targets from the queue.
struct Intake {
    context: Arc<Context>,
    slots: Arc<Semaphore>,
}

impl Intake {
    /// The next delivery with a free slot for it; none when nothing more is to come. Dropping the future loses nothing.
    async fn next(self: Arc<Self>) -> Result<Option<(Delivery, OwnedSemaphorePermit)>, Error> {
        let context = &self.context;
        let mut failing: Option<Moment> = None;
        loop {
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
                return Ok(None);
            };
            self.open().await?;
            if self.is_deserted() {
                log::warn!("nobody conducts the run any more, and it drains");
                return Ok(None);
            }
            match context.queue.receive(WAIT).await {
                Ok(Received::Delivery(delivery)) => return Ok(Some((*delivery, slot))),
                Ok(Received::Nothing) => failing = None,
                Ok(Received::Closed | Received::Gone) if !context.gate.is_conducted() => {
                    return Ok(None);
                }
                // The conductor closes it to count what is left, and may open it, or make it anew.
                Ok(Received::Closed | Received::Gone) => {
                    failing = None;
                    sleep(Control::LOOK).await;
                }
                Err(error) => {
                    let since = *failing.get_or_insert_with(Moment::now);
                    if !context.gate.is_conducted() || since.elapsed() > QUEUE_PATIENCE {
                        return Err(error.into());
                    }
                    log::warn!("no target is taken at the moment: {error}");
                    sleep(Control::LOOK).await;
                }
            }
            drop(slot);
            if self.is_over().await {
                return Ok(None);
            }
        }
    }

    /// Waits until targets may start, or until what became of others may be looked into.
    async fn open(&self) -> Result<(), Error> {
        let context = &self.context;
        loop {
            if let Some(results) = &context.worker.results
                && !results.untroubled().await
            {
                return Err(Error::NoResults);
            }
            let pause = context.gate.is_draining() && context.has_refused();
            if context.gate.is_open() && !pause {
                return Ok(());
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Whether nobody conducts the run any more and whatever is in the queue is not to start.
    fn is_deserted(&self) -> bool {
        let gate = &self.context.gate;
        gate.is_abandoned() && gate.is_draining() && !self.context.locks.holds_any()
    }

    /// Whether nobody conducts the run any more and nothing is left to do.
    async fn is_over(&self) -> bool {
        let context = &self.context;
        if !context.gate.is_abandoned() || context.locks.holds_any() {
            return false;
        }
        let is_empty = match context.queue.counts().await {
            Ok(counts) => counts.pending == 0 && counts.in_flight == 0,
            Err(queue::Error::Gone { .. }) => true,
            Err(_) => false,
        };
        if is_empty {
            log::warn!("nobody conducts the run any more, and nothing is left to do");
        }
        is_empty
    }
}
