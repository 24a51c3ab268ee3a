//! The settings of a run: what `threaded run` and `build` have in common once everything is understood.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

use super::{
    Answers, BuildArguments, ConcurrencyArguments, Environment, Faults, PackageSource, Resume,
    RunArguments, TargetSource, UnavailableArguments, build_options, limits, login, package_source,
    reader::Reader, resume, target_source, vault,
};
use crate::{
    package::Limits,
    protocol::{BuildOptions, Concurrency, ConcurrencyType, Connection, FailureBudget, Platform},
    report::Output,
};

/// Everything that a run on this machine needs to know.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Where the scripts come from.
    pub package: PackageSource,
    /// How large the package may be.
    pub limits: Limits,
    /// Which databases are built.
    pub targets: TargetSource,
    /// Whether exact repeats in the target list are dropped; they are an error otherwise.
    pub allow_duplicates: bool,
    /// Where the targets live.
    pub platform: Platform,
    /// How to log in.
    pub connection: Connection,
    /// The password; none where the server asks for none.
    pub password: Option<SecretString>,
    /// How each target is built. Its `lock_wait` counts only when [`RunSettings::lock_wait`] is set, and its
    /// `description` is empty when the user gave none, for both depend on package and run.
    pub build: BuildOptions,
    /// How long to wait for a database that another build holds; none for a time that fits the package.
    pub lock_wait: Option<Duration>,
    /// How many targets at once.
    pub concurrency: Concurrency,
    /// How many failures end the run; none for any number.
    pub max_failures: Option<FailureBudget>,
    /// How long running builds may go on after the run was cancelled.
    pub drain_timeout: Duration,
    /// Whether the run is a new one.
    pub resume: Resume,
    /// Where logs and results are written. It need not exist.
    pub root_logging_path: PathBuf,
    /// What goes to standard output.
    pub output: Output,
}

impl RunSettings {
    /// The settings of `threaded run`.
    pub fn threaded(typed: &RunArguments, environment: Environment<'_>) -> Result<Self, Faults> {
        Self::threaded_with(typed, environment, &Answers::default())
    }

    /// The same, with what a place that keeps secrets has answered: it counts where no other source gives anything.
    pub fn threaded_with(
        typed: &RunArguments,
        environment: Environment<'_>,
        answers: &Answers,
    ) -> Result<Self, Faults> {
        read(typed, environment, answers, |reader| {
            target_source::read_list(reader, &typed.targets)
        })
    }

    /// The settings of `build`.
    pub fn build(typed: &BuildArguments, environment: Environment<'_>) -> Result<Self, Faults> {
        Self::build_with(typed, environment, &Answers::default())
    }

    /// The same, with what a place that keeps secrets has answered: it counts where no other source gives anything.
    pub fn build_with(
        typed: &BuildArguments,
        environment: Environment<'_>,
        answers: &Answers,
    ) -> Result<Self, Faults> {
        read(&typed.run, environment, answers, |reader| {
            build_targets(reader, typed)
        })
    }
}

fn build_targets(reader: &mut Reader<'_>, typed: &BuildArguments) -> TargetSource {
    target_source::read_any(reader, &typed.run.targets)
}

/// Reads the options of `build` for the record of where values come from.
pub(super) fn survey(reader: &mut Reader<'_>, typed: &BuildArguments) -> Output {
    reader.open_file(&typed.run.file);
    if let Some(vault) = vault::name(reader, typed.run.file.keyvaultname.as_deref()) {
        log::warn!(
            "key vault {vault} is not asked here; a build asks it for secrets that nothing else gives"
        );
    }
    settings(
        reader,
        &typed.run,
        |reader| build_targets(reader, typed),
        |reader| logs(reader, &typed.run),
    )
    .output
}

