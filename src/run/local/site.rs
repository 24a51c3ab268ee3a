//! Where a job of this machine has its parts.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::SecretString;

use crate::{
    Error,
    backend::{Local, LocalOptions, Replacement},
    conductor::Site,
    engine::{self, Engine},
    events::LocalEventReader,
    protocol::{JobSpec, MadeObject, RunPaths},
    queue::{LocalQueue, Options},
    report::shell_word,
    settings::{LocalJobSettings, RunSettings},
    storage::{LocalFolder, Storage},
};

/// A job in the folder of all jobs.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) store: PathBuf,
    pub(super) job: String,
}

impl Place {
    /// The place of a job; one without a name gets one that nobody has.
    pub(super) fn new(store: PathBuf, job: Option<String>) -> Self {
        let job = job.unwrap_or_else(|| {
            let now = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
            format!("local-{now}-{:06x}", fastrand::u32(..0x0100_0000))
        });
        Self { store, job }
    }

    /// The folder of the job.
    pub(super) fn container(&self) -> PathBuf {
        self.store.join(&self.job)
    }

    pub(super) fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(LocalFolder::new(&self.container()))
    }

    fn queue(&self) -> PathBuf {
        let file = format!("{}.queue", self.job);
        self.store.join("queues").join(file)
    }

    /// The folders in which jobs and queues are made.
    pub(super) fn make_folders(&self) -> Result<(), Error> {
        let folder = self.store.join("queues");
        fs::create_dir_all(&folder).map_err(|error| Error::file(&folder, error))
    }

    /// Removes the folder of a job of which nothing is left; one that holds something stays.
    pub(super) fn remove_if_empty(&self) {
        let folder = self.container();
        let is_ours = |name: &str| name == ".sbm-store" || name == "runs";
        let Ok(entries) = fs::read_dir(&folder) else {
            return;
        };
        let mut names = entries.flatten().map(|entry| entry.file_name());
        if names.all(|name| name.to_str().is_some_and(is_ours))
            && fs::read_dir(folder.join("runs")).is_ok_and(|mut runs| runs.next().is_none())
            && let Err(error) = fs::remove_dir_all(&folder)
        {
            log::warn!("{} is empty and stays: {error}", folder.display());
        }
    }

    /// The job in words for its user.
    pub(super) fn describe(&self, job: &JobSpec) -> String {
        format!("job {}, run {}", self.job, job.run_id)
    }

    /// A command for the same job.
    pub(super) fn command(&self, step: &str) -> String {
        let store = shell_word(&self.store.display().to_string());
        format!("sbm local {step} --jobname {} --store {store}", self.job)
    }

    /// Everything that the run is conducted with.
    pub(super) fn site(
        &self,
        job: &JobSpec,
        opening: u32,
        workers: Workers,
    ) -> Result<Site, Error> {
        let paths = RunPaths::new(job.run_id);
        let storage = self.storage();
        let options = Options {
            sessions: job.limits.sessions,
            lock: job.limits.message_lock,
            ..Options::new(job.platform, job.concurrency)
        };
        let queue = LocalQueue::open(&self.queue(), options).map_err(Error::service)?;
        let queue = Arc::new(queue);
        let program = env::current_exe().map_err(|error| Error::file(Path::new("sbm"), error))?;
        let can_deploy = workers.complete;
        let backend = Local::new(LocalOptions {
            program,
            arguments: ["local", "worker"].map(str::to_owned).to_vec(),
            store: absolute(&self.store)?,
            job: self.job.clone(),
            run_id: job.run_id,
            opening,
            secrets: workers.secrets,
            detached: workers.detached,
            queue: Arc::clone(&queue),
            replacement: Replacement::default(),
            grace: LocalOptions::GRACE,
        });
        Ok(Site {
            job_name: self.job.clone(),
            events: Arc::new(LocalEventReader::new(Arc::clone(&storage), job.run_id)),
            storage,
            queue_object: MadeObject {
                kind: "queue".to_owned(),
                name: self.queue().display().to_string(),
            },
            queue,
            backend: Arc::new(backend),
            can_deploy,
            engine: None,
            paths,
        })
    }

    /// What a probe asks by; none where the job has none.
    pub(super) fn engine(
        &self,
        settings: &LocalJobSettings,
        job: &JobSpec,
    ) -> Result<Option<Arc<dyn Engine>>, Error> {
        if job.conduct.probe.is_none() {
            return Ok(None);
        }
        let engine = engine::connect(
            job.platform,
            &job.connection,
            secret(settings, job).cloned(),
            job.build.ledger_schema.clone(),
        );
        engine.map(Some).map_err(Error::engine)
    }
}

/// Workers may be started from another folder some day.
fn absolute(folder: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(folder).map_err(|error| Error::file(folder, error))
}

/// What workers are given.
#[derive(Debug, Default)]
pub(super) struct Workers {
    secrets: Vec<(String, SecretString)>,
    complete: bool,
    detached: bool,
}

impl Workers {
    /// None is started.
    pub(super) fn none() -> Self {
        Self::default()
    }

    pub(super) fn for_run(run: &RunSettings) -> Self {
        let secret = run.password.clone();
        Self {
            secrets: secret.map(named).into_iter().collect(),
            complete: true,
            detached: false,
        }
    }

    /// What a job that is there needs, as far as it was given.
    pub(super) fn given(settings: &LocalJobSettings, job: &JobSpec) -> Self {
        let secret = secret(settings, job);
        Self {
            complete: job.secrets.is_empty() || secret.is_some(),
            secrets: secret.cloned().map(named).into_iter().collect(),
            detached: false,
        }
    }

    /// The same; all of it must be given.
    pub(super) fn of(settings: &LocalJobSettings, job: &JobSpec) -> Result<Self, Error> {
        let given = Self::given(settings, job);
        if given.complete {
            Ok(given)
        } else {
            Err(Error::input(format!(
                "--password: needed, because the workers of job {} log in with one; SBM_PASSWORD gives it, too",
                settings.job_name
            )))
        }
    }

    /// They outlive this process.
    pub(super) fn detached(self) -> Self {
        Self {
            detached: true,
            ..self
        }
    }
}

fn named(secret: SecretString) -> (String, SecretString) {
    (JobSpec::PASSWORD.to_owned(), secret)
}

/// A login with a name has a password; one without has a token.
fn secret<'a>(settings: &'a LocalJobSettings, job: &JobSpec) -> Option<&'a SecretString> {
    if job.secrets.is_empty() {
        return None;
    }
    match &settings.password {
        None if job.connection.user.is_none() => settings.access_token.as_ref(),
        password => password.as_ref(),
    }
}
