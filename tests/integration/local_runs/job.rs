//! A job of `sbm local`, seen from outside: the program, its files, and the processes of its workers.

use std::{fs, path::PathBuf, process::Command};

use rusqlite::{Connection, OpenFlags};
use sbm::{
    protocol::{Control, ResultLine, RunPaths},
    worker::presence::{Life, Shown},
};
use serde_json::Value;
use uuid::Uuid;

use crate::support::{
    fleet::Fleet,
    many::Many,
    program::{Program, Run},
    run_files::{write_list, write_package},
};

/// The name of every job: stores are not shared.
pub(super) const NAME: &str = "job";

/// How often a random choice of a test is repeated; `SBM_TEST_SEED` makes it the same again.
pub(super) fn seeded(test: &str) -> fastrand::Rng {
    let given = std::env::var("SBM_TEST_SEED").ok();
    let seed = given.map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("{test}: SBM_TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// A job with a package and a target list.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) folder: tempfile::TempDir,
    login: Vec<(String, String)>,
}

impl Job {
    fn new(login: &[(&str, &str)], lines: &[String]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let folder = tempfile::tempdir().unwrap();
        write_list(folder.path(), "all.cfg", lines);
        Self {
            folder,
            login: login.iter().map(owned).collect(),
        }
    }

    /// On PostgreSQL databases.
    pub(super) fn of_many(many: &Many, lines: &[String]) -> Self {
        let login = [
            ("--platform", "PostgreSQL"),
            ("--username", many.server.user()),
        ];
        Self::new(&login, lines)
    }

    /// On SQLite databases.
    pub(super) fn of_files(fleet: &Fleet) -> Self {
        Self::new(&[("--platform", "SQLite")], &fleet.lines())
    }

    pub(super) fn package(&self, files: &[(&str, &str)]) {
        fs::remove_dir_all(self.folder.path().join("package")).ok();
        write_package(self.folder.path(), files);
    }

    pub(super) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    pub(super) fn container(&self) -> PathBuf {
        self.store().join(NAME)
    }

    /// `sbm local run` or `prep` with everything that it needs; more options may follow.
    pub(super) fn begin(&self, step: &str) -> Program {
        let list = self.folder.path().join("all.cfg");
        let program = Program::new(["local", step, "--output", "json"])
            .option("--packagename", self.folder.path().join("package"))
            .option("--override", list);
        let mut program = self.named(program);
        for (name, value) in &self.login {
            program = program.option(name, value);
        }
        program
    }

    /// The same, going on with the run that the job holds if it holds one.
    pub(super) fn go_on(&self) -> Program {
        let program = self.begin("run");
        match self.run_id() {
            Some(_) => program.option("--resume", "last"),
            None => program,
        }
    }

    /// A step of the job that is there.
    pub(super) fn step(&self, step: &str) -> Program {
        self.named(Program::new(["local", step]))
    }

    fn named(&self, program: Program) -> Program {
        program
            .option("--jobname", NAME)
            .option("--store", self.store())
    }

    /// The present run.
    pub(super) fn run_id(&self) -> Option<Uuid> {
        let text = fs::read(self.container().join(RunPaths::CURRENT)).ok()?;
        let value: Value = serde_json::from_slice(&text).ok()?;
        value["runId"].as_str()?.parse().ok()
    }

    fn paths(&self) -> Option<RunPaths> {
        self.run_id().map(RunPaths::new)
    }

    pub(super) fn control(&self) -> Option<Control> {
        let path = self.container().join(self.paths()?.control());
        Control::read(&fs::read(path).ok()?).ok()
    }

    /// The files of result lines.
    pub(super) fn result_files(&self) -> Vec<PathBuf> {
        let Some(paths) = self.paths() else {
            return Vec::new();
        };
        let Ok(entries) = fs::read_dir(self.container().join(paths.results())) else {
            return Vec::new();
        };
        let files = entries.flatten().map(|entry| entry.path());
        files.collect()
    }

    /// The result lines of the present opening, those that are not whole left out.
    pub(super) fn lines(&self) -> Vec<ResultLine> {
        let files = self.result_files().into_iter();
        let texts = files.filter_map(|file| fs::read_to_string(file).ok());
        let lines = texts.flat_map(|text| {
            let lines = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            lines.collect::<Vec<_>>()
        });
        lines.collect()
    }

    /// How many targets have a final line.
    pub(super) fn settled(&self) -> usize {
        let lines = self.lines().into_iter().filter(|line| line.is_final);
        let keys = lines.map(|line| line.key);
        keys.collect::<std::collections::HashSet<_>>().len()
    }

    /// The workers that live, by name.
    pub(super) fn workers(&self) -> Vec<(String, u32)> {
        let Some(paths) = self.paths() else {
            return Vec::new();
        };
        let shown = Shown::all(&self.container(), &paths).unwrap_or_default();
        let living = shown.into_iter().filter_map(|shown| match shown.life {
            Life::Here(id) => Some((shown.worker, id)),
            _ => None,
        });
        living.collect()
    }

    pub(super) fn queue(&self) -> PathBuf {
        self.store().join("queues").join(format!("{NAME}.queue"))
    }

    /// How many targets the queue holds, and how many of them workers have; none when there is no queue.
    pub(super) fn queued(&self) -> Option<(i64, i64)> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let queue = Connection::open_with_flags(self.queue(), flags).ok()?;
        let sql = "SELECT count(*), count(*) FILTER (WHERE state = 1) FROM message";
        let counts = queue.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
        counts.ok()
    }

    /// No worker, no queue, and cleanup says so.
    pub(super) fn expect_nothing_left(&self) {
        assert_eq!(self.workers(), [], "{self:?}");
        assert!(!self.queue().exists());
        let said = self.step("cleanup").run().expect_code(0);
        assert!(
            said.stdout.contains("no worker and no queue is left"),
            "{}",
            said.stdout
        );
    }
}

