//! A run of SQLite databases in a folder, and worker processes on it.

#![allow(dead_code, reason = "no test program uses all of it")]

mod process;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use rusqlite::Connection;
use sbm::{
    package::{Limits, Package},
    protocol::{Control, JobSpec, Pair, Phase, Platform, ResultLine, RunPaths, State, Target},
    queue::{LocalQueue, Options, Purpose, Queue},
    storage::{Condition, LinesSettings, LocalFolder, ResultLines, ResultReader, Storage},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

pub(crate) use process::Worker;

/// Beyond this a test is stuck.
const DEADLINE: Duration = Duration::from_secs(120);

const JOB: &str = "nightly";

/// How long a script runs: as long as the table `pace` says, which is for ever or a moment.
pub(crate) const PACED: &str = "CREATE TABLE t (id int); INSERT INTO t VALUES (1);
    SELECT count(*) FROM (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT c.n + 1 FROM c, pace WHERE c.n < pace.n) SELECT n FROM c);";

/// Everything that workers of a run need.
pub(crate) struct World {
    folder: TempDir,
    runtime: Runtime,
    pub(crate) job: JobSpec,
    pub(crate) control: Control,
    pub(crate) queue: LocalQueue,
    storage: Arc<dyn Storage>,
}

impl World {
    /// A run of one script that makes the table `t`, without targets, with two builds at once in each worker.
    pub(crate) fn new() -> Self {
        Self::with("CREATE TABLE t (id int); INSERT INTO t VALUES (1);", |_| {})
    }

    /// A run of one script, whose job is changed by `change`.
    pub(crate) fn with(script: &str, change: impl FnOnce(&mut JobSpec)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scripts = folder.path().join("scripts");
        for name in ["scripts", "server", "store", "store/queues"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(scripts.join("1.sql"), script).unwrap();
        let package = Package::open(&scripts, &Limits::default()).unwrap();
        let mut job = job(&package);
        change(&mut job);
        let options = Options {
            lock: job.limits.message_lock,
            ..Options::new(job.platform, job.concurrency)
        };
        let queue = folder
            .path()
            .join("store/queues")
            .join(format!("{JOB}.queue"));
        let world = Self {
            runtime: Runtime::new().unwrap(),
            control: Control::new(job.run_id),
            queue: LocalQueue::open(&queue, options).unwrap(),
            storage: Arc::new(LocalFolder::new(&folder.path().join("store").join(JOB))),
            folder,
            job,
        };
        world.runtime.block_on(world.queue.create()).unwrap();
        world.runtime.block_on(world.storage.create()).unwrap();
        let file = world.folder.path().join("package.sbm");
        package.write_sbm(&file).unwrap();
        let name = world.paths().package();
        let put = world.storage.put_file(&name, &file, Condition::Any);
        world.runtime.block_on(put).unwrap();
        world.put(&world.paths().job(), world.job.to_json());
        world.put_control();
        world
    }

    pub(crate) fn paths(&self) -> RunPaths {
        RunPaths::new(self.job.run_id)
    }

    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        let put = self.storage.put(name, bytes.into(), Condition::Any);
        self.runtime.block_on(put).unwrap();
    }

    fn put_control(&self) {
        self.put(&self.paths().control(), self.control.to_json());
    }

    /// Tells workers in which phase the run is.
    pub(crate) fn phase(&mut self, phase: Phase) {
        self.control.phase = phase;
        self.control.sequence += 1;
        self.put_control();
    }

