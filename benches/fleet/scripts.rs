//! The work: three scripts, as a package for `sbm` and as one file for the platform's own client.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// File names and texts of the package, in the order in which they run; the same on every platform.
pub(crate) const SCRIPTS: [(&str, &str); 3] = [
    (
        "001-table.sql",
        "CREATE TABLE IF NOT EXISTS bench_customers (id int PRIMARY KEY, name varchar(100), done int NOT NULL DEFAULT 0);",
    ),
    (
        "002-rows.sql",
        "DELETE FROM bench_customers;\nINSERT INTO bench_customers (id, name) VALUES \
         (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'), (5, 'e'), (6, 'f'), (7, 'g'), (8, 'h'), (9, 'i'), (10, 'j');",
    ),
    (
        "003-done.sql",
        "UPDATE bench_customers SET done = 1 WHERE done = 0;",
    ),
];

/// The audit rows of the three scripts, for `database`; `now` is the platform's word for the time.
pub(crate) fn audit_insert(table: &str, database: &str, now: &str) -> String {
    let rows: Vec<String> = SCRIPTS
        .iter()
        .enumerate()
        .map(|(place, (file, text))| {
            format!(
                "('update', '{file}', '00000000-0000-0000-0000-00000000000{place}', 'HASH', {now}, {place}, 'me', '{}', '', \
                 '{database}', '1', 'HASH', 'me', {now}, {now}, 'bench')",
                text.replace('\'', "''")
            )
        })
        .collect();
    format!(
        "INSERT INTO {table} (BuildFileName, ScriptFileName, ScriptId, ScriptFileHash, CommitDate, Sequence, UserId, \
         ScriptText, Tag, TargetDatabase, RunWithVersion, BuildProjectHash, BuildRequestedBy, ScriptRunStart, ScriptRunEnd, \
         Description) VALUES {};",
        rows.join(", ")
    )
}

/// The ledger row of `database` in the run `run`.
pub(crate) fn ledger_insert(table: &str, run: &str, database: &str, now: &str, no: &str) -> String {
    format!(
        "INSERT INTO {table} (Attempt, PackageSha256, Worker, State, Started, Finished, AuditPending, Detail, RunId, \
         TargetKey, DatabaseName) VALUES (1, 'sha', 'bench', 'Committed', {now}, {now}, {no}, NULL, '{run}', '{database}', \
         '{database}');"
    )
}

/// Writes the package's folder below `folder`.
pub(crate) fn write_package(folder: &Path) -> PathBuf {
    let package = folder.join("update");
    fs::create_dir_all(&package).unwrap();
    for (file, text) in SCRIPTS {
        fs::write(package.join(file), text).unwrap();
    }
    package
}

/// Writes one file with the three scripts and their audit rows.
pub(crate) fn write_client_script(folder: &Path, table: &str, now: &str) -> PathBuf {
    let path = folder.join("client.sql");
    let mut text: String = SCRIPTS
        .iter()
        .map(|(_, text)| format!("{text}\n"))
        .collect();
    text += &audit_insert(table, "database", now);
    fs::write(&path, text).unwrap();
    path
}

/// Runs a command whose success is what is measured.
pub(crate) fn succeed(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// How `sbm` builds the fleet, as many databases at once as everybody else.
#[derive(Clone, Copy)]
pub(crate) enum By {
    /// One process.
    Threads,
    /// So many worker processes.
    Workers(usize),
}

/// A command line of `sbm` for the package and the list in `folder`, which writes below `logs`.
pub(crate) fn sbm(by: By, platform: &str, folder: &Path, logs: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sbm"));
    let at_once = match by {
        By::Threads => {
            command.args(["threaded", "run", "--rootloggingpath"]);
            super::AT_ONCE
        }
        By::Workers(workers) => {
            command.args(["local", "run", "--workers"]);
            command.arg(workers.to_string()).arg("--store");
            super::AT_ONCE / workers
        }
    };
    command
        .arg(logs)
        .args(["--platform", platform, "--output", "json", "--concurrency"])
        .arg(at_once.to_string())
        .arg("--packagename")
        .arg(folder.join("update"))
        .arg("--override")
        .arg(folder.join("fleet.cfg"));
    command
}
