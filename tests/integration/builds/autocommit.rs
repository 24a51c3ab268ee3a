//! Builds without a transaction: what ran stays, and nobody runs it again without looking.

use crate::support::{
    builds::note,
    fleet::{Fleet, Platform, on_each_platform},
    program::Program,
};

fn without_transaction(fleet: &Fleet) -> Program {
    fleet
        .threaded_run()
        .option("--transactional", "false")
        .option("--output", "json")
}

on_each_platform!(a_build_without_transaction_is_recorded, 1, |fleet| {
    let fleet = fleet.with_trace();
    let both = format!("{}{}", note("1"), note("2"));
    fleet.package(&[("1.sql", &both), ("2.sql", &note("3"))]);
    without_transaction(&fleet).run().expect_code(0);
    assert_eq!(fleet.trace(0), ["1", "2", "3"]);
    assert_eq!(fleet.audited(0), ["1.sql", "2.sql"]);
    assert_eq!(fleet.ledger(0), ["Committed"]);
    let row = "SELECT attempt, CASE WHEN finished IS NULL THEN 'open' ELSE 'done' END, detail FROM SqlBuild_Ledger";
    assert_eq!(fleet.sql(0, row), [["1", "done", "NULL"]]);
});

on_each_platform!(a_failed_build_runs_again_only_on_request, 1, |fleet| {
    let fleet = fleet.with_trace();
    let yaml = "scripts: [{file: 1.sql, run_once: true}, 2.sql]";
    let second = "INSERT INTO trace (what) VALUES ('2');\n\nINSERT INTO later VALUES (1);";
    fleet.package(&[("sbm.yaml", yaml), ("1.sql", &note("1")), ("2.sql", second)]);
    let run = without_transaction(&fleet).run().expect_code(1);
    let failed = run.only("failed");
    assert_eq!(failed["state"], "Failed");
    assert_eq!(failed["errors"][0]["line"], 3);
    assert_eq!(fleet.trace(0), ["1", "2"]);
    let id = fleet.run_id();

    fleet.sql(0, "CREATE TABLE later (a int)");
    let again = || without_transaction(&fleet).option("--resume", &id);
    let run = again().run().expect_code(1);
    let failed = run.only("failed");
    assert_eq!(failed["state"], "Failed");
    let message = failed["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("--redo failed"), "{message}");
    assert!(message.contains("later"), "{message}");
    assert_eq!(fleet.trace(0), ["1", "2"]);
    again().option("--redo", "interrupted").run().expect_code(1);
    assert_eq!(fleet.trace(0), ["1", "2"]);

    again().option("--redo", "failed").run().expect_code(0);
    // The script that runs once was recorded by the attempt that failed.
    assert_eq!(fleet.trace(0), ["1", "2", "2"]);
    assert_eq!(fleet.audited(0), ["1.sql", "2.sql"]);
    let row = "SELECT state, attempt, detail FROM SqlBuild_Ledger";
    assert_eq!(fleet.sql(0, row), [["Committed", "2", "NULL"]]);

    let run = again().option("--redo", "failed").run().expect_code(0);
    assert_eq!(run.count("alreadyCommitted"), 1);
    assert_eq!(fleet.trace(0).len(), 3);
});

on_each_platform!(a_killed_build_runs_again_only_on_request, 1, |fleet| {
    let fleet = fleet.with_trace().with_gate();
    fleet.package(&[
        ("1.sql", &note("1")),
        ("2.sql", fleet.gate()),
        ("3.sql", &note("3")),
    ]);
    let child = without_transaction(&fleet).start();
    fleet.wait_for_script("2.sql");
    fleet.kill(child);
    fleet.open_gate(0);
    assert_eq!(fleet.ledger(0), ["Started"]);
    assert_eq!(fleet.audited(0), ["1.sql"]);
    let id = fleet.run_id();

    let again = || without_transaction(&fleet).option("--resume", &id);
    let run = again().run().expect_code(1);
    assert_eq!(run.only("unresolved")["state"], "Interrupted");
    let unresolved = fleet.outcome("unresolveddatabases.cfg");
    assert!(unresolved.contains(&fleet.names[0]), "{unresolved}");
    again().option("--redo", "failed").run().expect_code(1);
    assert_eq!(fleet.trace(0), ["1"]);
    assert_eq!(fleet.ledger(0), ["Started"]);

    again().option("--redo", "interrupted").run().expect_code(0);
    assert_eq!(fleet.trace(0), ["1", "1", "3"]);
    let row = "SELECT state, attempt FROM SqlBuild_Ledger";
    assert_eq!(fleet.sql(0, row), [["Committed", "2"]]);
});

/// A statement that needs no transaction, with a table for it.
fn outside(fleet: &Fleet) -> [(&'static str, &'static str); 2] {
    match fleet.platform {
        Platform::Postgres => [
            (
                "CREATE INDEX CONCURRENTLY i ON trace (what)",
                "CREATE INDEX CONCURRENTLY",
            ),
            ("VACUUM (ANALYZE) trace", "VACUUM"),
        ],
        Platform::SqlServer => [
            (
                "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF",
                "ALTER DATABASE",
            ),
            ("EXEC sp_updatestats", "sp_updatestats"),
        ],
        // What cannot be rolled back makes a build there one without a transaction; so only what ends one is refused.
        Platform::MySql => [
            ("COMMIT", "COMMIT"),
            ("SET autocommit = 1", "SET autocommit"),
        ],
        Platform::Sqlite => [
            ("VACUUM", "VACUUM"),
            ("PRAGMA journal_mode = DELETE", "PRAGMA journal_mode"),
        ],
    }
}

on_each_platform!(some_statements_need_no_transaction_around, 1, |fleet| {
    let fleet = fleet.with_trace();
    let [(one, one_name), (two, two_name)] = outside(&fleet);
    let script = format!("{}\n{one};\n{}\n{two};\n", note("1"), note("2"));
    fleet.package(&[("a/1.sql", &script)]);
    let run = fleet.threaded_run().run().expect_code(2);
    for part in [
        format!("a/1.sql:3: {one_name}"),
        format!("a/1.sql:6: {two_name}"),
        "--transactional false".to_owned(),
    ] {
        assert!(run.stderr.contains(&part), "{part}: {}", run.stderr);
    }
    fleet.assert_untouched(0);
    assert!(!fleet.logs().exists());

    without_transaction(&fleet).run().expect_code(0);
    assert_eq!(fleet.trace(0), ["1", "2"]);
    assert_eq!(fleet.ledger(0), ["Committed"]);
    if fleet.platform == Platform::Postgres {
        let index = "SELECT count(*) FROM pg_indexes WHERE indexname = 'i'";
        assert_eq!(fleet.value(0, index), "1");
    }
});

on_each_platform!(scripts_may_have_transactions_of_their_own, 1, |fleet| {
    let fleet = fleet.with_trace();
    let begin = fleet.begins();
    let script = format!(
        "{begin};\n{}COMMIT;\n{begin};\n{}ROLLBACK;\n{}",
        note("1"),
        note("2"),
        note("3")
    );
    fleet.package(&[("1.sql", &script)]);
    without_transaction(&fleet).run().expect_code(0);
    assert_eq!(fleet.trace(0), ["1", "3"]);
    assert_eq!(fleet.ledger(0), ["Committed"]);

    // An error inside one undoes it, and the next run finds no transaction open.
    let script = format!(
        "{begin};\n{}INSERT INTO missing VALUES (1);\nCOMMIT;\n",
        note("4")
    );
    fleet.package(&[("1.sql", &script)]);
    without_transaction(&fleet).run().expect_code(1);
    assert_eq!(fleet.trace(0), ["1", "3"]);
    assert_eq!(fleet.ledger(0), ["Committed", "Failed"]);
});

on_each_platform!(
    two_databases_without_transaction_fail_together,
    2,
    |fleet| {
        let fleet = fleet.with_trace();
        let yaml = "scripts: [{file: a.sql, database: a}, {file: b.sql, database: b}]";
        let package = fleet.package(&[
            ("sbm.yaml", yaml),
            ("a.sql", &note("a")),
            ("b.sql", "INSERT INTO missing VALUES (1);"),
        ]);
        let (one, two) = (&fleet.names[0], &fleet.names[1]);
        let line = format!("{}:a,{one};b,{two}", fleet.server());
        let run = fleet
            .run_of(&package, &[line])
            .option("--transactional", "false")
            .option("--output", "json")
            .run()
            .expect_code(1);
        assert_eq!(run.only("failed")["state"], "Failed");
        assert_eq!(fleet.trace(0), ["a"]);
        assert_eq!([fleet.ledger(0), fleet.ledger(1)], [["Failed"]; 2]);
        assert_eq!(fleet.audited(0), ["a.sql"]);
    }
);