    /// Lets it look as if nobody had written the control document for so long.
    pub(crate) fn age_control(&self, age: Duration) {
        let path = self.container().join(self.paths().control());
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    /// The folder of the job, which can be taken away.
    pub(crate) fn container(&self) -> PathBuf {
        self.folder.path().join("store").join(JOB)
    }

    /// A database file.
    pub(crate) fn database(&self, name: &str) -> PathBuf {
        self.folder.path().join("server").join(name)
    }

    /// A target of these databases, which are made when they are not there.
    pub(crate) fn target(&self, names: &[&str]) -> Target {
        for name in names {
            if !self.database(name).exists() {
                fs::write(self.database(name), "").unwrap();
            }
        }
        // The script runs in the first; the others are locked with it.
        let pair = |(place, name): (usize, &&str)| Pair {
            default: if place == 0 { "" } else { name }.to_owned(),
            database: (*name).to_owned(),
        };
        Target {
            server: self.folder.path().join("server").display().to_string(),
            pairs: names.iter().enumerate().map(pair).collect(),
            tag: None,
        }
    }

    pub(crate) fn send(&self, targets: Vec<Target>, purpose: Purpose) {
        self.runtime
            .block_on(self.queue.send_all(targets, purpose))
            .unwrap();
    }

    /// Queues targets of one database each.
    pub(crate) fn send_each(&self, names: &[&str]) {
        let targets = names.iter().map(|name| self.target(&[name])).collect();
        self.send(targets, Purpose::Build);
    }

    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Pending and in flight.
    pub(crate) fn left(&self) -> (usize, usize) {
        let counts = self.wait(self.queue.counts()).unwrap();
        (counts.pending, counts.in_flight)
    }

    /// A worker process without secrets.
    pub(crate) fn start(&self, name: &str) -> Worker {
        self.start_with(name, Stdio::null())
    }

    pub(crate) fn start_with(&self, name: &str, secrets: Stdio) -> Worker {
        let log = self.folder.path().join(format!("{name}.log"));
        let child = self
            .command(name)
            .stdin(secrets)
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Worker { child, log }
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sbm-worker"));
        command
            .env("SBM_STORE", self.folder.path().join("store"))
            .env("SBM_JOB", JOB)
            .env("SBM_RUN", self.job.run_id.to_string())
            .env("SBM_WORKER", name)
            .env("RUST_LOG", "info")
            .stdout(Stdio::null());
        command
    }

    /// Every line that is stored.
    pub(crate) fn lines(&self) -> Vec<ResultLine> {
        let mut lines = Vec::new();
        let mut reader = ResultReader::new(Arc::clone(&self.storage), &self.paths());
        self.wait(reader.read(|line| lines.push(line))).unwrap();
        lines
    }

    /// The states of the lines of a database that say how an attempt ended, each with whether it is final.
    pub(crate) fn ends(&self, name: &str) -> Vec<(State, bool)> {
        let of = |line: &ResultLine| line.target.databases().contains(&name);
        let ended = |line: &ResultLine| line.state != State::Unknown || !line.errors.is_empty();
        self.lines()
            .iter()
            .filter(|line| of(line) && ended(line))
            .map(|line| (line.state, line.is_final))
            .collect()
    }

    /// How often the build of a database was started.
    pub(crate) fn starts(&self, name: &str) -> usize {
        let of = |line: &ResultLine| line.target.databases().contains(&name);
        let start = |line: &ResultLine| {
            line.state == State::Unknown && !line.is_final && line.errors.is_empty()
        };
        self.lines()
            .iter()
            .filter(|line| of(line) && start(line))
            .count()
    }

    /// Whether this worker has started the build of a database.
    pub(crate) fn was_started_by(&self, name: &str, worker: &str) -> bool {
        self.lines()
            .iter()
            .any(|line| line.worker == worker && line.target.databases().contains(&name))
    }

    pub(crate) fn has_final(&self, name: &str) -> bool {
        self.ends(name).iter().any(|(_, is_final)| *is_final)
    }

    /// Stores lines as a worker of that name would.
    pub(crate) fn store_lines(&self, worker: &str, lines: &[ResultLine]) {
        self.wait(async {
            let storage = Arc::clone(&self.storage);
            let settings = LinesSettings::default();
            let journal = ResultLines::new(storage, &self.paths(), worker, settings);
            for line in lines {
                journal.append(line).await.unwrap();
            }
            journal.close().await;
        });
    }

    pub(crate) fn start_line(&self, name: &str) -> ResultLine {
        let target = self.target(&[name]);
        let key = target.key(Platform::Sqlite);
        let mut line = ResultLine::new(self.job.run_id, key, target, "gone", State::Unknown);
        line.is_final = false;
        line
    }

    pub(crate) fn forget_lines(&self) {
        self.wait(self.storage.delete_all(&self.paths().results()))
            .unwrap();
    }

    /// Somebody else's transaction: builds wait for its end.
    pub(crate) fn occupy(&self, name: &str) -> Connection {
        let database = open(&self.database(name));
        database.execute_batch("BEGIN IMMEDIATE").unwrap();
        database
    }

    /// How long [`PACED`] runs in a database: `1` is a moment.
    pub(crate) fn pace(&self, name: &str, steps: i64) {
        let target = self.target(&[name]);
        let database = open(&self.database(target.databases()[0]));
        database
            .execute_batch(&format!(
                "CREATE TABLE IF NOT EXISTS pace (n int); DELETE FROM pace; INSERT INTO pace VALUES ({steps})"
            ))
            .unwrap();
    }

    /// One value of a database.
    pub(crate) fn value(&self, name: &str, sql: &str) -> i64 {
        open(&self.database(name))
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    }

    /// Whether the effect of the script is there, once.
    pub(crate) fn is_built_once(&self, name: &str) -> bool {
        self.value(name, "SELECT count(*) FROM sqlite_master WHERE name = 't'") == 1
            && self.value(name, "SELECT count(*) FROM t") == 1
            && self.value(name, "SELECT count(*) FROM SqlBuild_Ledger") == 1
    }

    /// Whether somebody's transaction writes to a database.
    pub(crate) fn is_written(&self, name: &str) -> bool {
        !self.is_free(&self.database(name))
    }

    /// Whether nobody writes to this file.
    pub(crate) fn is_free(&self, file: &Path) -> bool {
        let database = Connection::open(file).unwrap();
        database.busy_timeout(Duration::ZERO).unwrap();
        database.execute_batch("BEGIN IMMEDIATE").is_ok()
    }

    /// The file of the queue.
    pub(crate) fn queue_file(&self) -> PathBuf {
        self.folder
            .path()
            .join("store/queues")
            .join(format!("{JOB}.queue"))
    }

    /// The folder of result lines.
    pub(crate) fn results(&self) -> PathBuf {
        let results = self.paths().results();
        self.container().join(results.trim_end_matches('/'))
    }
}

fn open(path: &Path) -> Connection {
    let database = Connection::open(path).unwrap();
    database.busy_timeout(DEADLINE).unwrap();
    database
}

fn job(package: &Package) -> JobSpec {
    let job = json!({
        "version": 1,
        "runId": Uuid::from_u128(0x0f8f_ad5b),
        "package": {"name": package.name, "buildHash": package.build_hash(), "sha256": package.sha256()},
        "platform": "SQLite",
        "connection": {"sslMode": "auto", "connectTimeout": 20.0},
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

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < DEADLINE, "never: {what}");
        thread::sleep(Duration::from_millis(30));
    }
}
