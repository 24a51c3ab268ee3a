//! A run of one SQLite database in a folder, for worker processes of this machine.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rusqlite::Connection;
use sbm::{
    backend::{Backend, Local, LocalOptions, Replacement},
    package::{Limits, Package},
    protocol::{Control, JobSpec, Pair, Platform, ResultLine, RunPaths, State, Target},
    queue::{LocalQueue, Options, Purpose, Queue},
    storage::{Condition, LocalFolder, ResultReader, Storage},
    worker::presence::{Life, Shown},
};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use crate::contract::backend::{CAUSE, Place, SECRET_NAME, not_stuck};

const JOB: &str = "nightly";

/// No test waits until it ends: what a dead worker held stays away, if nobody gives it back.
const LOCK: Duration = Duration::from_secs(3600);

/// The run, and who keeps its database.
pub(crate) struct Run {
    folder: TempDir,
    run_id: Uuid,
    pub(crate) queue: Arc<LocalQueue>,
    storage: Arc<dyn Storage>,
    /// Builds wait for the end of this transaction.
    occupied: Mutex<Option<Connection>>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

impl Run {
    /// A run that is open, of one script.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["scripts", "server", "store", "store/queues"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let scripts = folder.path().join("scripts");
        fs::write(scripts.join("1.sql"), "CREATE TABLE t (id int);").unwrap();
        let package = Package::open(&scripts, &Limits::default()).unwrap();
        let job = job(&package);
        let options = Options {
            lock: LOCK,
            ..Options::new(job.platform, job.concurrency)
        };
        let queue = folder.path().join(format!("store/queues/{JOB}.queue"));
        let run = Self {
            run_id: job.run_id,
            queue: Arc::new(LocalQueue::open(&queue, options).unwrap()),
            storage: Arc::new(LocalFolder::new(&folder.path().join("store").join(JOB))),
            occupied: Mutex::new(Some(occupied(&folder.path().join("server/a")))),
            folder,
        };
        crate::support::postgres::runtime().block_on(run.prepare(&job, &package));
        run
    }

    async fn prepare(&self, job: &JobSpec, package: &Package) {
        self.queue.create().await.unwrap();
        self.storage.create().await.unwrap();
        let paths = self.paths();
        let file = self.folder.path().join("package.sbm");
        package.write_sbm(&file).unwrap();
        self.storage
            .put_file(&paths.package(), &file, Condition::Any)
            .await
            .unwrap();
        for (name, bytes) in [
            (paths.job(), job.to_json()),
            (paths.control(), Control::new(job.run_id).to_json()),
        ] {
            let put = self.storage.put(&name, bytes.into(), Condition::Any);
            put.await.unwrap();
        }
    }

