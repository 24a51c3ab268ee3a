//! What tests of builds share: scripts that leave a trace, and a look into what a run leaves behind.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    fleet::{Fleet, Platform},
    program::{Program, Run},
};

/// Fails the test when something does not come true; a guard against hangs, no measurement.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come true");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A script that leaves a trace.
pub(crate) fn note(text: &str) -> String {
    format!("INSERT INTO trace (what) VALUES ('{text}');\n")
}

/// One of the packages that the reference program made.
pub(crate) fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/samples")
        .join(name)
}

impl Fleet {
    /// Makes the table for traces in every database.
    pub(crate) fn with_trace(self) -> Self {
        let id = match self.platform {
            Platform::Sqlite => "INTEGER PRIMARY KEY AUTOINCREMENT",
            Platform::Postgres => "serial PRIMARY KEY",
            Platform::SqlServer => "int IDENTITY PRIMARY KEY",
            Platform::MySql => "int AUTO_INCREMENT PRIMARY KEY",
        };
        let text = match self.platform {
            Platform::SqlServer => "nvarchar(max)",
            Platform::MySql => "longtext",
            _ => "text",
        };
        for index in 0..self.names.len() {
            self.sql(index, &format!("CREATE TABLE trace (id {id}, what {text})"));
        }
        self
    }

    /// The traces in one database, in the order in which they were left.
    pub(crate) fn trace(&self, index: usize) -> Vec<String> {
        self.column(index, "SELECT what FROM trace ORDER BY id")
    }

    /// The first column of a query.
    pub(crate) fn column(&self, index: usize, sql: &str) -> Vec<String> {
        let rows = self.sql(index, sql);
        rows.into_iter().map(|mut row| row.remove(0)).collect()
    }

    /// Nothing of a build is in the database: neither traces nor rows of ours.
    pub(crate) fn assert_untouched(&self, index: usize) {
        for table in ["trace", "SqlBuild_Logging", "SqlBuild_Ledger"] {
            assert!(
                matches!(self.rows(index, table), None | Some(0)),
                "{table} of {index} has rows"
            );
        }
    }

    /// The states in the ledger, in the order of their run.
    pub(crate) fn ledger(&self, index: usize) -> Vec<String> {
        self.column(index, "SELECT state FROM SqlBuild_Ledger ORDER BY started")
    }

    /// The names of the scripts in the audit table, in their order.
    pub(crate) fn audited(&self, index: usize) -> Vec<String> {
        self.column(
            index,
            "SELECT scriptfilename FROM SqlBuild_Logging ORDER BY commitdate, sequence",
        )
    }

    /// Writes a folder package of files that need not be in UTF-8.
    pub(crate) fn package_of_bytes(&self, files: &[(&str, &[u8])]) -> PathBuf {
        let package = self.package(&[("sbm.yaml", "")]);
        for (name, bytes) in files {
            fs::write(package.join(name), bytes).unwrap();
        }
        package
    }

    /// Writes a `.sbx` with its scripts beside it: each has a name, more attributes of its element, and a text. Its path.
    pub(crate) fn sbx(&self, scripts: &[(&str, &str, &str)]) -> PathBuf {
        let folder = self.folder.path().join("sbx");
        fs::create_dir_all(&folder).unwrap();
        let mut elements = String::new();
        for (number, (name, attributes, text)) in (1..).zip(scripts) {
            fs::write(folder.join(name), text).unwrap();
            elements += &format!(
                "<Script FileName=\"{name}\" ScriptId=\"00000000-0000-0000-0000-{number:012}\" {attributes} />"
            );
        }
        let manifest = format!(
            "<?xml version=\"1.0\" standalone=\"yes\"?>\n\
             <SqlSyncBuildData xmlns=\"http://schemas.mckechney.com/SqlSyncBuildProject.xsd\">\
             <SqlSyncBuildProject ProjectName=\"\" ScriptTagRequired=\"false\"><Scripts>{elements}</Scripts><Builds />\
             </SqlSyncBuildProject></SqlSyncBuildData>"
        );
        let path = folder.join("package.sbx");
        fs::write(&path, manifest).unwrap();
        path
    }

    /// `sbm threaded run` of any package on the given lines of a target list.
    pub(crate) fn run_of(&self, package: &Path, lines: &[String]) -> Program {
        let list = self.list(lines);
        let program = Program::new(["threaded", "run"])
            .option("--packagename", package)
            .option("--override", list)
            .option("--rootloggingpath", self.logs());
        self.login(program)
    }

    /// `sbm build` of any package.
    pub(crate) fn single_build(&self, package: &Path) -> Program {
        let program = Program::new(["build"])
            .option("--packagename", package)
            .option("--rootloggingpath", self.logs());
        self.login(program)
    }

