//! Trials: everything runs, nothing stays.

use crate::support::{
    builds::note,
    fleet::{Fleet, Platform, on_each_platform},
    program::Program,
};

fn trial(fleet: &Fleet) -> Program {
    fleet
        .threaded_run()
        .option("--trial", "true")
        .option("--output", "json")
}

on_each_platform!(a_trial_leaves_nothing, 2, |fleet| {
    let fleet = fleet.with_trace();
    // What a server cannot take back is refused.
    let table = match fleet.platform {
        Platform::MySql => "CREATE TEMPORARY TABLE t (id int PRIMARY KEY);",
        _ => "CREATE TABLE t (id int PRIMARY KEY);",
    };
    fleet.package(&[("1.sql", table), ("2.sql", &note("2"))]);
    let run = trial(&fleet).run().expect_code(0);
    assert_eq!(run.count("trialRolledBack"), 2);
    for index in 0..2 {
        fleet.assert_untouched(index);
        for table in ["t", "SqlBuild_Logging", "SqlBuild_Ledger"] {
            assert!(!fleet.has_table(index, table), "{table}");
        }
    }
    // It has run all the same.
    assert!(fleet.database_logs().contains("-- 2.sql, batch 1"));
    assert!(fleet.outcome("failuredatabases.cfg").is_empty());
});

on_each_platform!(a_trial_of_one_database_rolls_back_too, 1, |fleet| {
    let fleet = fleet.with_trace();
    let package = fleet.package(&[("1.sql", &note("1"))]);
    fleet
        .single_build(&package)
        .option("--server", fleet.server())
        .option("--database", &fleet.names[0])
        .words(["--trial"])
        .run()
        .expect_code(0);
    fleet.assert_untouched(0);
    fleet
        .run_of(&package, &fleet.lines())
        .words(["--trial"])
        .run()
        .expect_code(0);
    fleet.assert_untouched(0);
    assert!(!fleet.has_table(0, "SqlBuild_Ledger"));
});

on_each_platform!(a_trial_finds_errors, 1, |fleet| {
    let fleet = fleet.with_trace();
    fleet.package(&[("1.sql", &note("1")), ("2.sql", "SELECT * FROM missing;")]);
    let run = trial(&fleet).run().expect_code(1);
    assert_eq!(run.only("failed")["state"], "RolledBack");
    fleet.assert_untouched(0);
    assert!(!fleet.has_table(0, "SqlBuild_Ledger"));
});

on_each_platform!(a_trial_obeys_and_leaves_run_once, 1, |fleet| {
    let fleet = fleet.with_trace();
    fleet.package(&[("sbm.yaml", "run_once: true"), ("1.sql", &note("once"))]);
    trial(&fleet).run().expect_code(0);
    fleet.threaded_run().run().expect_code(0);
    assert_eq!(fleet.trace(0), ["once"]);
    // The row of a real run counts in a trial: a changed text would fail, but is skipped.
    let failing = "INSERT INTO missing VALUES (1);";
    fleet.package(&[("sbm.yaml", "run_once: true"), ("1.sql", failing)]);
    let run = trial(&fleet).run().expect_code(0);
    assert!(run.stdout.contains("another text"), "{}", run.stdout);
    assert_eq!(fleet.ledger(0), ["Committed"]);
    assert_eq!(fleet.rows(0, "SqlBuild_Logging"), Some(1));
});

on_each_platform!(a_trial_writes_nothing_elsewhere, 2, |fleet| {
    let fleet = fleet.with_trace();
    fleet.package(&[("1.sql", &note("1"))]);
    let list = fleet.list(&fleet.lines()[..1]);
    fleet
        .threaded_run_on(&list)
        .option("--trial", "true")
        .option("--logtodatabasename", &fleet.names[1])
        .run()
        .expect_code(0);
    fleet.assert_untouched(0);
    assert!(!fleet.has_table(1, "SqlBuild_Logging"));
    assert!(!fleet.has_table(1, "SqlBuild_Ledger"));
});

on_each_platform!(a_trial_needs_a_transaction, 1, |fleet| {
    let fleet = fleet.with_trace();
    fleet.package(&[("1.sql", &note("1"))]);
    let run = trial(&fleet)
        .option("--transactional", "false")
        .run()
        .expect_code(2);
    assert!(run.stderr.contains("--trial"), "{}", run.stderr);
    fleet.assert_untouched(0);
    assert!(!fleet.logs().exists());
});

on_each_platform!(a_trial_can_be_followed_by_the_build, 1, |fleet| {
    let fleet = fleet.with_trace();
    fleet.package(&[("1.sql", &note("1"))]);
    trial(&fleet).run().expect_code(0);
    let id = fleet.run_id();
    fleet.resume(&id).run().expect_code(0);
    assert_eq!(fleet.trace(0), ["1"]);
});
