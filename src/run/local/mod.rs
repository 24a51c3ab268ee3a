//! A run by several worker processes of this machine, as a whole and step by step.
//!
//! `job` makes a run of what a user wants, `site` knows where a job of this machine has its parts, and `outcome` tells what became of
//! a run.

mod job;
mod outcome;
mod site;

use super::inputs;
use crate::{
    Error, ExitCode,
    conductor::{self, Keeper, Opening, Standing, Watched},
    protocol::JobSpec,
    report::{self, Command, Report, Reporter},
    settings::{LocalJobSettings, LocalRunSettings},
    worker::Signals,
};
use job::Prepared;
use outcome::Outcome;
use site::{Place, Workers};

/// All steps of a run. `command` is what a user types to do it again.
pub async fn run(settings: LocalRunSettings, command: Command) -> Result<ExitCode, Error> {
    let mut reporter = report::reporter(settings.run.output);
    if settings.monitor {
        return Ok(execute(settings, command, &mut *reporter).await?.ended);
    }
    let mut run = Begun::open(&settings, &mut *reporter).await?;
    run.start(true).await?;
    run.keeper.release().await;
    super::say(&format!(
        "{}; its workers end by themselves when nothing is left to do\nwatch it:  {}\nremove it: {}\n",
        run.place.describe(&run.job),
        run.place.command("monitor"),
        run.place.command("cleanup")
    ))
}

/// All steps of a run that is watched to its end; the report has been shown.
pub(super) async fn execute(
    settings: LocalRunSettings,
    mut command: Command,
    reporter: &mut dyn Reporter,
) -> Result<Report, Error> {
    let mut run = Begun::open(&settings, reporter).await?;
    if settings.job_name.is_some() {
        command.anew = "--force".to_owned();
    } else {
        command.again = format!("--jobname {}", run.place.job);
    }
    run.start(false).await?;
    let Begun {
        place,
        job,
        keeper,
        site,
        mut signals,
        targets,
        opening,
    } = run;
    let watched = conductor::watch(
        &site,
        Some(keeper),
        (opening, job.clone(), targets),
        &mut signals,
        reporter,
    );
    let outcome = Outcome {
        place: &place,
        job,
        command: Some(command),
    };
    match watched.await.map_err(fault)? {
        Watched::Ended(ended) => outcome.tell(*ended, reporter).await,
        // Another process has taken the run over; this one was told to end.
        Watched::Left(_) => Err(Error::Cancelled),
    }
}

/// Writes package, plan and job into the store.
pub async fn prep(settings: LocalRunSettings) -> Result<ExitCode, Error> {
    let mut reporter = report::reporter(settings.run.output);
    let run = Begun::open(&settings, &mut *reporter).await?;
    run.keeper.release().await;
    super::say(&format!(
        "{}\nnext: {}\n",
        run.place.describe(&run.job),
        run.place.command("enqueue")
    ))
}

/// Puts the targets of the job into its queue.
pub async fn enqueue(settings: LocalJobSettings) -> Result<ExitCode, Error> {
    let (place, standing) = known(&settings).await?;
    let site = place.site(&standing.job, standing.control.opening, Workers::none())?;
    let plan = standing.plan(&*site.storage).await.map_err(fault)?;
    let keeper = conductor::take(&site, &standing).await.map_err(fault)?;
    let targets = plan.into_targets();
    let sent = conductor::enqueue(&site, &keeper, &targets).await;
    let waves = keeper.waves().await;
    keeper.release().await;
    let first = waves.first().map_or(0, |wave| wave.targets);
    let what = match (sent.map_err(fault)?, waves.len()) {
        (false, _) => "was enqueued before".to_owned(),
        (true, 1) => format!("{first} targets are enqueued"),
        (true, waves) => {
            format!(
                "the first of {waves} waves is enqueued, {first} targets; `monitor` enqueues the others"
            )
        }
    };
    super::say(&format!(
        "{}: {what}\nnext: {}\n",
        place.describe(&standing.job),
        place.command("deploy")
    ))
}

/// Starts the workers of the job.
pub async fn deploy(settings: LocalJobSettings) -> Result<ExitCode, Error> {
    let (place, standing) = known(&settings).await?;
    let workers = Workers::of(&settings, &standing.job)?.detached();
    let site = place.site(&standing.job, standing.control.opening, workers)?;
    if !standing.is_open() {
        return Err(fault(standing.in_use(&place.job)));
    }
    let count = settings.workers.unwrap_or(standing.job.conduct.workers);
    let faults = site.backend.preflight(count).await;
    refuse(faults.map_err(Error::service)?)?;
    conductor::deploy(&site, count).await.map_err(fault)?;
    super::say(&format!(
        "{}: there are {count} workers, which end with the run\nnext: {}\n",
        place.describe(&standing.job),
        place.command("monitor")
    ))
}

