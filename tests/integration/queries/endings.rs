//! How a query ends: failed databases, refusals, signals, readers that go away.

use std::{
    io::{BufRead, BufReader, Read},
    process::Command,
    time::{Duration, Instant},
};

use super::{file, fill, text};
use crate::support::{
    fleet::{Fleet, Platform, on_each_platform},
    program::{Program, Run},
};

on_each_platform!(a_failed_database_is_a_failure_and_listed, 3, |fleet| {
    fill(&fleet);
    fleet.sql(1, "DROP TABLE t");
    let mut lines = fleet.lines();
    lines.push(format!("{}:no_such_database#ring", fleet.server()));
    let list = fleet.list(&lines);
    let run = fleet
        .threaded_query_on(&list, "SELECT id\nFROM t")
        .option("--outputfile", file(&fleet, "rows.csv"))
        .run()
        .expect_code(1);
    // One line of the first database, two of the third.
    assert_eq!(text(&fleet, "rows.csv").lines().count(), 4);
    for part in [
        "2 of 4 databases answered with 2 rows",
        "failed: 2",
        "query.sql:",
        "next: Correct the cause, then ask the rest (2 databases)",
    ] {
        assert!(run.stdout.contains(part), "{part}\n{}", run.stdout);
    }
    let failed = text(&fleet, "logs/query/failuredatabases.cfg");
    assert_eq!(
        failed,
        format!(
            "{server}:{}\n{server}:no_such_database#ring\n",
            fleet.names[1],
            server = fleet.server()
        )
    );
    let outcome: serde_json::Value =
        serde_json::from_str(&text(&fleet, "logs/query/result.json")).unwrap();
    assert_eq!(outcome["totals"]["failed"], 2);
    assert_eq!(outcome["failed"][0]["database"], fleet.names[1].as_str());
    assert_eq!(outcome["exitCode"], 1);

    // The next command, as it is told.
    fleet.sql(1, "CREATE TABLE t (id int)");
    let list = file(&fleet, "logs/query/failuredatabases.cfg");
    let run = fleet
        .threaded_query_on(&list, "SELECT id FROM t")
        .option("--outputfile", file(&fleet, "rest.csv"))
        .run()
        .expect_code(1);
    assert!(run.stdout.contains("1 of 2 databases"), "{}", run.stdout);
});

on_each_platform!(a_change_is_refused_and_changes_nothing, 1, |fleet| {
    fill(&fleet);
    for query in [
        "DELETE FROM t",
        "DROP TABLE t",
        "SELECT 1; DROP TABLE t",
        "",
    ] {
        let run = fleet.threaded_query(query).run().expect_code(2);
        assert!(run.stderr.contains("--queryfile"), "{}", run.stderr);
        assert_eq!(run.stdout, "");
    }
    assert!(fleet.has_table(0, "t"));
    // The words alone are no reason.
    fleet
        .threaded_query("SELECT 'delete from t' AS x -- update t set\n")
        .run()
        .expect_code(0);
});

on_each_platform!(an_older_result_is_replaced_only_on_request, 1, |fleet| {
    std::fs::write(file(&fleet, "rows.csv"), "old").unwrap();
    let query = || {
        fleet
            .threaded_query("SELECT 1 AS a")
            .option("--outputfile", file(&fleet, "rows.csv"))
    };
    let run = query().run().expect_code(2);
    assert!(run.stderr.contains("--silent"), "{}", run.stderr);
    assert_eq!(text(&fleet, "rows.csv"), "old");
    query().words(["--force"]).run().expect_code(0);
    assert!(text(&fleet, "rows.csv").starts_with("\"Server\""));
});

/// A query that runs for minutes, with a first column named `n`.
fn endless(fleet: &Fleet) -> &'static str {
    match fleet.platform {
        Platform::Postgres => "SELECT pg_sleep(600)::text AS n",
        Platform::SqlServer => {
            "SELECT COUNT_BIG(*) AS n FROM sys.all_columns a CROSS JOIN sys.all_columns b CROSS JOIN sys.all_columns c"
        }
        Platform::MySql => "SELECT SLEEP(600) AS n",
        Platform::Sqlite => {
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n"
        }
    }
}

on_each_platform!(a_query_that_takes_too_long_is_a_failure, 2, |fleet| {
    let run = fleet
        .threaded_query(endless(&fleet))
        .option("--defaultscripttimeout", "1")
        .option("--timeoutretrycount", "1")
        .run()
        .expect_code(1);
    assert!(
        run.stderr.contains("cancelled after 1 s: the time-out"),
        "{}",
        run.stderr
    );
    assert_eq!(run.stdout.lines().count(), 1, "the header alone");
});