    /// Goes on with a run of the package that was written last.
    pub(crate) fn resume(&self, run: &str) -> Program {
        self.threaded_run().option("--resume", run)
    }

    /// The id of the last run.
    pub(crate) fn run_id(&self) -> String {
        let job = fs::read_to_string(self.logs().join("job.json")).unwrap();
        let job: Value = serde_json::from_str(&job).unwrap();
        job["runId"].as_str().unwrap().to_owned()
    }

    /// One of the target lists of the last run.
    pub(crate) fn outcome(&self, list: &str) -> String {
        fs::read_to_string(self.logs().join(list)).unwrap()
    }

    /// What the logs of all databases and runs say.
    pub(crate) fn database_logs(&self) -> String {
        let mut text = String::new();
        collect(&self.logs().join("runs"), &mut text);
        text
    }

    /// Waits until the program has sent the first batch of `script`.
    pub(crate) fn wait_for_script(&self, script: &str) {
        let line = format!("-- {script}, batch 1 ");
        eventually(script, || self.database_logs().contains(&line));
    }

    /// A script that goes on until the gate is open.
    pub(crate) fn gate(&self) -> &'static str {
        match self.platform {
            Platform::Sqlite => {
                "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE (SELECT count(*) FROM gate) = 0)\n\
                 SELECT count(*) FROM c;\n"
            }
            Platform::SqlServer => {
                "WHILE NOT EXISTS (SELECT 1 FROM gate) WAITFOR DELAY '00:00:00.050'\n"
            }
            Platform::MySql => "SELECT wait_at_gate();\n",
            Platform::Postgres => {
                "DO $$ BEGIN LOOP EXIT WHEN EXISTS (SELECT FROM gate); PERFORM pg_sleep(0.05); END LOOP; END $$;\n"
            }
        }
    }

    /// Begins a transaction.
    pub(crate) fn begins(&self) -> &'static str {
        match self.platform {
            // A block would begin with the word alone.
            Platform::SqlServer => "BEGIN TRANSACTION",
            _ => "BEGIN",
        }
    }

    /// Makes the closed gate in every database.
    pub(crate) fn with_gate(self) -> Self {
        for index in 0..self.names.len() {
            self.sql(index, "CREATE TABLE gate (is_open int)");
            if self.platform == Platform::MySql {
                // In a transaction a table shows what was in it at the beginning; the catalog shows what is there.
                self.sql(
                    index,
                    "CREATE FUNCTION wait_at_gate() RETURNS int BEGIN WHILE NOT EXISTS (SELECT 1 FROM \
                     information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'gate_is_open') \
                     DO DO SLEEP(0.05); END WHILE; RETURN 1; END",
                );
            }
        }
        self
    }

    pub(crate) fn open_gate(&self, index: usize) {
        let open = match self.platform {
            Platform::MySql => "CREATE TABLE gate_is_open (x int)",
            _ => "INSERT INTO gate VALUES (1)",
        };
        self.sql(index, open);
    }

    /// Kills the program, and on a server the sessions that it had, as the server does when it notices.
    pub(crate) fn kill(&self, mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
        if self.platform == Platform::SqlServer {
            // The server notices by itself that the connection is closed.
            let others = "SELECT count(*) FROM sys.dm_exec_sessions WHERE database_id = DB_ID() AND session_id <> @@SPID";
            for index in 0..self.names.len() {
                eventually("the end of all sessions", || {
                    self.value(index, others) == "0"
                });
            }
        }
        if self.platform == Platform::MySql {
            for name in &self.names {
                self.mysql().end_sessions(name);
            }
        }
        if self.platform == Platform::Postgres {
            let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
            for index in 0..self.names.len() {
                self.sql(index, &format!("SELECT pg_terminate_backend(pid) {others}"));
                eventually("the end of all sessions", || {
                    self.value(index, &format!("SELECT count(*) {others}")) == "0"
                });
            }
        }
    }
}

impl Run {
    /// The only target that the JSON document lists in one of its lists of targets.
    pub(crate) fn only(&self, list: &str) -> Value {
        let listed = self.json()[list]["listed"].clone();
        assert_eq!(listed.as_array().unwrap().len(), 1, "{}", self.stdout);
        listed[0].clone()
    }

    /// How many targets ended in `state`, by the JSON document.
    pub(crate) fn count(&self, state: &str) -> u64 {
        let totals = self.json()["totals"].clone();
        totals[state]
            .as_u64()
            .unwrap_or_else(|| panic!("{state}: {totals}"))
    }
}

fn collect(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "log") {
            *text += &String::from_utf8_lossy(&fs::read(&path).unwrap());
        }
    }
}
