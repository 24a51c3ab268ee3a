//! From what a user wants to a job and its plan.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tempfile::NamedTempFile;

use super::{
    super::{inputs::Inputs, job, lock_wait, record},
    Place, fault,
};
use crate::{
    Error,
    conductor::Standing,
    engine::{self, Engine},
    package::Package,
    plan::Plan,
    protocol::{Conduct, JobSpec},
    settings::{LocalRunSettings, Resume, RunSettings},
    worker::prepare,
};

/// How long nothing may happen, at least, before a run is taken for stalled.
const STALL: Duration = Duration::from_secs(3_600);

/// Added to what the build of one target may take, before a run is taken for stalled.
const STALL_EXTRA: Duration = Duration::from_secs(600);

/// How much later than the run workers end by themselves, so that what became of its targets can be looked into.
const AFTER_DEADLINE: Duration = Duration::from_secs(900);

/// A run that can be opened.
pub(super) struct Prepared {
    pub(super) job: JobSpec,
    pub(super) plan: Plan,
    /// What the user should know before it begins.
    pub(super) messages: Vec<String>,
    package: Package,
}

impl Prepared {
    /// Holds everything against everything; nothing is written.
    pub(super) fn new(
        settings: &LocalRunSettings,
        place: &Place,
        inputs: Inputs,
        before: Option<&Standing>,
    ) -> Result<Self, Error> {
        let run = &settings.run;
        let resumed = before.filter(|_| run.resume != Resume::No);
        let resumed = resumed.map(|before| before.job.run_id);
        let mut job = job(run, &inputs, resumed);
        let prepared = prepare::Prepared::new(&inputs.package, &job).map_err(Error::package)?;
        job.build.lock_wait = run.lock_wait.unwrap_or_else(|| lock_wait(&prepared));
        let one_target = prepared
            .total_timeout()
            .saturating_add(job.build.lock_wait)
            .saturating_add(STALL_EXTRA);
        let workers = settings.workers;
        job.conduct = Conduct {
            workers,
            max_failures: run.max_failures,
            soak: settings.soak,
            probe: settings.probe.clone(),
            deadline: Some(after(job.created, settings.deadline)),
            stall_timeout: settings.stall_timeout.unwrap_or(one_target.max(STALL)),
        };
        let end = settings
            .deadline
            .saturating_add(run.drain_timeout)
            .saturating_add(AFTER_DEADLINE);
        job.limits.hard_deadline = Some(after(job.created, end));
        if run.password.is_some() {
            job.secrets = vec![JobSpec::PASSWORD.to_owned()];
        }
        let mut plan = Plan::new(
            job.package.clone(),
            job.platform,
            inputs.targets,
            job.concurrency,
            workers,
        )
        .map_err(Error::plan)?;
        if let Some(waves) = &settings.waves {
            plan = plan.in_waves(waves);
            check_soak(settings, plan.waves.len())?;
        }
        job.limits.sessions = plan.groups.len().div_ceil(workers.max(1)).max(1);
        let mut messages = vec![place.describe(&job)];
        messages.extend(inputs.warnings);
        messages.extend(prepared.why_not_transactional.clone());
        Ok(Self {
            job,
            plan,
            messages,
            package: inputs.package,
        })
    }

    /// Which opening of its run it is.
    pub(super) fn opening(&self, before: Option<&Standing>) -> u32 {
        match before {
            Some(before) if before.job.run_id == self.job.run_id => {
                before.control.opening.saturating_add(1)
            }
            _ => 1,
        }
    }

    /// The package as a file, which is removed with the handle.
    pub(super) fn write_package(&self) -> Result<NamedTempFile, Error> {
        let file = NamedTempFile::new().map_err(Error::service)?;
        self.package
            .write_sbm(file.path())
            .map_err(Error::service)?;
        Ok(file)
    }

    /// What a probe asks by.
    pub(super) fn engine(&self, run: &RunSettings) -> Result<Arc<dyn Engine>, Error> {
        engine::connect(
            self.job.platform,
            &self.job.connection,
            run.password.clone(),
            self.job.build.ledger_schema.clone(),
        )
        .map_err(Error::engine)
    }
}

/// The run of the job that there is, if it may be gone on with or may make room.
pub(super) fn before(
    settings: &LocalRunSettings,
    place: &Place,
    standing: Option<Standing>,
    package: &Package,
) -> Result<Option<Standing>, Error> {
    let resume = settings.run.resume;
    let Some(standing) = standing else {
        if resume == Resume::No {
            return Ok(None);
        }
        return Err(fault(crate::conductor::Error::NoRun {
            job: place.job.clone(),
            place: place.container().display().to_string(),
        }));
    };
    match resume {
        Resume::No if standing.is_open() || !settings.force => {
            Err(fault(standing.in_use(&place.job)))
        }
        Resume::No => Ok(Some(standing)),
        Resume::Run(id) if id != standing.job.run_id => Err(Error::input(format!(
            "--resume: the run of job {} is {}, not {id}; runs before it cannot go on",
            place.job, standing.job.run_id
        ))),
        Resume::Run(_) | Resume::Last => {
            record::check_same(&standing.job, &settings.run, package)?;
            Ok(Some(standing))
        }
    }
}

/// A run whose waiting alone takes longer than it may would end in the middle.
fn check_soak(settings: &LocalRunSettings, waves: usize) -> Result<(), Error> {
    let pauses = u32::try_from(waves.saturating_sub(1)).unwrap_or(u32::MAX);
    let all = settings.soak.saturating_mul(pauses);
    if all < settings.deadline {
        return Ok(());
    }
    Err(Error::input(format!(
        "--soak `{}`: {pauses} pauses between {waves} waves take {} s, and --deadline ends the run after {} s; accepted is \
         less of the one or more of the other",
        settings.soak.as_secs(),
        all.as_secs(),
        settings.deadline.as_secs()
    )))
}

fn after(time: Timestamp, duration: Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}