/// Follows the run of the job to its end, and conducts it when nobody else does.
pub async fn monitor(settings: LocalJobSettings) -> Result<ExitCode, Error> {
    let mut reporter = report::reporter(settings.output);
    let (place, standing) = known(&settings).await?;
    let workers = Workers::given(&settings, &standing.job);
    let mut site = place.site(&standing.job, standing.control.opening, workers)?;
    let mut job = standing.job.clone();
    if let Some(drain_timeout) = settings.drain_timeout {
        // Workers keep the job's, so a longer one would be no promise.
        job.limits.drain_timeout = drain_timeout.min(job.limits.drain_timeout);
    }
    site.engine = place.engine(&settings, &job)?;
    let targets = standing.targets(&*site.storage).await.map_err(fault)?;
    let mut signals = Signals::new().map_err(Error::service)?;
    let keeper = conductor::take_if_free(&site, &standing)
        .await
        .map_err(fault)?;
    if keeper.is_none() {
        reporter.message(&format!(
            "run {} is conducted by {}; this process only watches",
            job.run_id, standing.control.conductor
        ));
    }
    let run = (standing.control.opening, job.clone(), targets);
    let watched = conductor::watch(&site, keeper, run, &mut signals, &mut *reporter);
    let outcome = Outcome {
        place: &place,
        job,
        command: None,
    };
    match watched.await.map_err(fault)? {
        Watched::Ended(ended) => Ok(outcome.tell(*ended, &mut *reporter).await?.ended),
        Watched::Left(signal) => {
            reporter.message(&format!(
                "{signal}: nobody watches from here; the run goes on"
            ));
            Ok(ExitCode::Cancelled)
        }
    }
}

/// Takes out of the queue what no worker has begun.
pub async fn dequeue(settings: LocalJobSettings) -> Result<ExitCode, Error> {
    let (place, standing) = known(&settings).await?;
    let site = place.site(&standing.job, standing.control.opening, Workers::none())?;
    let taken = conductor::dequeue(&site, &standing).await.map_err(fault)?;
    super::say(&format!(
        "{}: {taken} targets are taken out of the queue; what runs may end\n",
        place.describe(&standing.job)
    ))
}

/// Removes what the job has made.
pub async fn cleanup(settings: LocalJobSettings) -> Result<ExitCode, Error> {
    let (place, standing) = known(&settings).await?;
    let site = place.site(&standing.job, standing.control.opening, Workers::none())?;
    let done = conductor::clean_up(&site, settings.delete_logs).await;
    let done = done.map_err(fault)?;
    if !done.left_over.is_empty() {
        super::say(&format!(
            "not removed: {}\n",
            done.left_over.join("\nnot removed: ")
        ))?;
        return Ok(ExitCode::LeftOver);
    }
    let kept = match done.deleted {
        Some(count) => {
            place.remove_if_empty();
            format!("{count} files of the run are deleted")
        }
        None => format!(
            "results and logs are kept in {}",
            place.container().display()
        ),
    };
    super::say(&format!(
        "{}: no worker and no queue is left; {kept}\n",
        place.describe(&standing.job)
    ))
}

/// A run that this process has opened and conducts.
struct Begun {
    place: Place,
    job: JobSpec,
    keeper: Keeper,
    site: conductor::Site,
    signals: Signals,
    targets: Vec<(crate::protocol::TargetKey, crate::protocol::Target)>,
    opening: u32,
}

impl Begun {
    /// Reads everything, refuses what cannot be, and writes the run into the store.
    async fn open(settings: &LocalRunSettings, reporter: &mut dyn Reporter) -> Result<Self, Error> {
        let inputs = inputs::read(&settings.run).await?;
        let place = Place::new(settings.store.clone(), settings.job_name.clone());
        let storage = place.storage();
        let standing = Standing::read(&*storage).await.map_err(fault)?;
        let before = job::before(settings, &place, standing, &inputs.package)?;
        let prepared = Prepared::new(settings, &place, inputs, before.as_ref())?;
        let opening = prepared.opening(before.as_ref());
        let mut workers = Workers::for_run(&settings.run);
        if !settings.monitor {
            workers = workers.detached();
        }
        let mut site = place.site(&prepared.job, opening, workers)?;
        site.engine = Some(prepared.engine(&settings.run)?);
        let faults = site.backend.preflight(settings.workers).await;
        refuse(faults.map_err(Error::service)?)?;
        for line in &prepared.messages {
            reporter.message(line);
        }
        let signals = Signals::new().map_err(Error::service)?;
        place.make_folders()?;
        let package = prepared.write_package()?;
        let new = Opening {
            job: &prepared.job,
            plan: &prepared.plan,
            package: package.path(),
        };
        let keeper = conductor::open(&site, new, before.as_ref()).await;
        Ok(Self {
            keeper: keeper.map_err(fault)?,
            job: prepared.job,
            targets: prepared.plan.into_targets(),
            place,
            site,
            signals,
            opening,
        })
    }

    /// Sends the first wave and starts workers; without them nothing is left.
    async fn start(&mut self, detached: bool) -> Result<(), Error> {
        let sent = conductor::enqueue(&self.site, &self.keeper, &self.targets).await;
        let started = match sent {
            Ok(_) => conductor::deploy(&self.site, self.job.conduct.workers).await,
            Err(error) => Err(error),
        };
        let Err(error) = started else {
            log::info!(
                "run {} has its workers, detached: {detached}",
                self.job.run_id
            );
            return Ok(());
        };
        let left = conductor::give_up(&self.site, &self.keeper, &error.to_string()).await;
        for left in left {
            log::error!("not removed: {left}");
        }
        Err(fault(error))
    }
}

/// A job that is there already.
async fn known(settings: &LocalJobSettings) -> Result<(Place, Standing), Error> {
    let place = Place::new(settings.store.clone(), Some(settings.job_name.clone()));
    let storage = place.storage();
    let standing = Standing::of(&*storage, &place.job).await.map_err(fault)?;
    Ok((place, standing))
}

fn refuse(faults: Vec<String>) -> Result<(), Error> {
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Error::input(faults.join("\n")))
    }
}

/// What a user can mend by another option is bad input.
fn fault(error: conductor::Error) -> Error {
    use conductor::Error as Fault;
    match error {
        Fault::InUse { .. }
        | Fault::NoRun { .. }
        | Fault::Outrun { .. }
        | Fault::Conducted { .. } => Error::input(error.to_string()),
        error => Error::service(error),
    }
}
