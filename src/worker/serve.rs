//! A worker in a process of its own: one of many that share a run.

use std::{
    io::{self, BufRead},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use super::{
    ControlError, Place, Results, SecretsError, Shutdown, Signals, Worker,
    gate::Gate,
    identity,
    ladder::{Ladder, Rung},
    past::Past,
    prepare::{PackageFaults, Prepared},
    presence::{Presence, PresenceError},
    run::{self, Sharing},
    secrets::{Input, Secrets},
};
use crate::{
    clock::{self, Moment},
    engine::{self, audit},
    events::LocalEvents,
    package::{self, Limits, Package},
    protocol::{ConcurrencyType, DocumentError, JobSpec, RunPaths},
    queue::{self, LocalQueue, Options},
    storage::{self, LinesSettings, LocalFolder, ResultLines, Storage},
};

/// Why a worker could not do its work. What became of a database is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The job is not where it should be.
    #[error("{place} has no run {run_id}; whoever starts workers writes its job first")]
    NoRun {
        /// The storage.
        place: String,
        /// The run.
        run_id: uuid::Uuid,
    },
    /// The job cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The job is another than that of the run.
    #[error("the job of run {run_id} is that of run {found}")]
    OtherRun {
        /// The run that is worked for.
        run_id: uuid::Uuid,
        /// The run that the job names.
        found: uuid::Uuid,
    },
    /// The package is another than that of the run.
    #[error("the package of the run has SHA-256 {found}, and the job names {named}")]
    OtherPackage {
        /// What the package has.
        found: String,
        /// What the job says.
        named: String,
    },
    /// The storage of the run failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// A file of this machine cannot be used.
    #[error("cannot use {what}: {source}")]
    File {
        /// What it is for.
        what: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
    /// The worker cannot show that it lives, or another of its name does.
    #[error(transparent)]
    Presence(#[from] PresenceError),
    /// The package of the run cannot be read.
    #[error(transparent)]
    Package(#[from] package::Error),
    /// The package cannot be built as the job says.
    #[error(transparent)]
    Faults(#[from] PackageFaults),
    /// The secrets are not those that the job needs.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The databases cannot be logged in to as the job says.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] queue::Error),
    /// It is not known what the conductor of the run says.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The work was broken off.
    #[error(transparent)]
    Work(#[from] run::Error),
    /// The storage and standard input have not given what a worker needs to begin.
    #[error("the work could not begin within {} s", BEGIN.as_secs())]
    Slow,
    /// A build was told to end and did not.
    #[error("what still ran was left behind: it did not end when it was told to")]
    LeftBehind,
}

/// How long a worker may take to begin.
const BEGIN: Duration = Duration::from_secs(600);

/// The run has accepted the package, and its SHA-256 is checked.
const ANY_SIZE: Limits = Limits {
    script_bytes: u64::MAX,
    package_bytes: u64::MAX,
    ratio: u64::MAX,
};

/// Works for the run in `place` until it is closed. `secrets` is one line of JSON, `{"password": "…"}`, or nothing.
///
/// A signal drains: builds that run may end within the job's drain time-out, then they are rolled back.
pub async fn serve(place: Place, secrets: Box<dyn BufRead + Send>) -> Result<(), ServeError> {
    let mut signals = Signals::new().map_err(|source| ServeError::File {
        what: "signals",
        source,
    })?;
    let begun = tokio::select! {
        begun = timeout(BEGIN, begin(&place, secrets)) => begun,
        signal = signals.next() => {
            log::info!("{signal}: the work had not begun");
            return Ok(());
        }
    };
    let begun = begun.map_err(|_| ServeError::Slow)??;
    let Begun {
        worker,
        gate,
        queue,
        past,
        parent,
        presence,
    } = begun;
    let shutdown = Shutdown::new();
    let builds = shutdown.child();
    let sharing = Sharing {
        gate: gate.clone(),
        past,
        slots: slots(&worker.job),
        builds: builds.clone(),
    };
    let limits = worker.job.limits.clone();
    log::info!("{} works for run {}", worker.name, place.run_id);

    let watch = tokio::spawn(async move { gate.watch(&builds, limits.drain_timeout).await });
    let watch = tokio_util::task::AbortOnDropHandle::new(watch);
    let ends = Ends {
        signals: &mut signals,
        parent,
        watch,
        deadline: limits.hard_deadline.map(Moment::of),
        drain_timeout: limits.drain_timeout,
    };
    let work = run::work(Arc::clone(&worker), queue, Some(sharing), &shutdown);
    let ended = ends.outlive(work, &shutdown).await;
    worker.events.close().await;
    drop(presence);
    ended
}

/// What a worker has when it can begin to work.
struct Begun {
    worker: Arc<Worker>,
    gate: Gate,
    queue: Arc<LocalQueue>,
    past: Past,
    parent: oneshot::Receiver<()>,
    presence: Presence,
}

async fn begin(place: &Place, secrets: Box<dyn BufRead + Send>) -> Result<Begun, ServeError> {
    let storage: Arc<dyn Storage> = Arc::new(LocalFolder::new(&place.container()));
    let job = job(&*storage, place).await?;
    let name = place.worker.clone().unwrap_or_else(identity::worker);
    let presence = Presence::take(&place.container(), &place.paths(), &name).await?;
    let mut input = Input::read(secrets, !job.secrets.is_empty(), place.attached);
    let given = input.secrets(&job).await?;
    let gate = Gate::open(Arc::clone(&storage), &place.paths(), place.run_id).await?;
    let past = Past::new(Arc::clone(&storage), &place.paths());
    let queue = queue(place, &job)?;
    let worker = Arc::new(worker(place, name, job, given, storage).await?);
    Ok(Begun {
        worker,
        gate,
        queue,
        past,
        parent: input.end,
        presence,
    })
}

/// Everything that may end a worker before its work is done.
struct Ends<'a> {
    signals: &'a mut Signals,
    parent: oneshot::Receiver<()>,
    watch: tokio_util::task::AbortOnDropHandle<Result<(), ControlError>>,
    deadline: Option<Moment>,
    drain_timeout: Duration,
}

impl Ends<'_> {
    /// Waits for the work, and makes it end when it has to.
    async fn outlive(
        mut self,
        work: impl Future<Output = Result<(), run::Error>>,
        shutdown: &Shutdown,
    ) -> Result<(), ServeError> {
        let mut ladder = Ladder::new();
        let (mut watching, mut has_parent) = (true, true);
        let mut first_error: Option<ServeError> = None;
        tokio::pin!(work);
        loop {
            let now = Moment::now();
            if ladder.step(now) == Rung::Left {
                return Err(first_error.unwrap_or(ServeError::LeftBehind));
            }
            ladder.tell(shutdown);
            tokio::select! {
                // Whoever ends a worker lets go of its input as well, and what was meant is the signal.
                biased;
                signal = self.signals.next() => {
                    log::info!("{signal}: no target starts any more");
                    has_parent = false;
                    ladder.drain(self.drain_timeout, Moment::now());
                }
                ended = &mut work => {
                    return match (first_error, ended) {
                        (Some(error), _) => Err(error),
                        (None, ended) => Ok(ended?),
                    };
                }
                gone = &mut self.parent, if has_parent => {
                    has_parent = false;
                    if gone.is_ok() {
                        log::warn!("the process that started this one is gone; no target starts any more");
                        ladder.drain(self.drain_timeout, Moment::now());
                    }
                }
                told = &mut self.watch, if watching => {
                    watching = false;
                    match told {
                        Ok(Ok(())) => {
                            log::info!("the run is closed");
                            ladder.leave(Moment::now());
                        }
                        Ok(Err(error)) => {
                            first_error = Some(error.into());
                            ladder.drain(self.drain_timeout, Moment::now());
                        }
                        Err(error) => {
                            first_error = Some(run::Error::Broken(error).into());
                            ladder.drain(self.drain_timeout, Moment::now());
                        }
                    }
                }
                () = at(self.deadline) => {
                    log::warn!("the deadline of the run is over; what still runs is rolled back");
                    self.deadline = None;
                    ladder.roll_back(Moment::now());
                }
                () = ladder.due() => {}
            }
        }
    }
}

async fn at(moment: Option<Moment>) {
    match moment {
        Some(moment) => clock::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn job(storage: &dyn Storage, place: &Place) -> Result<JobSpec, ServeError> {
    let object = storage.get(&place.paths().job()).await?;
    let object = object.ok_or_else(|| no_run(storage, place))?;
    let job = JobSpec::read(&object.bytes)?;
    if job.run_id != place.run_id {
        return Err(ServeError::OtherRun {
            run_id: place.run_id,
            found: job.run_id,
        });
    }
    Ok(job)
}

fn no_run(storage: &dyn Storage, place: &Place) -> ServeError {
    ServeError::NoRun {
        place: storage.to_string(),
        run_id: place.run_id,
    }
}

/// The most targets at once: no number of sessions makes it more.
fn slots(job: &JobSpec) -> usize {
    let concurrency = job.concurrency;
    let most = match concurrency.kind {
        ConcurrencyType::Count => concurrency.limit.min(concurrency.max_slots),
        _ => concurrency.max_slots,
    };
    most.max(1)
}

fn queue(place: &Place, job: &JobSpec) -> Result<Arc<LocalQueue>, ServeError> {
    let options = Options {
        sessions: job.limits.sessions.max(1),
        ..Options::new(job.platform, job.concurrency)
    };
    Ok(Arc::new(LocalQueue::open(&place.queue(), options)?))
}

async fn worker(
    place: &Place,
    name: String,
    job: JobSpec,
    mut secrets: Secrets,
    storage: Arc<dyn Storage>,
) -> Result<Worker, ServeError> {
    let paths = place.paths();
    let package = package(&*storage, place, &job).await?;
    let engine = engine::connect(
        job.platform,
        &job.connection,
        secrets.take_password(),
        job.build.ledger_schema.clone(),
    )?;
    let lines = ResultLines::new(
        Arc::clone(&storage),
        &paths,
        &name,
        LinesSettings::default(),
    );
    Ok(Worker {
        prepared: Arc::new(Prepared::new(&package, &job)?),
        engine,
        // The control document says more.
        new_run: true,
        audit: audit::Run::of(&job, identity::user()),
        events: Arc::new(LocalEvents::new(storage, &paths, &name)),
        results: Some(Results::Storage(lines)),
        logs: Some(logs(place, &paths)),
        name,
        job,
    })
}

/// The logs of databases are written in place, because the storage is a folder of this machine.
fn logs(place: &Place, paths: &RunPaths) -> PathBuf {
    place.container().join(paths.logs())
}

async fn package(
    storage: &dyn Storage,
    place: &Place,
    job: &JobSpec,
) -> Result<Package, ServeError> {
    let file = |source| ServeError::File {
        what: "a temporary folder",
        source,
    };
    let folder = tempfile::tempdir().map_err(file)?;
    let path = folder.path().join("package.sbm");
    let copied = storage.get_file(&place.paths().package(), &path).await?;
    copied.ok_or_else(|| no_run(storage, place))?;
    let mut package = Package::open(&path, &ANY_SIZE)?;
    package.name.clone_from(&job.package.name);
    let found = package.sha256();
    if found != job.package.sha256 {
        return Err(ServeError::OtherPackage {
            found,
            named: job.package.sha256.clone(),
        });
    }
    Ok(package)
}
