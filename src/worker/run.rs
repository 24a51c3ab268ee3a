//! The worker's loop.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use tokio::task::{Id, JoinError, JoinSet};

use super::{Results, Shutdown, attempts, database_log::DatabaseLog, prepare::Prepared, resolve};
use crate::{
    engine::{Engine, audit},
    events::Events,
    protocol::{ErrorReport, Event, EventKind, JobSpec, ResultLine, State, Target, TargetKey},
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
    /// Whether no process has worked for this run before, so that no database can know it yet.
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

/// Builds targets until the queue has none left, or until it is told to drain and those that run have ended.
///
/// When the queue fails or a result cannot be kept, no target starts any more; those that run still end as they should.
pub async fn run(worker: Arc<Worker>, queue: &dyn Queue, shutdown: &Shutdown) -> Result<(), Error> {
    let mut builds = Builds {
        worker,
        shutdown,
        running: JoinSet::new(),
        deliveries: HashMap::new(),
    };
    let (mut accepting, mut first_error) = (true, None);
    while accepting || !builds.running.is_empty() {
        let step = tokio::select! {
            biased;
            () = shutdown.draining(), if accepting => {
                accepting = false;
                Ok(())
            }
            Some(ended) = builds.running.join_next_with_id(), if !builds.running.is_empty() => {
                builds.settle(ended, queue).await
            }
            received = queue.receive(WAIT), if accepting => received.map_err(Error::Queue).map(|received| match received {
                Received::Delivery(delivery) => builds.start(*delivery),
                Received::Nothing => {}
                Received::Closed | Received::Gone => accepting = false,
            }),
        };
        if let Err(error) = step {
            accepting = false;
            first_error.get_or_insert(error);
        }
    }
    first_error.map_or(Ok(()), Err)
}

/// Why a worker stopped taking targets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] queue::Error),
    /// A result line cannot be written.
    #[error("cannot keep the result of {target}: {source}")]
    Result {
        /// The target, as a user knows it.
        target: String,
        /// What the operating system says.
        source: std::io::Error,
    },
}

struct Builds<'a> {
    worker: Arc<Worker>,
    shutdown: &'a Shutdown,
    running: JoinSet<ResultLine>,
    deliveries: HashMap<Id, Running>,
}

/// What a task works on.
struct Running {
    delivery: Delivery,
    /// Whether it only looks into what a build that broke down has left.
    looks: bool,
}

/// How long the queue is asked for a target before it is asked again.
const WAIT: Duration = Duration::from_secs(60);

/// A target that was delivered this often without a final line stays as its last line says.
const MAX_DELIVERIES: u32 = 5;

impl Builds<'_> {
    fn start(&mut self, delivery: Delivery) {
        let target = delivery.target.clone();
        let key = target.key(self.worker.job.platform);
        let fresh = self.worker.new_run && delivery.count == 1;
        let build = attempts::build(
            Arc::clone(&self.worker),
            target,
            key,
            fresh,
            self.shutdown.clone(),
        );
        let task = self.running.spawn(build);
        self.deliveries.insert(
            task.id(),
            Running {
                delivery,
                looks: false,
            },
        );
    }

    /// A build has ended: its line is written first, then its message is settled.
    async fn settle(
        &mut self,
        ended: Result<(Id, ResultLine), JoinError>,
        queue: &dyn Queue,
    ) -> Result<(), Error> {
        let (id, line) = match ended {
            Ok((id, line)) => (id, Some(line)),
            Err(error) => (error.id(), self.after_panic(&error)),
        };
        // A build that broke down is looked into by a task of its own, which takes over the delivery.
        let Some(line) = line else {
            return Ok(());
        };
        let Some(Running { delivery, .. }) = self.deliveries.remove(&id) else {
            return Ok(());
        };
        let kept = match &self.worker.results {
            Some(results) => results.append(&line),
            None => Ok(()),
        };
        let (is_final, target) = (line.is_final, line.target.to_string());
        let key = line.key.clone();
        self.worker.event(
            &key,
            EventKind::Finished {
                line: Box::new(line),
            },
        );
        if let Err(source) = kept {
            // Somebody else finds out from the ledger what this line would have said.
            queue.abandon(&delivery).await?;
            return Err(Error::Result { target, source });
        }
        if is_final || self.shutdown.is_draining() || delivery.count >= MAX_DELIVERIES {
            queue.complete(&delivery).await?;
        } else {
            queue.abandon(&delivery).await?;
        }
        Ok(())
    }

    /// Whatever a driver does, it costs one target: the ledger says what became of it.
    fn after_panic(&mut self, error: &JoinError) -> Option<ResultLine> {
        let Running { delivery, looks } = self.deliveries.remove(&error.id())?;
        let why = format!("the build broke down in this program: {error}");
        let (worker, target) = (Arc::clone(&self.worker), delivery.target.clone());
        let key = target.key(worker.job.platform);
        if looks {
            let mut line =
                ResultLine::new(worker.job.run_id, key, target, &worker.name, State::Unknown);
            line.errors.push(ErrorReport {
                message: why,
                ..ErrorReport::default()
            });
            self.deliveries
                .insert(error.id(), Running { delivery, looks });
            return Some(line);
        }
        let task = self.running.spawn(async move {
            let outcome = resolve::reconcile(&worker, &target, &why).await;
            let mut line =
                ResultLine::new(worker.job.run_id, key, target, &worker.name, State::Unknown);
            attempts::fill(&mut line, outcome);
            line
        });
        self.deliveries.insert(
            task.id(),
            Running {
                delivery,
                looks: true,
            },
        );
        None
    }
}
