//! A worker in a process of its own that goes on with a run by the run's folder.

use std::{
    fs,
    io::{self, BufRead},
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::SecretString;
use serde::Deserialize;

use super::{
    Results, RunLock, Shutdown, Signals, Worker,
    prepare::{PackageFaults, Prepared},
    run,
};
use crate::{
    engine::{self, audit},
    events,
    package::{self, Limits, Package},
    protocol::{JobSpec, Target},
    queue::{self, InProcess, Purpose, Queue},
};

/// Why a worker could not do its work. What became of a database is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the run cannot be read or written.
    #[error("cannot use {}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A document of the run is not what it should be.
    #[error("{} is not what it should be: {why}", path.display())]
    Document {
        /// The document.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The package of the run cannot be read.
    #[error(transparent)]
    Package(#[from] package::Error),
    /// The package cannot be built as the job says.
    #[error(transparent)]
    Faults(#[from] PackageFaults),
    /// The databases cannot be logged in to as the job says.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] queue::Error),
    /// The work was broken off.
    #[error(transparent)]
    Work(#[from] run::Error),
}

/// The run has accepted the package, and its SHA-256 is checked.
const ANY_SIZE: Limits = Limits {
    script_bytes: u64::MAX,
    package_bytes: u64::MAX,
    ratio: u64::MAX,
};

/// The one secret of a worker, as it comes on standard input.
#[derive(Default, Deserialize)]
struct Secrets {
    password: Option<SecretText>,
}

struct SecretText(SecretString);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self(SecretString::from(text)))
    }
}

/// The part of `plan.json` that a worker reads.
#[derive(Deserialize)]
struct Planned {
    targets: Vec<Target>,
}

/// Builds every target of the run in `folder` that this run has not built yet; the ledgers know which those are.
///
/// `secrets` is one line of JSON, `{"password": "…"}`, or nothing. The first signal drains.
pub async fn serve(folder: &Path, secrets: &mut dyn BufRead) -> Result<(), Error> {
    let lock = RunLock::try_take(folder).map_err(|source| Error::File {
        path: folder.to_owned(),
        source,
    })?;
    let Some(_lock) = lock else {
        let why = "another process works for this run".to_owned();
        return Err(Error::Document {
            path: folder.to_owned(),
            why,
        });
    };
    let job: JobSpec = document(&folder.join("job.json"))?;
    check_version(&folder.join("job.json"), job.version)?;
    let plan: Planned = document(&folder.join("plan.json"))?;
    let package = package(folder, &job)?;
    let password = read_secrets(secrets)?.password.map(|text| text.0);
    let engine = engine::connect(
        job.platform,
        &job.connection,
        password,
        job.build.ledger_schema.clone(),
    )?;
    let name = super::identity::worker();
    let results = folder.join("results");
    // Nobody watches; the result lines tell what happened.
    let (events, _) = events::InProcess::new();
    let worker = Worker {
        prepared: Arc::new(Prepared::new(&package, &job)?),
        engine,
        new_run: false,
        audit: audit::Run::of(&job, super::identity::user()),
        events: Arc::new(events),
        results: Some(
            Results::open(&results, &name).map_err(|source| Error::File {
                path: results,
                source,
            })?,
        ),
        logs: Some(folder.join("databases")),
        name,
        job: job.clone(),
    };
    let queue = InProcess::new(job.platform, job.concurrency);
    queue.send_all(plan.targets, Purpose::Build).await?;
    let shutdown = Shutdown::new();
    let mut signals = Signals::new().map_err(|source| Error::File {
        path: "signals".into(),
        source,
    })?;
    let work = run::run(Arc::new(worker), &queue, &shutdown);
    tokio::pin!(work);
    loop {
        tokio::select! {
            ended = &mut work => return Ok(ended?),
            _ = signals.next() => shutdown.drain(),
        }
    }
}

fn package(folder: &Path, job: &JobSpec) -> Result<Package, Error> {
    let path = folder.join("package.sbm");
    let mut package = Package::open(&path, &ANY_SIZE)?;
    package.name.clone_from(&job.package.name);
    let found = package.sha256();
    if found == job.package.sha256 {
        return Ok(package);
    }
    let why = format!(
        "it has SHA-256 {found}, and the job names {}",
        job.package.sha256
    );
    Err(Error::Document { path, why })
}

fn document<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = fs::read(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Document {
        path: path.to_owned(),
        why: error.to_string(),
    })
}

fn check_version(path: &Path, found: u32) -> Result<(), Error> {
    if found == JobSpec::VERSION {
        return Ok(());
    }
    let why = format!(
        "it has version {found}; this program reads version {}",
        JobSpec::VERSION
    );
    Err(Error::Document {
        path: path.to_owned(),
        why,
    })
}

/// What is wrong with secrets is said without showing them.
fn read_secrets(secrets: &mut dyn BufRead) -> Result<Secrets, Error> {
    let path = || PathBuf::from("standard input");
    let mut line = String::new();
    secrets.read_line(&mut line).map_err(|source| Error::File {
        path: path(),
        source,
    })?;
    if line.trim().is_empty() {
        return Ok(Secrets::default());
    }
    serde_json::from_str(&line).map_err(|_| Error::Document {
        path: path(),
        why: "accepted is one line of JSON with the text `password`".into(),
    })
}
