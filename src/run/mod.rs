//! A run on this machine, one line per stage.

mod brake;
mod demo;
mod drive;
mod inputs;
pub mod local;
mod query;
mod record;

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::Timestamp;

pub use demo::demo;
pub use query::query;

use brake::Brake;

use crate::{
    Error, ExitCode, engine,
    engine::audit,
    events,
    monitor::Monitor,
    plan::Plan,
    protocol::{Conduct, JobSpec, PackageRef, Target, TargetKey, WorkerLimits},
    queue::{InProcess, Purpose, Queue},
    report::{self, Command, Report, Reporter, Run},
    settings::RunSettings,
    worker::{Results, Shutdown, Worker, identity, prepare::Prepared},
};

/// Added to the time-outs of the package for the time to wait for a locked database.
const LOCK_WAIT_EXTRA: Duration = Duration::from_secs(300);

/// A lock is waited for this long at most, whatever a package's time-outs add up to.
const LOCK_WAIT_MOST: Duration = Duration::from_secs(24 * 3600);

/// Builds every target from this process, and tells what became of each. `command` is what a user types to do it again.
pub async fn threaded(settings: RunSettings, command: Command) -> Result<ExitCode, Error> {
    let mut reporter = report::reporter(settings.output);
    Ok(run(settings, command, &mut *reporter).await?.ended)
}

/// The whole run; the report has been shown.
async fn run(
    settings: RunSettings,
    command: Command,
    reporter: &mut dyn Reporter,
) -> Result<Report, Error> {
    let started = Timestamp::now();
    let inputs = inputs::read(&settings).await?;
    let resumed = record::resumed(&settings, &inputs.package)?;
    let mut job = job(&settings, &inputs, resumed);
    let prepared = Prepared::new(&inputs.package, &job).map_err(Error::package)?;
    job.build.lock_wait = settings.lock_wait.unwrap_or_else(|| lock_wait(&prepared));
    let plan = plan(&job, inputs.targets)?;
    let engine = engine::connect(
        job.platform,
        &job.connection,
        settings.password.clone(),
        job.build.ledger_schema.clone(),
    )
    .map_err(Error::engine)?;
    let (folder, _lock) = record::begin(&settings.root_logging_path, &job, &inputs.package, &plan)?;
    let targets: Vec<(TargetKey, Target)> = plan.into_targets();

    for line in inputs
        .warnings
        .iter()
        .chain(&prepared.why_not_transactional)
    {
        reporter.message(line);
    }
    let (publisher, subscription) = events::InProcess::new();
    let shutdown = Shutdown::new();
    let brake = Brake::new(
        publisher,
        settings.max_failures,
        targets.len(),
        shutdown.clone(),
    );
    let worker = Arc::new(Worker {
        new_run: resumed.is_none(),
        name: identity::worker(),
        audit: audit::Run::of(&job, identity::user()),
        events: Arc::new(brake),
        results: Some(
            Results::open(&folder.join("results"), &identity::worker())
                .map_err(|error| Error::file(&folder, error))?,
        ),
        logs: Some(folder.join("databases")),
        prepared: Arc::new(prepared),
        engine,
        job: job.clone(),
    });
    let queue: Arc<dyn Queue> = Arc::new(InProcess::new(job.platform, job.concurrency));
    queue
        .send_all(
            targets.iter().map(|(_, target)| target.clone()).collect(),
            Purpose::Build,
        )
        .await
        .map_err(Error::service)?;
    log::info!(
        "run {} builds {} on {} targets",
        job.run_id,
        job.package.name,
        targets.len()
    );
    let drive = drive::Drive {
        worker,
        queue,
        shutdown,
        monitor: Monitor::new(job.run_id, targets),
        events: subscription,
        reporter: &mut *reporter,
        budget: settings.max_failures,
        drain_timeout: settings.drain_timeout,
        touched: HashSet::new(),
    };
    let ended = drive.run().await;

    let mut run = Run {
        run_id: job.run_id,
        package: job.package.clone(),
        platform: job.platform,
        trial: job.build.trial,
        started,
        finished: Timestamp::now(),
        refused: None,
        cancelled: ended.cancelled,
        service_failed: ended.service_failed,
        halted: ended.halted,
        left_over: Vec::new(),
        folder: Some(settings.root_logging_path.clone()),
        database_logs: Some(folder.join("databases")),
        command: Some(command),
    };
    let mut report = Report::new(run.clone(), &ended.verdict);
    let root = &settings.root_logging_path;
    if let Err(error) = record::end(root, &folder, &ended.verdict, &report) {
        // What became of the databases is told even where it cannot be written down.
        let reasons = run.service_failed.into_iter().chain([error.chain()]);
        run.service_failed = Some(reasons.collect::<Vec<_>>().join("; "));
        run.folder = None;
        report = Report::new(run, &ended.verdict);
    }
    reporter
        .finish(&report)
        .or_else(ignore_closed)
        .map_err(Error::Output)?;
    Ok(report)
}

fn job(settings: &RunSettings, inputs: &inputs::Inputs, resumed: Option<uuid::Uuid>) -> JobSpec {
    let package = &inputs.package;
    let mut build = settings.build.clone();
    if build.requested_by.is_empty() {
        build.requested_by = identity::user();
    }
    JobSpec {
        version: JobSpec::VERSION,
        run_id: resumed.unwrap_or_else(uuid::Uuid::new_v4),
        package: PackageRef {
            name: package.name.clone(),
            build_hash: package.build_hash(),
            sha256: package.sha256(),
        },
        platform: settings.platform,
        connection: settings.connection.clone(),
        build,
        concurrency: settings.concurrency,
        limits: WorkerLimits {
            drain_timeout: settings.drain_timeout,
            ..WorkerLimits::default()
        },
        conduct: Conduct::default(),
        secrets: Vec::new(),
        created: Timestamp::now(),
    }
}

/// As long as another build of the same package may take, and some.
fn lock_wait(prepared: &Prepared) -> Duration {
    prepared
        .total_timeout()
        .saturating_add(LOCK_WAIT_EXTRA)
        .min(LOCK_WAIT_MOST)
}

fn plan(job: &JobSpec, targets: Vec<Target>) -> Result<Plan, Error> {
    Plan::new(
        job.package.clone(),
        job.platform,
        targets,
        job.concurrency,
        1,
    )
    .map_err(Error::plan)
}

/// A reader that went away has seen what it wanted.
fn ignore_closed(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        Ok(())
    } else {
        Err(error)
    }
}

/// What a step has done, on standard output.
fn say(text: &str) -> Result<ExitCode, Error> {
    use std::io::Write;
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .or_else(ignore_closed)
        .map_err(Error::Output)?;
    Ok(ExitCode::Succeeded)
}
