//! The files of a run: what it was asked, before it begins; what came of it, at its end.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use crate::{
    Error,
    monitor::Verdict,
    package::Package,
    plan::Plan,
    protocol::JobSpec,
    report::{self, Report},
    settings::{Resume, RunSettings},
    worker::RunLock,
};

const JOB: &str = "job.json";

/// The folder of one run below the root.
fn folder(root: &Path, run_id: Uuid) -> PathBuf {
    root.join("runs").join(run_id.to_string())
}

/// The id of the run that is to go on; none for a new one. A run goes on only with the package that it began with.
pub(super) fn resumed(settings: &RunSettings, package: &Package) -> Result<Option<Uuid>, Error> {
    let root = &settings.root_logging_path;
    let path = match settings.resume {
        Resume::No => return Ok(None),
        Resume::Last => root.join(JOB),
        Resume::Run(id) => folder(root, id).join(JOB),
    };
    let job = match read_job(&path) {
        Ok(job) => job,
        // The ledgers know the run, wherever its files are.
        Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return match settings.resume {
                Resume::Run(id) if has_runs(root) => Err(Error::input(format!(
                    "--resume: {} holds runs, but not {id}; name one of them, or another --rootloggingpath",
                    root.display()
                ))),
                Resume::Run(id) => Ok(Some(id)),
                _ => Err(Error::input(format!(
                    "--resume: {} holds no run; name the run, or the --rootloggingpath that it had",
                    root.display()
                ))),
            };
        }
        Err(error) => return Err(error),
    };
    check_same(&job, settings, package)?;
    Ok(Some(job.run_id))
}

/// Refuses to go on with the run of `job` by what is given, unless it is the same build.
pub(super) fn check_same(
    job: &JobSpec,
    settings: &RunSettings,
    package: &Package,
) -> Result<(), Error> {
    let mut faults = Vec::new();
    if job.package.sha256 != package.sha256() {
        faults.push(format!(
            "--resume: run {} began with another package ({}, SHA-256 {}); the given one has SHA-256 {}",
            job.run_id,
            job.package.name,
            job.package.sha256,
            package.sha256()
        ));
    }
    let schemas = [&job.build.ledger_schema, &settings.build.ledger_schema];
    if schemas[0] != schemas[1] {
        let [began, given] = schemas.map(|schema| schema.as_deref().unwrap_or("none"));
        faults.push(format!(
            "--resume: run {} keeps its ledger by --ledgerschema {began}; given is {given}",
            job.run_id
        ));
    }
    if job.build.transactional != settings.build.transactional {
        faults.push(format!(
            "--resume: run {} began with --transactional {}; given is {}",
            job.run_id, job.build.transactional, settings.build.transactional
        ));
    }
    if job.platform != settings.platform {
        faults.push(format!(
            "--resume: run {} is for {}, not for {}",
            job.run_id, job.platform, settings.platform
        ));
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Error::input(faults.join("\n")))
    }
}

/// Whether the folder knows any run.
fn has_runs(root: &Path) -> bool {
    fs::read_dir(root.join("runs")).is_ok_and(|mut runs| runs.next().is_some())
}

fn read_job(path: &Path) -> Result<JobSpec, Error> {
    let bytes = fs::read(path).map_err(|error| Error::file(path, error))?;
    let job: JobSpec = serde_json::from_slice(&bytes)
        .map_err(|error| Error::input(format!("{} is no job of sbm: {error}", path.display())))?;
    if job.version != JobSpec::VERSION {
        return Err(Error::input(format!(
            "{} has version {}; this program reads version {}",
            path.display(),
            job.version,
            JobSpec::VERSION
        )));
    }
    Ok(job)
}

/// Writes package, plan and job: all that a worker needs to go on with the run. Returns the folder of the run, which is
/// this process's as long as the lock is held.
pub(super) fn begin(
    root: &Path,
    job: &JobSpec,
    package: &Package,
    plan: &Plan,
) -> Result<(PathBuf, RunLock), Error> {
    let folder = folder(root, job.run_id);
    fs::create_dir_all(&folder).map_err(|error| Error::file(&folder, error))?;
    let lock = RunLock::try_take(&folder).map_err(|error| Error::file(&folder, error))?;
    let lock = lock.ok_or_else(|| {
        Error::input(format!(
            "another process works for run {}; wait for its end",
            job.run_id
        ))
    })?;
    let bytes = serde_json::to_vec_pretty(job).map_err(Error::service)?;
    package
        .write_sbm(&folder.join("package.sbm"))
        .map_err(Error::service)?;
    write(&folder.join("plan.json"), &plan.to_json())?;
    write(&folder.join(JOB), &bytes)?;
    write(&root.join(JOB), &bytes)?;
    Ok((folder, lock))
}

/// Writes the outcome twice: into the folder of the run, and into the root, which shows the last run.
pub(super) fn end(
    root: &Path,
    folder: &Path,
    verdict: &Verdict,
    report: &Report,
) -> Result<(), Error> {
    for place in [folder, root] {
        report::write_all(place, verdict, report).map_err(|error| Error::file(place, error))?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    report::write_whole(path, bytes).map_err(|error| Error::file(path, error))
}
