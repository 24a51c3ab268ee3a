//! The first thing that a newcomer types.

use std::process::Command;

use rusqlite::Connection;

use crate::support::{postgres::Server, program::Program};

/// A demo with temporary files of its own.
fn demo(folder: &tempfile::TempDir, words: &[&str]) -> Program {
    Program::new(["demo"])
        .words(words)
        .variable("TMPDIR", folder.path())
}

#[test]
fn the_demo_fails_in_one_database_and_its_next_command_builds_that_one() {
    let folder = tempfile::tempdir().unwrap();
    let run = demo(&folder, &[]).run().expect_code(0);
    assert!(
        run.stdout.contains("199 committed, 1 rolled back"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("030-mark-done.sql:6:"),
        "{}",
        run.stdout
    );
    let command = run
        .stdout
        .lines()
        .find_map(|line| line.split_once("local run "))
        .unwrap()
        .1;
    let list = command
        .split_whitespace()
        .find(|word| word.ends_with("failuredatabases.cfg"))
        .unwrap();
    let target = std::fs::read_to_string(list).unwrap();
    let (server, database) = target.trim().rsplit_once(':').unwrap();
    let database = Connection::open(format!("{server}/{database}")).unwrap();
    database
        .execute("DELETE FROM settings WHERE name = 'quickstart'", [])
        .unwrap();
    let again = Program::new(["local", "run"])
        .words(command.split_whitespace())
        .run()
        .expect_code(0);
    assert!(again.stdout.contains("1 committed"), "{}", again.stdout);
}

#[test]
fn the_demo_has_any_size_and_removes_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    for targets in ["1", "3"] {
        let run = demo(&folder, &["--targets", targets, "--output", "json"])
            .run()
            .expect_code(0);
        assert_eq!(run.json()["totals"]["rolledBack"], 1);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
    demo(&folder, &["--targets", "2", "--keep"])
        .run()
        .expect_code(0);
    demo(&folder, &["--targets", "2"]).run().expect_code(0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    demo(&folder, &["--targets", "0"]).run().expect_code(2);
    demo(&folder, &["--platform", "Oracle"])
        .run()
        .expect_code(2);
}

#[test]
fn the_demo_runs_on_postgresql_and_leaves_no_database() {
    let Some(server) = Server::for_test("demo::the_demo_runs_on_postgresql") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let name = server.name();
    let words = [
        "--targets",
        "4",
        "--platform",
        "PostgreSQL",
        "--server",
        &name,
        "--username",
        server.user(),
    ];
    let run = demo(&folder, &words).run().expect_code(0);
    assert!(
        run.stdout.contains("3 committed, 1 rolled back"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("sbm_demo_"));
    let list = std::fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
        .join("targets.cfg");
    for line in std::fs::read_to_string(list).unwrap().lines() {
        let database = line.rsplit_once(':').unwrap().1;
        let left = server.run(
            "postgres",
            &format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'"),
        );
        assert_eq!(left[0][0], "0", "{database}");
    }
}

#[test]
fn the_program_starts_without_a_terminal_or_a_home() {
    let output = Command::new(env!("CARGO_BIN_EXE_sbm"))
        .env_clear()
        .arg("--version")
        .output()
        .unwrap();
    assert!(output.status.success());
}
