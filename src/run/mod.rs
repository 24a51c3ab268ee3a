//! A run on this machine, one line per stage.

mod demo;
mod drive;
mod inputs;
mod record;

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::Timestamp;

pub use demo::demo;

use crate::{
    Error, ExitCode, engine,
    engine::audit,
    events,
    monitor::Monitor,
    plan::Plan,
    protocol::{JobSpec, PackageRef, Target, TargetKey},
    queue::{InProcess, Queue},
    report::{self, Command, Report, Run},
    settings::RunSettings,
    worker::{Results, Shutdown, Worker, identity, prepare::Prepared},
};

/// Added to the time-outs of the package for the time to wait for a locked database.
const LOCK_WAIT_EXTRA: Duration = Duration::from_secs(300);

/// A lock is waited for this long at most, whatever a package's time-outs add up to.
const LOCK_WAIT_MOST: Duration = Duration::from_secs(24 * 3600);

/// Builds every target from this process, and tells what became of each. `command` is what a user types to do it again.
pub async fn threaded(settings: RunSettings, command: Command) -> Result<ExitCode, Error> {
    Ok(run(settings, command, Vec::new()).await?.ended)
}

/// The whole run; the report has been shown. `remarks` are told before it begins.
async fn run(
    settings: RunSettings,
    command: Command,
    remarks: Vec<String>,
) -> Result<Report, Error> {
    let started = Timestamp::now();
    let inputs = inputs::read(&settings)?;
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
    let folder = record::begin(&settings.root_logging_path, &job, &inputs.package, &plan)?;
    let targets: Vec<(TargetKey, Target)> = plan.into_targets();

    let mut reporter = report::reporter(settings.output);
    for line in remarks.iter().chain(&inputs.warnings) {
        reporter.message(line);
    }
    let (publisher, subscription) = events::InProcess::new();
    let worker = Arc::new(Worker {
        new_run: resumed.is_none(),
        name: identity::worker(),
        audit: audit::Run::of(&job, identity::user()),
        events: Arc::new(publisher),
        results: Some(
            Results::open(&folder.join("results"), &identity::worker())
                .map_err(|error| Error::file(&folder, error))?,
        ),
        logs: Some(folder.join("databases")),
        prepared: Arc::new(prepared),
        engine,
        job: job.clone(),
    });
    let queue = InProcess::new(job.platform, job.concurrency);
    queue
        .send_all(targets.iter().map(|(_, target)| target.clone()).collect())
        .await
        .map_err(Error::service)?;
    let drive = drive::Drive {
        worker,
        queue: &queue,
        shutdown: Shutdown::new(),
        monitor: Monitor::new(job.run_id, targets),
        events: subscription,
        reporter: &mut *reporter,
        budget: settings.max_failures,
        drain_timeout: settings.drain_timeout,
        touched: HashSet::new(),
    };
    let ended = drive.run().await;

    let run = Run {
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
        command: Some(command),
    };
    let report = Report::new(run, &ended.verdict);
    record::end(
        &settings.root_logging_path,
        &folder,
        &ended.verdict,
        &report,
    )?;
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
