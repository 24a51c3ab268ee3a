//! Scripts that take too long, and builds that are tried again.

use crate::support::{
    builds::{eventually, note},
    fleet::{Fleet, Platform, on_each_platform},
    postgres::Server,
};

/// How often a script was sent.
fn times_sent(fleet: &Fleet, script: &str) -> usize {
    let line = format!("-- {script}, batch 1 ");
    fleet.database_logs().matches(&line).count()
}

/// A package whose second script waits at the gate for a second.
fn slow_package(fleet: &Fleet, settings: &str) {
    let yaml = format!("scripts: [1.sql, {{file: 2.sql, {settings}}}, 3.sql]");
    fleet.package(&[
        ("sbm.yaml", &yaml),
        ("1.sql", &note("1")),
        ("2.sql", fleet.gate()),
        ("3.sql", &note("3")),
    ]);
}

on_each_platform!(a_time_out_may_be_tolerated, 1, |fleet| {
    let fleet = fleet.with_trace().with_gate();
    slow_package(&fleet, "timeout: 1, causes_build_failure: false");
    let run = fleet
        .threaded_run()
        .option("--output", "json")
        .run()
        .expect_code(0);
    assert_eq!(fleet.trace(0), ["1", "3"]);
    assert_eq!(fleet.audited(0), ["1.sql", "3.sql"]);
    let warnings = run.only("warnings")["warnings"].to_string();
    assert!(warnings.contains("2.sql:1: "), "{warnings}");
});

on_each_platform!(a_time_out_without_transaction_leaves_a_part, 1, |fleet| {
    let fleet = fleet.with_trace().with_gate();
    slow_package(&fleet, "timeout: 1");
    fleet
        .threaded_run()
        .option("--transactional", "false")
        .run()
        .expect_code(1);
    assert_eq!(fleet.trace(0), ["1"]);
    assert_eq!(fleet.ledger(0), ["Failed"]);
    let detail = fleet.value(0, "SELECT detail FROM SqlBuild_Ledger");
    assert!(detail.contains("after 1 s"), "{detail}");
});

on_each_platform!(the_default_time_out_is_for_scripts_without, 1, |fleet| {
    let fleet = fleet.with_trace().with_gate();
    fleet.package(&[("1.sql", fleet.gate())]);
    let run = fleet
        .threaded_run()
        .option("--defaultscripttimeout", "1")
        .run()
        .expect_code(1);
    assert!(run.stdout.contains("after 1 s"), "{}", run.stdout);
});

#[test]
fn a_script_s_own_time_out_is_stronger_than_the_default() {
    let test = "a_script_s_own_time_out_is_stronger_than_the_default";
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, test) else {
        return;
    };
    let settings = [
        ("sbm.yaml", "timeout: 600"),
        ("1.sql", "SELECT pg_sleep(1.1);"),
    ];
    fleet.package(&settings);
    let run = || {
        fleet
            .threaded_run()
            .option("--defaultscripttimeout", "1")
            .run()
    };
    run().expect_code(0);
    fleet.package(&settings[1..]);
    run().expect_code(1);
}

on_each_platform!(time_outs_are_repeated_as_often_as_asked, 1, |fleet| {
    let fleet = fleet.with_trace().with_gate();
    slow_package(&fleet, "timeout: 1");
    let run = fleet
        .threaded_run()
        .option("--timeoutretrycount", "2")
        .option("--output", "json")
        .run()
        .expect_code(1);
    let failed = run.only("failed");
    assert_eq!(failed["state"], "RolledBack");
    assert_eq!(failed["retries"], 2);
    let error = &failed["errors"][0];
    assert_eq!(
        (&error["script"], &error["line"]),
        (&"2.sql".into(), &1.into())
    );
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("after 1 s"), "{message}");
    assert_eq!(times_sent(&fleet, "2.sql"), 3);
    fleet.assert_untouched(0);
});

on_each_platform!(a_later_attempt_may_succeed, 1, |fleet| {
    let fleet = fleet.with_trace().with_gate();
    slow_package(&fleet, "timeout: 1");
    let child = fleet
        .threaded_run()
        .option("--timeoutretrycount", "20")
        .start();
    eventually("a second attempt", || times_sent(&fleet, "2.sql") > 1);
    fleet.open_gate(0);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(fleet.trace(0), ["1", "3"]);
    assert_eq!(fleet.ledger(0), ["Committed"]);
    assert_eq!(fleet.audited(0), ["1.sql", "2.sql", "3.sql"]);
});

on_each_platform!(repetition_without_transaction_is_refused, 1, |fleet| {
    let fleet = fleet.with_trace().with_gate();
    slow_package(&fleet, "timeout: 1");
    let run = fleet
        .threaded_run()
        .option("--timeoutretrycount", "2")
        .option("--transactional", "false")
        .run()
        .expect_code(2);
    assert!(run.stderr.contains("--timeoutretrycount"), "{}", run.stderr);
    fleet.assert_untouched(0);
});

/// Another session holds `b` and wants `a`; the build holds `a` and wants `b`, and is the one that the server ends.
#[test]
fn a_dead_lock_is_tried_again() {
    let test = "a_dead_lock_is_tried_again";
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, test) else {
        return;
    };
    let fleet = fleet.with_trace().with_gate();
    fleet.sql(
        0,
        "CREATE TABLE a (n int); CREATE TABLE b (n int); INSERT INTO a VALUES (0); INSERT INTO b VALUES (0)",
    );
    let (server, name) = (Server::for_test(test).unwrap(), fleet.names[0].clone());
    let other = std::thread::spawn(move || {
        server.run(
            &name,
            "SET deadlock_timeout TO '1h'; BEGIN; UPDATE b SET n = n + 10; \
             DO $$ BEGIN LOOP EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())); \
             PERFORM pg_sleep(0.02); END LOOP; END $$; \
             UPDATE a SET n = n + 10; INSERT INTO gate VALUES (1); COMMIT",
        )
    });
    fleet.package(&[
        ("1.sql", "UPDATE a SET n = n + 1; SELECT pg_advisory_xact_lock(77);"),
        (
            "2.sql",
            "DO $$ BEGIN LOOP EXIT WHEN EXISTS (SELECT FROM gate) OR EXISTS (SELECT FROM pg_locks WHERE NOT granted \
             AND locktype = 'transactionid' AND transactionid = pg_current_xact_id()::xid); \
             PERFORM pg_sleep(0.02); END LOOP; END $$;\nUPDATE b SET n = n + 1;",
        ),
        ("3.sql", &note("3")),
    ]);
    fleet.threaded_run().run().expect_code(0);
    other.join().unwrap();
    assert_eq!(times_sent(&fleet, "2.sql"), 2);
    assert!(fleet.database_logs().contains("error 40P01"));
    assert_eq!(
        fleet.column(0, "SELECT n FROM a UNION ALL SELECT n FROM b"),
        ["11", "11"]
    );
    assert_eq!(fleet.trace(0), ["3"]);
    assert_eq!(fleet.ledger(0), ["Committed"]);
}