/// Reads everything before it tells a single fault.
fn read(
    typed: &RunArguments,
    environment: Environment<'_>,
    answers: &Answers,
    targets: impl FnOnce(&mut Reader<'_>) -> TargetSource,
) -> Result<RunSettings, Faults> {
    let mut reader = Reader::new(environment);
    reader.open_file(&typed.file);
    reader.use_answers(answers);
    let settings = settings(&mut reader, typed, targets, |reader| logs(reader, typed));
    reader.finish()?;
    Ok(settings)
}

fn logs(reader: &mut Reader<'_>, typed: &RunArguments) -> PathBuf {
    root_logging_path(reader, typed.run.rootloggingpath.as_deref())
}

/// Faults come in the order of the help, because the fields are read in that order. What commands differ in is read by
/// `targets` and `logs`.
pub(super) fn settings(
    reader: &mut Reader<'_>,
    typed: &RunArguments,
    targets: impl FnOnce(&mut Reader<'_>) -> TargetSource,
    logs: impl FnOnce(&mut Reader<'_>) -> PathBuf,
) -> RunSettings {
    let package = package_source::read(reader, &typed.package);
    let limits = limits::read(reader, &typed.limits);
    let targets = targets(reader);
    let platform = reader.platform(typed.targets.platform.as_deref());
    let allow_duplicates = allow_duplicates(reader, typed);
    let (connection, password) = login::read(reader, &typed.login, platform);
    let (build, lock_wait) = build_options::read(reader, &typed.build, platform);
    let concurrency = concurrency(reader, &typed.concurrency);
    let max_failures = max_failures(reader, typed.run.maxfailures.as_deref());
    let drain_timeout = drain_timeout(reader, typed.run.draintimeout.as_deref());
    let (resume, again) = resume::read(reader, &typed.run);
    let root_logging_path = logs(reader);
    let output = output(reader, typed.run.output.as_deref());
    refuse_unavailable(reader, &typed.unavailable);
    RunSettings {
        package,
        limits,
        targets,
        allow_duplicates,
        platform,
        connection,
        password,
        build: again.put_into(build),
        lock_wait,
        concurrency,
        max_failures,
        drain_timeout,
        resume,
        root_logging_path,
        output,
    }
}

fn allow_duplicates(reader: &mut Reader<'_>, typed: &RunArguments) -> bool {
    let given = typed.targets.allowduplicates.as_deref();
    reader.flag("--allowduplicates", given, false)
}

pub(super) fn concurrency(reader: &mut Reader<'_>, typed: &ConcurrencyArguments) -> Concurrency {
    let limit = typed.concurrency.as_deref();
    let kind = typed.concurrencytype.as_deref();
    let slots = typed.maxslots.as_deref();
    Concurrency {
        limit: reader.number("--concurrency", limit, 10, 1..=10_000),
        kind: reader.word("--concurrencytype", kind, ConcurrencyType::Count),
        max_slots: reader.number("--maxslots", slots, 32, 1..=10_000),
    }
}

fn max_failures(reader: &mut Reader<'_>, given: Option<&str>) -> Option<FailureBudget> {
    reader.note("--maxfailures", given, "");
    match given?.parse() {
        Ok(failures) => Some(failures),
        Err(_) => {
            let accepted =
                "accepted are a number of databases such as 5, and a percentage from 0% to 100%";
            reader.fault("--maxfailures", given, accepted);
            None
        }
    }
}

fn drain_timeout(reader: &mut Reader<'_>, given: Option<&str>) -> Duration {
    reader.seconds("--draintimeout", given, 60, 0..=86_400)
}

pub(super) fn root_logging_path(reader: &mut Reader<'_>, given: Option<&str>) -> PathBuf {
    let option = "--rootloggingpath";
    let Some(path) = reader.path(option, given) else {
        if !reader.is_refused(option) {
            reader.note(option, None, "logs");
        }
        return PathBuf::from("logs");
    };
    if path.is_file() {
        let problem = "this is a file; accepted is a folder, which need not exist";
        reader.fault(option, path.to_str(), problem);
    }
    path
}

pub(super) fn output(reader: &mut Reader<'_>, given: Option<&str>) -> Output {
    reader.note("--output", given, "text");
    match given.map_or(Ok(Output::default()), str::parse) {
        Ok(format) => format,
        Err(_) => {
            reader.fault("--output", given, "accepted are text and json");
            Output::default()
        }
    }
}

fn refuse_unavailable(reader: &mut Reader<'_>, typed: &UnavailableArguments) {
    let options = [
        ("--platinumdacpac", &typed.platinumdacpac),
        ("--targetdacpac", &typed.targetdacpac),
        ("--forcecustomdacpac", &typed.forcecustomdacpac),
        ("--platinumdbsource", &typed.platinumdbsource),
        ("--platinumserversource", &typed.platinumserversource),
    ];
    for (option, given) in options {
        if given.is_some() {
            let problem = "this version cannot build DACPACs yet; give a package of scripts with --packagename";
            reader.fault(option, given.as_deref(), problem);
        }
    }
}
