//! Runs that go on: each has one effect, however often it is started.

use crate::support::{builds::note, fleet::on_each_platform};

on_each_platform!(a_killed_build_is_built_exactly_once, 1, |fleet| {
    let fleet = fleet.with_trace().with_gate();
    fleet.package(&[
        ("1.sql", &note("1")),
        ("2.sql", fleet.gate()),
        ("3.sql", &note("3")),
    ]);
    let child = fleet.threaded_run().start();
    fleet.wait_for_script("2.sql");
    fleet.kill(child);
    fleet.assert_untouched(0);
    fleet.open_gate(0);
    let id = fleet.run_id();

    let run = fleet
        .resume(&id)
        .option("--output", "json")
        .run()
        .expect_code(0);
    assert_eq!(run.count("committed"), 1);
    assert_eq!(run.json()["runId"], id.as_str());
    assert_eq!(fleet.trace(0), ["1", "3"]);
    assert_eq!(fleet.ledger(0), ["Committed"]);

    let run = fleet
        .resume(&id)
        .option("--output", "json")
        .run()
        .expect_code(0);
    assert_eq!(run.count("alreadyCommitted"), 1);
    assert_eq!(fleet.trace(0), ["1", "3"]);
    assert_eq!(fleet.audited(0), ["1.sql", "2.sql", "3.sql"]);
    assert_eq!(
        fleet.column(0, "SELECT runid FROM SqlBuild_Ledger"),
        [id.as_str()]
    );
    assert_eq!(
        fleet.column(0, "SELECT attempt FROM SqlBuild_Ledger"),
        ["1"]
    );

    // A new run is a new effect.
    fleet.threaded_run().run().expect_code(0);
    assert_ne!(fleet.run_id(), id);
    assert_eq!(fleet.trace(0), ["1", "3", "1", "3"]);
    assert_eq!(fleet.ledger(0), ["Committed", "Committed"]);
});

on_each_platform!(a_run_goes_on_where_databases_are_missing, 3, |fleet| {
    let fleet = fleet.with_trace();
    fleet.package(&[("1.sql", &note("1"))]);
    fleet.sql(1, "DROP TABLE trace");
    let run = fleet
        .threaded_run()
        .option("--output", "json")
        .run()
        .expect_code(1);
    assert_eq!((run.count("committed"), run.count("rolledBack")), (2, 1));
    let failed = fleet.outcome("failuredatabases.cfg");
    assert_eq!(failed.lines().count(), 1, "{failed}");
    assert!(failed.contains(&fleet.names[1]), "{failed}");

    fleet.sql(1, "CREATE TABLE trace (id int, what text)");
    let run = fleet
        .threaded_run()
        .words(["--resume"])
        .option("--output", "json")
        .run()
        .expect_code(0);
    assert_eq!(
        (run.count("committed"), run.count("alreadyCommitted")),
        (1, 2)
    );
    for index in 0..3 {
        assert_eq!(fleet.trace(index), ["1"]);
        assert_eq!(fleet.ledger(index), ["Committed"]);
    }
});

on_each_platform!(another_package_is_another_run, 1, |fleet| {
    let fleet = fleet.with_trace();
    fleet.package(&[("1.sql", &note("1"))]);
    fleet.threaded_run().run().expect_code(0);
    let id = fleet.run_id();
    fleet.package(&[("1.sql", &note("other"))]);
    let run = fleet.resume(&id).run().expect_code(2);
    assert!(run.stderr.contains("another package"), "{}", run.stderr);
    assert_eq!(fleet.trace(0), ["1"]);
});

on_each_platform!(
    a_partly_committed_target_is_finished_on_request,
    2,
    |fleet| {
        let fleet = fleet.with_trace();
        let yaml = "scripts: [{file: a.sql, database: a}, {file: b.sql, database: b}]";
        let package = fleet.package(&[
            ("sbm.yaml", yaml),
            ("a.sql", &note("a")),
            ("b.sql", &note("b")),
        ]);
        let (one, two) = (&fleet.names[0], &fleet.names[1]);
        let line = format!("{}:a,{one};b,{two}", fleet.server());
        let lines = [line];
        fleet.run_of(&package, &lines).run().expect_code(0);
        let id = fleet.run_id();
        // As a crash between the two commits leaves it.
        for table in ["trace", "SqlBuild_Logging", "SqlBuild_Ledger"] {
            fleet.sql(1, &format!("DELETE FROM {table}"));
        }
        let again = || {
            fleet
                .run_of(&package, &lines)
                .option("--resume", &id)
                .option("--output", "json")
        };
        let run = again().run().expect_code(1);
        let target = run.only("unresolved");
        assert_eq!(target["state"], "PartlyCommitted");
        assert_eq!(target["committed"][0], one.as_str());
        assert_eq!(target["missing"][0], two.as_str());
        assert_eq!((fleet.trace(0).len(), fleet.trace(1).len()), (1, 0));
        again().words(["--finish-partial"]).run().expect_code(0);
        assert_eq!(
            (fleet.trace(0), fleet.trace(1)),
            (vec!["a".into()], vec!["b".into()])
        );
        assert_eq!(fleet.audited(1), ["b.sql"]);
        assert_eq!(fleet.ledger(1), ["Committed"]);
    }
);
