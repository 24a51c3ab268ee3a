//! One build of a database at a time.

use std::{path::Path, thread, time::Duration};

use crate::support::{
    builds::note,
    fleet::{Fleet, Platform, on_each_platform},
    live::Live,
    program::Program,
};

/// One of several programs at a time: each has its own list and its own logs.
fn run_beside(fleet: &Fleet, folder: &Path, line: &str, wait: &str) -> Program {
    std::fs::create_dir_all(folder).unwrap();
    let list = folder.join("targets.cfg");
    std::fs::write(&list, format!("{line}\n")).unwrap();
    let program = Program::new(["threaded", "run"])
        .option("--packagename", fleet.folder.path().join("package"))
        .option("--override", list)
        .option("--rootloggingpath", folder.join("logs"))
        .option("--lockwait", wait);
    fleet.login(program)
}

on_each_platform!(
    builds_of_the_same_databases_do_not_block_each_other,
    2,
    |fleet| {
        let fleet = fleet.with_trace();
        let yaml = "scripts: [{file: a.sql, database: a}, {file: b.sql, database: b}]";
        fleet.package(&[
            ("sbm.yaml", yaml),
            ("a.sql", &note("a")),
            ("b.sql", &note("b")),
        ]);
        let (one, two) = (&fleet.names[0], &fleet.names[1]);
        let pairs = [format!("a,{one};b,{two}"), format!("a,{two};b,{one}")];
        let children: Vec<_> = (0..6)
            .map(|number| {
                let folder = fleet.folder.path().join(number.to_string());
                let line = format!("{}:{}", fleet.server(), pairs[number % 2]);
                run_beside(&fleet, &folder, &line, "300").start()
            })
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{text}");
        }
        for index in 0..2 {
            let mut trace = fleet.trace(index);
            trace.sort();
            assert_eq!(trace, ["a", "a", "a", "b", "b", "b"]);
            assert_eq!(fleet.ledger(index), ["Committed"; 6]);
        }
    }
);

on_each_platform!(a_database_that_stays_locked_is_busy, 1, |fleet| {
    let fleet = fleet.with_trace().with_gate();
    fleet.package(&[("1.sql", &note("1")), ("2.sql", fleet.gate())]);
    let child = fleet.threaded_run().start();
    fleet.wait_for_script("2.sql");
    let folder = fleet.folder.path().join("other");
    let line = fleet.lines().remove(0);
    let other = || {
        run_beside(&fleet, &folder, &line, "0")
            .option("--output", "json")
            .run()
    };
    let run = other().expect_code(1);
    assert_eq!(run.only("failed")["state"], "Busy");
    fleet.kill(child);
    fleet.open_gate(0);
    other().expect_code(0);
    assert_eq!(fleet.trace(0), ["1"]);
});

#[test]
fn a_file_that_another_program_writes_is_waited_for_before_our_tables_are_made() {
    let test = "builds::locks::a_file_that_another_program_writes_is_waited_for";
    let fleet = Fleet::new(Platform::Sqlite, 1, test).unwrap();
    fleet.package(&[("1.sql", "CREATE TABLE effect (id INTEGER)")]);
    let other = rusqlite::Connection::open(fleet.path_of(0)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let folder = fleet.folder.path().join("other");
    let line = fleet.lines().remove(0);
    let build = |wait| run_beside(&fleet, &folder, &line, wait).option("--output", "json");
    let run = build("1").run().expect_code(1);
    assert_eq!(run.only("failed")["state"], "Busy", "{}", run.stdout);
    let waiting = Live::start(build("300"));
    // Longer than SQLite itself waits, and than a statement that fails is repeated.
    thread::sleep(Duration::from_secs(7));
    other.execute_batch("ROLLBACK").unwrap();
    waiting.end().expect_code(0);
    assert!(fleet.has_table(0, "effect"));
}