/// Sends a signal by its name; one that has ended gets none.
pub(super) fn signal(process: u32, name: &str) {
    Command::new("kill")
        .args([&format!("-{name}"), &process.to_string()])
        .output()
        .unwrap();
}

/// How many targets a report has in a state.
pub(super) fn total(run: &Run, state: &str) -> u64 {
    let json = run.json();
    json["totals"][state]
        .as_u64()
        .unwrap_or_else(|| panic!("{state}: {}", run.stdout))
}

/// A script of SQLite that makes one row and takes some milliseconds for each 10,000 of `rounds`.
pub(super) fn slow(rounds: u64) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS effect (id INTEGER);\nINSERT INTO effect VALUES (1);\n\
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rounds}) SELECT count(*) FROM n;\n"
    )
}

/// Keeps builds of a SQLite database waiting for as long as it lives: it has the lock that they take first.
pub(super) fn occupy(fleet: &Fleet, index: usize) -> fs::File {
    let database = fs::canonicalize(fleet.path_of(index)).unwrap();
    let lock = database.with_added_extension("sbm-lock");
    let file = fs::File::create(lock).unwrap();
    file.lock().unwrap();
    file
}

/// Every database has the effect of [`slow`] and its ledger row, once.
pub(super) fn expect_one_effect_each(fleet: &Fleet) {
    for index in 0..fleet.names.len() {
        let effects = fleet.value(index, "SELECT count(*) FROM effect");
        assert_eq!(effects, "1", "{index}");
        let states = fleet.sql(index, "SELECT state FROM SqlBuild_Ledger");
        assert_eq!(states, [["Committed"]], "{index}");
    }
}

/// How many targets were committed, by this opening or one before.
pub(super) fn committed(run: &Run) -> u64 {
    total(run, "committed") + total(run, "alreadyCommitted")
}
