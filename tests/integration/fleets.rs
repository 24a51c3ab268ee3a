//! Whole fleets: hundreds of databases with trouble among them, several processes at once, and the limits on how many
//! databases are built at the same time.

use std::path::Path;

use crate::support::{
    fleet::{Fleet, Platform, on_each_platform},
    live::{Live, eventually},
    many::{Holder, Many, WAIT_FOR_HOLDER},
    program::Program,
    run_files::{RunFiles, write_list, write_package},
    silent::Silent,
};

/// `sbm threaded run` on PostgreSQL with the files of `folder`.
fn threaded(many: &Many, folder: &Path, list: &Path) -> Program {
    Program::new(["threaded", "run", "--platform", "PostgreSQL"])
        .option("--username", many.server.user())
        .option("--packagename", folder.join("package"))
        .option("--override", list)
        .option("--rootloggingpath", folder.join("logs"))
}

const EFFECT: &str = "CREATE TABLE effect (id int);\nINSERT INTO effect VALUES (1);\n";

/// How many rows the build wrote and how many the ledger has, for each database: `1/1` when it was built once.
fn effects(many: &Many) -> Vec<String> {
    many.values(
        "SELECT (SELECT count(*) FROM effect) || '/' || (SELECT count(*) FROM SqlBuild_Ledger WHERE state = 'Committed')",
    )
}

/// Only databases in which a holder waits have the table.
const WAIT_WHERE_HELD: &str = "DO $$ BEGIN
    IF to_regclass('held') IS NOT NULL THEN PERFORM pg_advisory_xact_lock(4711); END IF;
END $$;\n";

