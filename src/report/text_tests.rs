//! The exact texts: whoever changes a word sees here what a user will see.

use super::*;
use crate::{
    monitor::{
        Verdict,
        fixtures::{failed, line},
    },
    protocol::ResultLine,
    report::{Run, document::tests::run},
};

const DOCUMENTATION: &str = include_str!("../../docs/output.md");
const MISSING: &str = "relation \"orders\" does not exist";

fn report(run: Run, lines: Vec<ResultLine>) -> Report {
    Report::new(run, &Verdict::new(lines))
}

fn text(run: Run, lines: Vec<ResultLine>) -> String {
    render(&report(run, lines), Style::Plain)
}

/// A run without files, whose list would be the same in every text.
fn short() -> Run {
    Run {
        folder: None,
        database_logs: None,
        ..run()
    }
}

#[test]
fn all_good() {
    let run = run();
    let lines = vec![
        line("db1", "a", State::Committed),
        line("db1", "b", State::Committed),
        line("db2", "c", State::AlreadyCommitted),
    ];
    let expected = r#"Succeeded: 3 of 3 targets succeeded (2 committed, 1 already committed)

  run      0190aaaa-bbbb-4ccc-8ddd-eeeeffff0001
  package  orders, sha256 9f86d081884c, PostgreSQL
  time     2026-01-02 03:04:05 UTC, 1 min 05 s

Servers
  server  targets  ok  failed  not run  unknown  median  slowest
  db1           2   2       -        -        -   2.0 s    2.0 s
  db2           1   1       -        -        -       -        -

Files in logs
  result.json, junit.xml, successdatabases.cfg, failuredatabases.cfg,
  unresolveddatabases.cfg, commits.log, errors.log
  runs/1/databases: a log of each target, by server
"#;
    assert_eq!(text(run, lines), expected);
}

#[test]
fn some_failed() {
    let run = run();
    let lines = vec![
        line("db1", "a", State::Committed),
        failed("db1", "b", "02_orders.sql", MISSING),
        failed("db2", "c", "02_orders.sql", MISSING),
        line("db2", "d", State::Busy),
    ];
    let expected = r#"Failed: 1 of 4 targets succeeded (1 committed, 2 rolled back, 1 busy)

  run      0190aaaa-bbbb-4ccc-8ddd-eeeeffff0001
  package  orders, sha256 9f86d081884c, PostgreSQL
  time     2026-01-02 03:04:05 UTC, 1 min 05 s

Servers
  server  targets  ok  failed  not run  unknown  median  slowest
  db2           2   -       2        -        -   2.0 s    2.0 s
  db1           2   1       1        -        -   2.0 s    2.0 s

Errors
  1. 02_orders.sql:14:5: error 42P01, 2 targets
     relation "orders" does not exist
     statement: ALTER TABLE orders ADD note text
     servers: db1 (1), db2 (1)
     for example: db1:b, db2:c

Failed targets
  db1:b  RolledBack
    log: logs/runs/1/databases/db1/b.log
  db2:c  RolledBack
    log: logs/runs/1/databases/db2/c.log
  db2:d  Busy
    log: logs/runs/1/databases/db2/d.log

Files in logs
  result.json, junit.xml, successdatabases.cfg, failuredatabases.cfg,
  unresolveddatabases.cfg, commits.log, errors.log
  runs/1/databases: a log of each target, by server

Next
  - Correct the cause, then build the rest (3 targets): repeat the command with --override logs/failuredatabases.cfg
"#;
    assert_eq!(text(run, lines), expected);
    let (shown, _) = expected.split_once("\nFailed targets").unwrap();
    assert!(DOCUMENTATION.contains(shown));
}

#[test]
fn halted() {
    let run = Run {
        halted: Some("2 failures are more than the budget of 1".into()),
        ..short()
    };
    let lines = vec![
        failed("db1", "a", "02_orders.sql", MISSING),
        failed("db1", "b", "02_orders.sql", MISSING),
        line("db1", "c", State::Skipped),
        line("db2", "d", State::Skipped),
    ];
    let expected = r#"Halted: 0 of 4 targets succeeded (2 rolled back, 2 not run)
  halted: 2 failures are more than the budget of 1

  run      0190aaaa-bbbb-4ccc-8ddd-eeeeffff0001
  package  orders, sha256 9f86d081884c, PostgreSQL
  time     2026-01-02 03:04:05 UTC, 1 min 05 s

Servers
  server  targets  ok  failed  not run  unknown  median  slowest
  db1           3   -       2        1        -   2.0 s    2.0 s
  db2           1   -       -        1        -       -        -

Errors
  1. 02_orders.sql:14:5: error 42P01, 2 targets
     relation "orders" does not exist
     statement: ALTER TABLE orders ADD note text
     servers: db1 (2)
     for example: db1:a, db1:b

Failed targets
  db1:a  RolledBack
  db1:b  RolledBack

Next
  - Correct the cause, then build the rest (4 targets): repeat the command with a list of these
"#;
    assert_eq!(text(run, lines), expected);
}

