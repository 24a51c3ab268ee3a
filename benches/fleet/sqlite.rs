//! SQLite: a database is a file, so that what is measured is mostly the program around it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rusqlite::{Connection, OptionalExtension};

use super::{
    AT_ONCE,
    contest::{Contender, Contest},
    scripts::{
        By, SCRIPTS, audit_insert, ledger_insert, sbm, succeed, write_client_script, write_package,
    },
};

struct Fleet {
    paths: Vec<PathBuf>,
    folder: tempfile::TempDir,
}

/// Makes the fleet.
pub(crate) fn contest(databases: usize) -> Contest {
    let folder = tempfile::tempdir().unwrap();
    let server = folder.path().join("server");
    fs::create_dir(&server).unwrap();
    let paths: Vec<PathBuf> = (0..databases)
        .map(|place| server.join(format!("db_{place:04}")))
        .collect();
    for path in &paths {
        fs::write(path, "").unwrap();
    }
    write_package(folder.path());
    write_client_script(folder.path(), "SqlBuild_Logging", "CURRENT_TIMESTAMP");
    let line = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        format!("{}:{name}\n", server.display())
    };
    let list: String = paths.iter().map(line).collect();
    fs::write(folder.path().join("fleet.cfg"), list).unwrap();
    let names: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    fs::write(folder.path().join("names"), names.join("\n")).unwrap();
    let fleet = Arc::new(Fleet { paths, folder });
    let threaded = Arc::clone(&fleet);
    let (client, floor) = (Arc::clone(&fleet), Arc::clone(&fleet));
    threaded.sbm(By::Threads);
    let local = Arc::clone(&fleet);
    let mut contenders = vec![
        Contender::new("floor: bare loop, same guarantees", move || floor.floor()),
        Contender::new("sbm threaded run", move || threaded.sbm(By::Threads)),
        Contender::new("sbm local run, 4 workers", move || {
            local.sbm(By::Workers(4));
        }),
    ];
    if Command::new("sqlite3").arg("--version").output().is_ok() {
        contenders.push(Contender::new("xargs sqlite3", move || client.sqlite3()));
    } else {
        println!("skipped: install sqlite3 to measure a shell loop over it");
    }
    Contest {
        title: "SQLite".into(),
        databases,
        contenders,
        _fleet: Box::new(fleet),
    }
}

impl Fleet {
    fn sbm(&self, by: By) {
        let logs = tempfile::tempdir_in(self.folder.path()).unwrap();
        succeed(&mut sbm(by, "SQLite", self.folder.path(), logs.path()));
    }

    fn sqlite3(&self) {
        let script = self.folder.path().join("client.sql");
        let command = format!(
            "(echo 'BEGIN IMMEDIATE;'; cat '{}'; echo 'COMMIT;') | sqlite3 -bail {{}}",
            script.display()
        );
        succeed(
            Command::new("xargs")
                .arg("-a")
                .arg(self.folder.path().join("names"))
                .arg("-P")
                .arg(AT_ONCE.to_string())
                .args(["-I{}", "sh", "-c", &command]),
        );
    }

    fn floor(&self) {
        let run = format!("floor-{:016x}", fastrand::u64(..));
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some(path) = self.paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                        build(path, &run);
                    }
                });
            }
        });
    }
}

/// The operating system's lock, the transaction, the ledger, the scripts with the proof that the transaction is open, the rows,
/// the commit.
fn build(path: &Path, run: &str) {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let lock = File::create(format!("{}.sbm-lock", path.display())).unwrap();
    lock.lock().unwrap();
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before: Option<String> = connection
        .query_row(
            "SELECT State FROM SqlBuild_Ledger WHERE RunId = ? AND DatabaseName = ?",
            [run, &name],
            |row| row.get(0),
        )
        .optional()
        .unwrap();
    assert_eq!(before, None);
    for (_, text) in SCRIPTS {
        connection.execute_batch(text).unwrap();
        assert!(!connection.is_autocommit());
    }
    let audit = audit_insert("SqlBuild_Logging", &name, "CURRENT_TIMESTAMP");
    let ledger = ledger_insert("SqlBuild_Ledger", run, &name, "CURRENT_TIMESTAMP", "0");
    connection
        .execute_batch(&format!("{audit} {ledger} COMMIT"))
        .unwrap();
}