    pub(crate) fn paths(&self) -> RunPaths {
        RunPaths::new(self.run_id)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn container(&self) -> PathBuf {
        self.path("store").join(JOB)
    }

    /// Real workers, which outlive whoever starts them.
    pub(crate) fn options(&self) -> LocalOptions {
        LocalOptions {
            program: env!("CARGO_BIN_EXE_sbm").into(),
            arguments: vec!["local".into(), "worker".into()],
            store: self.path("store"),
            job: JOB.into(),
            run_id: self.run_id,
            opening: 1,
            secrets: vec![(SECRET_NAME.into(), self.secret().into())],
            detached: true,
            queue: Arc::clone(&self.queue),
            replacement: Replacement {
                first_pause: Duration::from_millis(10),
                longest_pause: Duration::from_millis(100),
                ends: 3,
            },
            // A build that waits for its database does not end before.
            grace: Duration::from_secs(10),
        }
    }

    /// Workers that do what the shell is told.
    pub(crate) fn shell(&self, script: &str) -> LocalOptions {
        LocalOptions {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            ..self.options()
        }
    }

    pub(crate) fn shown(&self) -> Vec<Shown> {
        Shown::all(&self.container(), &self.paths()).unwrap()
    }

    /// The process of a worker that lives; it says which one it is a moment after it shows that it lives.
    pub(crate) fn process(&self, worker: &str) -> u32 {
        let started = Instant::now();
        loop {
            let shown = self.shown();
            let found = shown.iter().find(|shown| shown.worker == worker);
            if let Some(process) = found.and_then(Shown::process) {
                return process;
            }
            not_stuck(started, &shown);
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The logs of all workers that were ever started, by name.
    pub(crate) fn logs(&self) -> BTreeMap<String, String> {
        let folder = self.container().join(self.paths().logs()).join("workers");
        let mut logs = BTreeMap::new();
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            logs.insert(name, fs::read_to_string(path).unwrap());
        }
        logs
    }

    async fn lines(&self) -> Vec<ResultLine> {
        let mut lines = Vec::new();
        let mut reader = ResultReader::new(Arc::clone(&self.storage), &self.paths());
        reader.read(|line| lines.push(line)).await.unwrap();
        lines
    }
}

#[async_trait]
impl Place for Run {
    fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(Local::new(self.options()))
    }

    fn failing(&self) -> Arc<dyn Backend> {
        let script = format!("echo '{CAUSE}' >&2; exit 3");
        Arc::new(Local::new(self.shell(&script)))
    }

    fn kill(&self, worker: &str) {
        kill(self.process(worker));
    }

    fn trace(&self, worker: &str) -> String {
        self.process(worker).to_string()
    }

    fn exists(&self, trace: &str) -> bool {
        runs(trace.parse().unwrap())
    }

    fn everything(&self) -> BTreeMap<String, Vec<u8>> {
        let mut everything = BTreeMap::new();
        read_all(self.folder.path(), &mut everything);
        everything
    }

    fn seen(&self, worker: &str) -> String {
        let process = self.process(worker);
        let [variables, arguments] = ["environ", "cmdline"].map(|name| {
            let bytes = fs::read(format!("/proc/{process}/{name}")).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        assert!(variables.contains("SBM_WORKER") && arguments.contains("worker"));
        format!("{variables} {arguments} {}", self.logs()[worker])
    }

    /// That of a variable of this process, which workers do not get for this reason.
    fn secret(&self) -> String {
        std::env::var("CARGO_PKG_DESCRIPTION").unwrap_or_else(|_| "geheim and more".into())
    }

    async fn send(&self) {
        let target = Target {
            server: self.path("server").display().to_string(),
            pairs: vec![Pair {
                default: String::new(),
                database: "a".into(),
            }],
            tag: None,
        };
        let sent = self.queue.send_all(vec![target], Purpose::Build);
        sent.await.unwrap();
    }

    async fn builders(&self) -> Vec<String> {
        let is_start = |line: &ResultLine| {
            line.state == State::Unknown && !line.is_final && line.errors.is_empty()
        };
        let lines = self.lines().await;
        let mut starts: Vec<_> = lines.into_iter().filter(is_start).collect();
        starts.sort_by_key(|line| line.started);
        starts.into_iter().map(|line| line.worker).collect()
    }

    fn let_build(&self) {
        self.occupied.lock().unwrap().take();
    }

    async fn is_built(&self) -> bool {
        let lines = self.lines().await;
        let states: Vec<_> = lines
            .iter()
            .filter(|line| line.is_final)
            .map(|line| line.state)
            .collect();
        states == [State::Committed]
    }

    async fn pending(&self) -> usize {
        self.queue.counts().await.unwrap().pending
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for shown in self.shown() {
            if let Life::Here(process) = shown.life {
                kill(process);
            }
        }
    }
}

fn kill(process: u32) {
    let mut command = Command::new("kill");
    command.args(["-KILL", &process.to_string()]);
    command.status().ok();
}

/// Whether a process runs; one that has ended and that nobody has waited for does not.
pub(crate) fn runs(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// All files, and all folders as empty ones.
fn read_all(folder: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.is_dir() {
            read_all(&path, into);
            Vec::new()
        } else {
            fs::read(&path).unwrap()
        };
        into.insert(path.display().to_string(), bytes);
    }
}

fn occupied(path: &Path) -> Connection {
    let database = Connection::open(path).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    database
}

fn job(package: &Package) -> JobSpec {
    let job = json!({
        "version": 1,
        "runId": Uuid::from_u128(0x0f8f_ad5b),
        "package": {"name": package.name, "buildHash": package.build_hash(), "sha256": package.sha256()},
        "platform": Platform::Sqlite,
        "connection": {"sslMode": "auto", "connectTimeout": 20.0},
        "secrets": [SECRET_NAME],
        "build": {
            "transactional": true, "trial": false, "description": "", "ledgerKeepDays": 90,
            "defaultScriptTimeout": 600.0, "timeoutRetryCount": 0, "lockWait": 600.0, "finishPartial": false,
            "redoInterrupted": false, "redoFailed": false, "requestedBy": "me"
        },
        "concurrency": {"kind": "Count", "limit": 2, "maxSlots": 2},
        "created": "2026-01-01T00:00:00Z"
    });
    serde_json::from_value(job).unwrap()
}