#[test]
fn cancelled() {
    let run = Run {
        cancelled: Some("SIGINT".into()),
        ..short()
    };
    let mut drained = line("db1", "b", State::RolledBack);
    drained.is_final = false;
    let lines = vec![
        line("db1", "a", State::Committed),
        drained,
        line("db1", "c", State::Skipped),
    ];
    let expected = r#"Cancelled: 1 of 3 targets succeeded (1 committed, 1 not run, 1 unknown)
  cancelled: SIGINT

  run      0190aaaa-bbbb-4ccc-8ddd-eeeeffff0001
  package  orders, sha256 9f86d081884c, PostgreSQL
  time     2026-01-02 03:04:05 UTC, 1 min 05 s

Servers
  server  targets  ok  failed  not run  unknown  median  slowest
  db1           3   1       -        1        1   2.0 s    2.0 s

Unresolved targets
  db1:b  Unknown
    worker worker-1 reported RolledBack, which was not its last word

Next
  - Build the rest (1 target): repeat the command with a list of these
  - Find out about 1 unknown target: repeat the command with --resume 0190aaaa-bbbb-4ccc-8ddd-eeeeffff0001, which builds only where this run has not committed
"#;
    assert_eq!(text(run, lines), expected);
}

#[test]
fn unknowns() {
    let run = short();
    let mut partly = line("db2", "a", State::PartlyCommitted);
    partly.committed = vec!["a".into()];
    partly.missing = vec!["b".into()];
    let lines = vec![
        line("db1", "a", State::Unknown),
        partly,
        line("db3", "a", State::Interrupted),
    ];
    let expected = r#"Unknown: 0 of 3 targets succeeded (1 partly committed, 1 interrupted, 1 unknown)

  run      0190aaaa-bbbb-4ccc-8ddd-eeeeffff0001
  package  orders, sha256 9f86d081884c, PostgreSQL
  time     2026-01-02 03:04:05 UTC, 1 min 05 s

Servers
  server  targets  ok  failed  not run  unknown  median  slowest
  db1           1   -       -        -        1       -        -
  db2           1   -       1        -        -   2.0 s    2.0 s
  db3           1   -       1        -        -   2.0 s    2.0 s

Unresolved targets
  db1:a  Unknown
  db2:a  PartlyCommitted
    committed: a; missing: b
  db3:a  Interrupted

Next
  - Build the missing databases of 1 partly committed target: repeat the command with --resume 0190aaaa-bbbb-4ccc-8ddd-eeeeffff0001 --finish-partial
  - Look at 1 interrupted target; where the build may run again, repeat the command with --resume 0190aaaa-bbbb-4ccc-8ddd-eeeeffff0001 --redo interrupted
  - Find out about 1 unknown target: repeat the command with --resume 0190aaaa-bbbb-4ccc-8ddd-eeeeffff0001, which builds only where this run has not committed
"#;
    assert_eq!(text(run, lines), expected);
}

#[test]
fn trial() {
    let run = Run {
        trial: true,
        ..short()
    };
    let lines = vec![
        line("db1", "a", State::TrialRolledBack),
        line("db1", "b", State::TrialRolledBack),
    ];
    let expected = r#"Succeeded: 2 of 2 targets succeeded (2 rolled back after success); a trial, nothing was changed

  run      0190aaaa-bbbb-4ccc-8ddd-eeeeffff0001
  package  orders, sha256 9f86d081884c, PostgreSQL
  time     2026-01-02 03:04:05 UTC, 1 min 05 s

Servers
  server  targets  ok  failed  not run  unknown  median  slowest
  db1           2   2       -        -        -   2.0 s    2.0 s

Next
  - Commit it: repeat the command without --trial
"#;
    assert_eq!(text(run, lines), expected);
}

#[test]
fn one_target_only() {
    let run = short();
    let lines = vec![failed("db1", "a", "02_orders.sql", MISSING)];
    let expected = r#"Failed: 0 of 1 target succeeded (1 rolled back)

  run      0190aaaa-bbbb-4ccc-8ddd-eeeeffff0001
  package  orders, sha256 9f86d081884c, PostgreSQL
  time     2026-01-02 03:04:05 UTC, 1 min 05 s

Errors
  1. 02_orders.sql:14:5: error 42P01, 1 target
     relation "orders" does not exist
     statement: ALTER TABLE orders ADD note text
     target: db1:a

Failed targets
  db1:a  RolledBack

Next
  - Correct the cause, then build the rest (1 target): repeat the command with a list of these
"#;
    assert_eq!(text(run, lines), expected);
}