on_each_platform!(
    a_signal_ends_the_queries_and_leaves_no_result_half,
    3,
    |fleet| {
        fill(&fleet);
        std::fs::write(file(&fleet, "rows.csv"), "old").unwrap();
        let child = fleet
            .threaded_query(endless(&fleet))
            .option("--outputfile", file(&fleet, "rows.csv"))
            .words(["--force"])
            .start();
        // The room for answers is there when signals are listened to.
        let deadline = Instant::now() + Duration::from_secs(60);
        while !has_waiting_room(&fleet) {
            assert!(Instant::now() < deadline, "the query does not begin");
            std::thread::sleep(Duration::from_millis(50));
        }
        let id = child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(sent.success());
        let run = Run::new(child.wait_with_output().unwrap()).expect_code(130);
        assert!(
            run.stdout.contains("cancelled by SIGTERM"),
            "{}",
            run.stdout
        );
        assert!(run.stdout.contains("not asked: 3"), "{}", run.stdout);
        let listed = text(&fleet, "logs/query/failuredatabases.cfg");
        assert_eq!(listed.lines().count(), 3);
        assert!(!has_waiting_room(&fleet));
        // An older result is not replaced by a header.
        assert_eq!(text(&fleet, "rows.csv"), "old");
        assert!(!file(&fleet, "rows.csv.part").exists());
        assert!(
            run.stdout.contains("no result was written; "),
            "{}",
            run.stdout
        );
    }
);

#[test]
fn a_signal_puts_what_has_answered_beside_an_older_result() {
    let fleet = Fleet::new(Platform::Sqlite, 2, "a_part").unwrap();
    fleet.sql(0, "CREATE TABLE t (id int)");
    fleet.sql(1, "CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
    std::fs::write(file(&fleet, "rows.csv"), "old").unwrap();
    // Without rows in the table nothing is counted.
    let query = "WITH RECURSIVE n(i) AS (SELECT 1 FROM t UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n";
    let mut child = fleet
        .threaded_query(query)
        .option("--outputfile", file(&fleet, "rows.csv"))
        .words(["--force"])
        .start();
    // The progress is told every few seconds.
    let errors = BufReader::new(child.stderr.take().unwrap());
    let mut lines = errors.lines().map(Result::unwrap);
    assert!(
        lines.any(|line| line.starts_with("1 of 2 databases have answered")),
        "the first database does not answer"
    );
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status().unwrap();
    assert!(sent.success());
    lines.for_each(drop);
    let run = Run::new(child.wait_with_output().unwrap()).expect_code(130);
    let part = file(&fleet, "rows.csv.part");
    let told = format!("a part of the result (csv): {}; ", part.display());
    assert!(run.stdout.contains(&told), "{}", run.stdout);
    assert_eq!(text(&fleet, "rows.csv"), "old");
    assert_eq!(text(&fleet, "rows.csv.part").lines().count(), 2);
    let listed = text(&fleet, "logs/query/successdatabases.cfg");
    assert_eq!(listed.lines().count(), 1);
}

fn has_waiting_room(fleet: &Fleet) -> bool {
    let mut entries = std::fs::read_dir(fleet.folder.path()).unwrap();
    entries.any(|entry| {
        let name = entry.unwrap().file_name();
        name.to_string_lossy().starts_with(".sbm-query-")
    })
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_query() {
    let fleet = Fleet::new(Platform::Sqlite, 50, "a_reader").unwrap();
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n";
    let mut child = fleet.threaded_query(many).start();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("\"Server\""));
    drop(out);
    let mut errors = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut errors).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{errors}");
    assert!(errors.contains("the reader of standard output"), "{errors}");
}

#[test]
fn a_result_that_cannot_be_written_is_said_so() {
    let fleet = Fleet::new(Platform::Sqlite, 1, "a_full_disk").unwrap();
    let full = std::path::Path::new("/dev/full");
    if !full.exists() {
        return;
    }
    let program = env!("CARGO_BIN_EXE_sbm");
    let list = fleet.list(&fleet.lines());
    let out = std::fs::File::options().write(true).open(full).unwrap();
    let output = Command::new(program)
        .args([
            "threaded",
            "query",
            "--platform",
            "SQLite",
            "--query",
            "SELECT 1",
        ])
        .arg("--override")
        .arg(list)
        .arg("--rootloggingpath")
        .arg(fleet.logs())
        .stdout(out)
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("the result cannot be written"), "{errors}");
}

#[test]
fn every_fault_of_the_command_line_is_told_at_once() {
    let run = Program::new(["threaded", "query", "--platform", "SQLite"])
        .option("--queryfile", "/no/such.sql")
        .option("--override", "/no/such.cfg")
        .option("--outputfile", "/no/such/rows.csv")
        .option("--outputformat", "xml")
        .run()
        .expect_code(2);
    for part in [
        "4 things need to be changed",
        "--queryfile `/no/such.sql`: cannot be read",
        "--override `/no/such.cfg`: no such file",
        "--outputfile `/no/such/rows.csv`: its folder does not exist",
        "--outputformat `xml`: accepted are csv, jsonl and table",
    ] {
        assert!(run.stderr.contains(part), "{part}\n{}", run.stderr);
    }
}