#[test]
fn three_hundred_databases_with_four_in_trouble_are_told_truthfully_and_completed_later() {
    const TEST: &str = "three_hundred_databases_with_four_in_trouble";
    let Some(many) = Many::new(300, TEST) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    write_package(
        folder.path(),
        &[("1.sql", EFFECT), ("2.sql", WAIT_WHERE_HELD)],
    );
    let (broken, dropped, cut) = (&many.names[7], &many.names[11], &many.names[290]);
    let run = |database: &str, sql: &str| many.server.run(database, sql);
    run(
        broken,
        "CREATE VIEW effect AS SELECT 'in the way'::text AS id",
    );
    run(dropped, "CREATE TABLE held ()");
    run(cut, "CREATE TABLE held ()");
    let silent = Silent::before(&many.server);
    let ghost = format!("{}_ghost", many.names[0]);
    let mut lines = many.lines();
    lines.insert(20, format!("127.0.0.1:{}:{ghost}", silent.port));
    let list = write_list(folder.path(), "all.cfg", &lines);

    let (hold_dropped, hold_cut) = (
        Holder::new(&many.server, dropped),
        Holder::new(&many.server, cut),
    );
    let live = Live::start(
        threaded(&many, folder.path(), &list)
            .option("--concurrency", "16")
            .option("--connecttimeout", "2"),
    );
    // The one goes away for good in the middle of a script; the other one's connection is cut, and its build repeated.
    eventually("the first one waits", || hold_dropped.waiting().is_some());
    run("postgres", &format!("DROP DATABASE {dropped} WITH (FORCE)"));
    let mut process = None;
    eventually("the second one waits", || {
        process = hold_cut.waiting();
        process.is_some()
    });
    run(
        "postgres",
        &format!("SELECT pg_terminate_backend({})", process.unwrap()),
    );
    drop((hold_dropped, hold_cut));
    let report = live.end().expect_code(1);

    assert!(
        report
            .stdout
            .starts_with("Failed: 298 of 301 targets succeeded"),
        "{}",
        report.stdout
    );
    let files = RunFiles(folder.path().join("logs"));
    files.assert_partition(&lines);
    assert_eq!(
        files.list("failure"),
        [lines[7].clone(), lines[11].clone(), lines[20].clone()]
    );
    assert!(files.list("unresolved").is_empty());
    for (database, words) in [
        (broken, "effect"),
        (dropped, "does not exist"),
        (&ghost, "no answer within 2 s"),
    ] {
        let target = files.target(database).unwrap();
        assert_eq!(target["state"], "RolledBack", "{target}");
        let message = target["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(words), "{target}");
    }
    // Everybody else has it once.
    run("postgres", &format!("CREATE DATABASE {dropped}"));
    run(broken, "DROP VIEW effect");
    run(
        broken,
        "CREATE TABLE IF NOT EXISTS SqlBuild_Ledger (state text); CREATE TABLE effect (id int)",
    );
    run(
        dropped,
        "CREATE TABLE SqlBuild_Ledger (state text); CREATE TABLE effect (id int)",
    );
    for (name, effect) in many.names.iter().zip(effects(&many)) {
        let expected = if name == broken || name == dropped {
            "0/0"
        } else {
            "1/1"
        };
        assert_eq!(effect, expected, "{name}");
    }

    // The causes are repaired, and the list of failures completes the fleet.
    run(broken, "DROP TABLE effect");
    run(dropped, "DROP TABLE effect, SqlBuild_Ledger");
    run("postgres", &format!("CREATE DATABASE {ghost}"));
    let ghost = Many {
        server: many.server.clone(),
        names: vec![ghost],
    };
    silent.mend();
    let failures = files.list_path("failure");
    threaded(&many, folder.path(), &failures)
        .run()
        .expect_code(0);
    for many in [&many, &ghost] {
        assert!(effects(many).iter().all(|effect| effect == "1/1"));
    }
    assert_eq!(files.list("success").len(), 3);
}

/// A script that notes when it began and ended, and takes its time between the two.
fn spans(fleet: &Fleet) -> [(&'static str, String); 3] {
    let (now, pause) = match fleet.platform {
        Platform::Postgres => (
            "extract(epoch FROM clock_timestamp())",
            "SELECT pg_sleep(0.03)",
        ),
        Platform::SqlServer => (
            "DATEDIFF_BIG(microsecond, '1970-01-01', SYSUTCDATETIME()) / 1000000.0",
            "WAITFOR DELAY '00:00:00.030'",
        ),
        Platform::MySql => ("unix_timestamp(sysdate(6))", "DO SLEEP(0.03)"),
        Platform::Sqlite => (
            "(julianday('now') * 86400)",
            "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 20000) SELECT count(*) FROM c",
        ),
    };
    [
        ("1.sql", format!("INSERT INTO began VALUES ({now});\n")),
        ("2.sql", format!("{pause};\n")),
        ("3.sql", format!("INSERT INTO ended VALUES ({now});\n")),
    ]
}

fn prepare_spans(fleet: &Fleet) {
    for index in 0..fleet.names.len() {
        fleet.sql(
            index,
            "CREATE TABLE began (at double precision); CREATE TABLE ended (at double precision)",
        );
    }
    let files = spans(fleet);
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    fleet.package(&files);
}

/// The ends of all builds of a database, and the beginnings, both in order.
fn times(fleet: &Fleet, index: usize, table: &str) -> Vec<f64> {
    let rows = fleet.sql(index, &format!("SELECT at FROM {table} ORDER BY at"));
    rows.iter().map(|row| row[0].parse().unwrap()).collect()
}

on_each_platform!(two_runs_at_once_never_overlap_in_a_database, 20, |fleet| {
    prepare_spans(&fleet);
    let start = |logs: &str| {
        let list = fleet.list(&fleet.lines());
        let program = Program::new(["threaded", "run", "--output", "json", "--concurrency", "4"])
            .option("--packagename", fleet.folder.path().join("package"))
            .option("--override", list)
            .option("--rootloggingpath", fleet.folder.path().join(logs));
        Live::start(fleet.login(program))
    };
    let (one, two) = (start("logs-1"), start("logs-2"));
    let runs = [
        one.end().expect_code(0).json(),
        two.end().expect_code(0).json(),
    ];
    for run in &runs {
        assert_eq!(run["totals"]["committed"], 20, "{run}");
    }
    let mut ids = runs.map(|run| run["runId"].as_str().unwrap().to_owned());
    ids.sort();
    assert_ne!(ids[0], ids[1]);
    for index in 0..20 {
        let rows = fleet.sql(
            index,
            "SELECT RunId FROM SqlBuild_Ledger WHERE state = 'Committed' ORDER BY 1",
        );
        assert_eq!(rows.concat(), ids, "{index}");
        let (began, ended) = (times(&fleet, index, "began"), times(&fleet, index, "ended"));
        assert_eq!((began.len(), ended.len()), (2, 2));
        assert!(ended[0] <= began[1], "{index}: {began:?} {ended:?}");
    }
});

on_each_platform!(
    one_run_in_two_processes_builds_each_database_once,
    20,
    |fleet| {
        prepare_spans(&fleet);
        let id = uuid::Uuid::new_v4().to_string();
        let start = |logs: &str| {
            let list = fleet.list(&fleet.lines());
            let program =
                Program::new(["threaded", "run", "--output", "json", "--concurrency", "4"])
                    .option("--packagename", fleet.folder.path().join("package"))
                    .option("--resume", &id)
                    .option("--override", list)
                    .option("--rootloggingpath", fleet.folder.path().join(logs));
            Live::start(fleet.login(program))
        };
        let (one, two) = (start("logs-1"), start("logs-2"));
        let runs = [
            one.end().expect_code(0).json(),
            two.end().expect_code(0).json(),
        ];
        let total = |name: &str| -> u64 {
            let counts = runs.iter().map(|run| run["totals"][name].as_u64().unwrap());
            counts.sum()
        };
        assert_eq!((total("committed"), total("alreadyCommitted")), (20, 20));
        for index in 0..20 {
            let rows = fleet.sql(index, "SELECT RunId, state FROM SqlBuild_Ledger");
            assert_eq!(rows, [[id.clone(), "Committed".to_owned()]], "{index}");
            assert_eq!(fleet.rows(index, "began"), Some(1));
            assert_eq!(fleet.rows(index, "ended"), Some(1));
        }
    }
);

/// What a build notes: server and tag by which it was reached, when it began and when it ended.
struct Span {
    server: String,
    tag: String,
    began: f64,
    ended: f64,
}

/// The most spans that any moment belongs to.
fn most_at_once(spans: &[&Span]) -> usize {
    let at = |moment: f64| {
        spans
            .iter()
            .filter(|span| span.began <= moment && moment < span.ended)
            .count()
    };
    spans
        .iter()
        .map(|span| at(span.began))
        .max()
        .unwrap_or_default()
}

/// The most at once within each group, the greatest and the least of them.
fn most_by(spans: &[Span], group: impl Fn(&Span) -> &str) -> (usize, usize) {
    let mut names: Vec<&str> = spans.iter().map(&group).collect();
    names.sort_unstable();
    names.dedup();
    let most = names.iter().map(|name| {
        let members: Vec<&Span> = spans.iter().filter(|span| group(span) == *name).collect();
        most_at_once(&members)
    });
    let most: Vec<usize> = most.collect();
    (*most.iter().max().unwrap(), *most.iter().min().unwrap())
}

/// Two servers, which are two names of the same one, with three tags.
fn place(many: &Many, index: usize) -> (String, &'static str) {
    let server = ["127.0.0.1", "localhost"][index % 2];
    let tag = ["red", "green", "blue"][index / 2 % 3];
    (format!("{server}:{}", many.server.port()), tag)
}

/// What the databases saw of a run with these limits. All builds wait until `expected` are there at once.
fn spans_of_run(many: &Many, folder: &Path, limits: &[&str], expected: usize) -> Vec<Span> {
    let lines: Vec<String> = (0..many.names.len())
        .map(|index| {
            let (server, tag) = place(many, index);
            format!("{server}:{}#{tag}", many.names[index])
        })
        .collect();
    let list = write_list(folder, "all.cfg", &lines);
    many.rows("DROP TABLE IF EXISTS began, ended; CREATE TABLE began (at float); CREATE TABLE ended (at float)");
    let holders = many
        .names
        .iter()
        .map(|name| Holder::new(&many.server, name));
    let holders: Vec<Holder> = holders.collect();
    let live = Live::start(threaded(many, folder, &list).words(limits));
    eventually("all slots are used", || many.waiting() == expected);
    drop(holders);
    live.end().expect_code(0);
    let times = many.rows("SELECT began.at, ended.at FROM began, ended");
    let spans = times.iter().enumerate().map(|(index, rows)| {
        assert_eq!(rows.len(), 1);
        let (server, tag) = place(many, index);
        Span {
            server,
            tag: tag.to_owned(),
            began: rows[0][0].parse().unwrap(),
            ended: rows[0][1].parse().unwrap(),
        }
    });
    spans.collect()
}

#[test]
fn every_kind_of_limit_is_kept_and_used() {
    let Some(many) = Many::new(24, "every_kind_of_limit_is_kept_and_used") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let now = "extract(epoch FROM clock_timestamp())";
    let script = format!(
        "INSERT INTO began VALUES ({now});\n{WAIT_FOR_HOLDER}INSERT INTO ended VALUES ({now});\n"
    );
    write_package(folder.path(), &[("1.sql", &script)]);
    let run = |kind: &str, limit: &str, slots: &str, expected: usize| {
        let limits = [
            "--concurrencytype",
            kind,
            "--concurrency",
            limit,
            "--maxslots",
            slots,
        ];
        let spans = spans_of_run(&many, folder.path(), &limits, expected);
        let all: Vec<&Span> = spans.iter().collect();
        assert_eq!(most_at_once(&all), expected, "{kind}");
        let servers = most_by(&spans, |span| &span.server);
        (servers, most_by(&spans, |span| &span.tag))
    };
    run("Count", "5", "32", 5);
    assert_eq!(run("Server", "9", "32", 2).0, (1, 1));
    assert_eq!(run("MaxPerServer", "4", "32", 8).0, (4, 4));
    assert_eq!(run("Tag", "9", "32", 3).1, (1, 1));
    assert_eq!(run("MaxPerTag", "2", "32", 6).1, (2, 2));
    let (_, tags) = run("MaxPerTag", "4", "7", 7);
    assert!(tags.0 <= 4, "{tags:?}");
}

#[test]
fn one_slow_database_costs_one_slot() {
    let Some(many) = Many::new(12, "one_slow_database_costs_one_slot") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    write_package(
        folder.path(),
        &[("1.sql", EFFECT), ("2.sql", WAIT_FOR_HOLDER)],
    );
    let list = write_list(folder.path(), "all.cfg", &many.lines());
    let slow = Holder::new(&many.server, &many.names[0]);
    let mut live = Live::start(threaded(&many, folder.path(), &list).option("--concurrency", "2"));
    let sql = "SELECT count(*) FROM pg_tables WHERE tablename = 'effect'";
    eventually("the others are built", || {
        many.values(sql)
            .iter()
            .filter(|count| *count == "1")
            .count()
            == 11
    });
    assert!(live.is_running());
    assert!(slow.waiting().is_some());
    drop(slow);
    live.end().expect_code(0);
    assert!(effects(&many).iter().all(|effect| effect == "1/1"));
}