#[test]
fn three_hundred_kinds_of_error() {
    let lines = (0..300).map(|number| {
        let server = format!("db{}", number % 30);
        failed(
            &server,
            &format!("d{number}"),
            &format!("{number:03}.sql"),
            MISSING,
        )
    });
    let got = text(short(), lines.collect());
    let mut expected = r#"Failed: 0 of 300 targets succeeded (300 rolled back)

  run      0190aaaa-bbbb-4ccc-8ddd-eeeeffff0001
  package  orders, sha256 9f86d081884c, PostgreSQL
  time     2026-01-02 03:04:05 UTC, 1 min 05 s

Servers
  server  targets  ok  failed  not run  unknown  median  slowest
"#
    .to_owned();
    for number in 0..20 {
        let server = format!("db{number}");
        expected +=
            &format!("  {server:<6}       10   -      10        -        -   2.0 s    2.0 s\n");
    }
    expected += "  and 10 more servers\n\nErrors\n";
    for number in 0..20 {
        expected += &format!(
            "  {}. {number:03}.sql:14:5: error 42P01, 1 target\n",
            number + 1
        );
        expected += "     relation \"orders\" does not exist\n";
        expected += "     statement: ALTER TABLE orders ADD note text\n";
        expected += &format!("     target: db{number}:d{number}\n");
    }
    expected += "  and 280 more kinds of error\n\nFailed targets\n";
    for number in 0..10 {
        expected += &format!("  db{number}:d{number}  RolledBack\n");
    }
    expected += "  and 290 more targets\n\nNext\n";
    expected += "  - Correct the cause, then build the rest (300 targets): repeat the command with a list of these\n";
    assert_eq!(got, expected);
}

#[test]
fn many_servers_of_one_error_are_cut() {
    let lines = (0..150).map(|number| failed(&format!("db{number:03}"), "d", "a.sql", "no"));
    let got = text(short(), lines.collect());
    let expected = "     servers: db000 (1), db001 (1), db002 (1), db003 (1), db004 (1), and 145 more servers\n     for example: db000:d, db001:d, db002:d\n";
    assert!(got.contains(expected), "{got}");
}

#[test]
fn left_overs_and_a_failed_service_are_told() {
    let run = Run {
        service_failed: Some("the queue was\ndeleted".into()),
        left_over: vec!["container group sbm-1".into()],
        ..short()
    };
    let got = text(run, vec![line("db1", "a", State::Committed)]);
    let start = "Service failed: 1 of 1 target succeeded (1 committed)\n  service failed: the queue was deleted\n\n";
    assert!(got.starts_with(start), "{got}");
    assert!(
        got.ends_with("\nNot removed\n  container group sbm-1\n"),
        "{got}"
    );
}

#[test]
fn a_trial_promises_nothing_where_something_may_have_stayed() {
    let run = Run {
        trial: true,
        ..short()
    };
    let lines = vec![
        line("db1", "a", State::TrialRolledBack),
        line("db1", "b", State::Failed),
    ];
    let got = text(run, lines);
    let expected = "Failed: 1 of 2 targets succeeded (1 rolled back after success, 1 failed, perhaps in part applied); a trial\n";
    assert!(got.starts_with(expected), "{got}");
}

#[test]
fn a_run_without_targets_is_told_without_tables() {
    let got = text(short(), Vec::new());
    assert!(
        got.starts_with("Succeeded: 0 of 0 targets succeeded\n\n  run "),
        "{got}"
    );
    assert!(!got.contains("Servers"), "{got}");
}

#[test]
fn a_hostile_message_controls_nothing() {
    let lines = vec![failed(
        "db\u{1b}[2J",
        "a\nb",
        "x\u{7}.sql",
        "\u{1b}[31mboo\r\n::error::x",
    )];
    let got = text(short(), lines);
    assert!(
        !got.chars().any(|char| char.is_control() && char != '\n'),
        "{got:?}"
    );
    assert!(got.contains("\n     [31mboo ::error::x\n"), "{got}");
}

#[test]
fn colours_change_nothing_but_colours() {
    let lines = vec![
        failed("db1", "a", "x.sql", MISSING),
        line("db1", "b", State::Committed),
    ];
    let report = report(run(), lines);
    let coloured = render(&report, Style::Coloured);
    assert!(
        coloured.starts_with("\u{1b}[1;31mFailed\u{1b}[0m: 1 of 2 targets"),
        "{coloured}"
    );
    let mut stripped = String::new();
    for part in coloured.split('\u{1b}') {
        let text = part.strip_prefix('[').and_then(|part| part.split_once('m'));
        stripped.push_str(text.map_or(part, |(_, text)| text));
    }
    assert_eq!(stripped, render(&report, Style::Plain));
}

#[test]
fn the_documentation_names_every_state_with_its_list() {
    for state in State::ALL {
        let row = DOCUMENTATION
            .lines()
            .find(|row| row.starts_with(&format!("| `{state}` | ")));
        let list = format!("{:?}", crate::report::List::of(state)).to_lowercase();
        assert!(
            row.is_some_and(|row| row.ends_with(&format!(" | {list} |"))),
            "{state}"
        );
    }
}

#[test]
fn an_error_without_script_or_code_is_told_without() {
    let mut login = failed("db1", "a", "x.sql", "login failed");
    login.errors[0].script = None;
    let mut bare = failed("db1", "b", "x.sql", "cannot connect");
    bare.errors[0].script = None;
    bare.errors[0].code = None;
    let got = text(short(), vec![login, bare]);
    assert!(
        got.contains("\n  1. 1 target\n     cannot connect\n"),
        "{got}"
    );
    assert!(
        got.contains("\n  2. error 42P01, 1 target\n     login failed\n"),
        "{got}"
    );
}
