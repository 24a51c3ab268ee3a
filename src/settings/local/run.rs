//! The settings of `local run` and `local prep`.

use std::{path::PathBuf, time::Duration};

use super::{LocalRunArguments, place, waves};
use crate::{
    plan::Waves,
    settings::{
        Answers, Environment, Faults, Resume, RunOptionArguments, RunSettings, reader::Reader, run,
        target_source,
    },
};

/// The longest that a run may be given, in seconds: 30 days.
const LONGEST: u64 = 30 * 86_400;

/// Everything that a run by several processes needs to know.
#[derive(Clone, Debug)]
pub struct LocalRunSettings {
    /// What is built, where and how. Its `root_logging_path` is [`LocalRunSettings::store`], and with [`Resume::Last`] the
    /// run that the job holds is meant.
    pub run: RunSettings,
    /// How many processes build.
    pub workers: usize,
    /// The name of the job, in small letters; none for one that is made up. Set when the run is resumed.
    pub job_name: Option<String>,
    /// The folder of all jobs. It need not exist.
    pub store: PathBuf,
    /// Whether a job of this name may be there already, and begins anew.
    pub force: bool,
    /// How many targets come one after the other; none for all at once.
    pub waves: Option<Waves>,
    /// How long is waited after each wave.
    pub soak: Duration,
    /// A query that must find no row in any database of a wave before the next wave begins.
    pub probe: Option<String>,
    /// The run ends when nothing has happened for so long; none for a time that fits the package.
    pub stall_timeout: Option<Duration>,
    /// The run ends after this time, whatever it does.
    pub deadline: Duration,
    /// Whether this process stays until the run has ended.
    pub monitor: bool,
}

impl LocalRunSettings {
    /// What the options mean.
    pub fn new(typed: &LocalRunArguments, environment: Environment<'_>) -> Result<Self, Faults> {
        Self::new_with(typed, environment, &Answers::default())
    }

    /// The same, with what a place that keeps secrets has answered: it counts where no other source gives anything.
    pub fn new_with(
        typed: &LocalRunArguments,
        environment: Environment<'_>,
        answers: &Answers,
    ) -> Result<Self, Faults> {
        let mut reader = Reader::new(environment);
        reader.open_file(&typed.run.file);
        reader.use_answers(answers);
        let settings = read(&mut reader, typed);
        reader.finish()?;
        Ok(settings)
    }
}

/// Faults come in the order of the help, because the fields are read in that order.
fn read(reader: &mut Reader<'_>, typed: &LocalRunArguments) -> LocalRunSettings {
    let store = typed.job.store.as_deref();
    let run = run::settings(
        reader,
        &typed.run,
        |reader| target_source::read_list(reader, &typed.run.targets),
        |reader| logs(reader, &typed.run.run, store),
    );
    let job_name = place::job_name(reader, typed.job.jobname.as_deref());
    let store = run.root_logging_path.clone();
    let force = reader.flag("--force", typed.new.force.as_deref(), false);
    let monitor = reader.flag("--monitor", typed.new.monitor.as_deref(), true);
    let stall_timeout = stall_timeout(reader, typed.new.stalltimeout.as_deref());
    let deadline = typed.new.deadline.as_deref();
    let deadline = reader.seconds("--deadline", deadline, 86_400, 1..=LONGEST);
    let workers = reader.number("--workers", typed.workers.workers.as_deref(), 4, 1..=64);
    let waves = waves::read(reader, &typed.waves, run.platform);
    let settings = LocalRunSettings {
        run,
        workers,
        job_name,
        store,
        force,
        waves: waves.waves,
        soak: waves.soak,
        probe: waves.probe,
        stall_timeout,
        deadline,
        monitor,
    };
    check(reader, typed, &settings);
    settings
}

/// The logs are in the store. A settings file may name another folder for other commands.
fn logs(reader: &mut Reader<'_>, typed: &RunOptionArguments, store: Option<&str>) -> PathBuf {
    if let Some(given) = typed.rootloggingpath.as_deref() {
        let problem = "not used here: logs and results are in the folder of the job, below --store";
        reader.fault("--rootloggingpath", Some(given), problem);
    }
    place::store(reader, store)
}

fn stall_timeout(reader: &mut Reader<'_>, given: Option<&str>) -> Option<Duration> {
    reader.note("--stalltimeout", given, "");
    given?;
    Some(reader.seconds("--stalltimeout", given, 1, 1..=LONGEST))
}

/// What each option says by itself is right, but not together.
fn check(reader: &mut Reader<'_>, typed: &LocalRunArguments, settings: &LocalRunSettings) {
    if settings.run.resume != Resume::No {
        if typed.job.jobname.is_none() {
            let problem = "needed with --resume: the name of the job whose run goes on";
            reader.fault("--jobname", None, problem);
        }
        if settings.force {
            let problem = "not used with --resume: one begins anew, the other goes on; leave one of the two out";
            reader.fault("--force", None, problem);
        }
    }
    if typed.waves.waves.is_some() && !settings.monitor {
        let problem = "not used with --waves: somebody has to see that a wave went well before the next one begins";
        reader.fault("--monitor", Some("false"), problem);
    }
}
