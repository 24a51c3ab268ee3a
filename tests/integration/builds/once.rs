//! Scripts that run once in each database.

use crate::support::{
    builds::note,
    fleet::{Fleet, on_each_platform},
    program::Run,
};

fn build(fleet: &Fleet, once: &str) -> Run {
    let yaml = "scripts: [{file: once.sql, run_once: true}, always.sql]";
    fleet.package(&[
        ("sbm.yaml", yaml),
        ("once.sql", once),
        ("always.sql", &note("always")),
    ]);
    fleet.threaded_run().option("--output", "json").run()
}

on_each_platform!(a_run_once_script_is_skipped_the_second_time, 1, |fleet| {
    let fleet = fleet.with_trace();
    build(&fleet, &note("once")).expect_code(0);
    let run = build(&fleet, &note("once")).expect_code(0);
    assert_eq!(fleet.trace(0), ["once", "always", "always"]);
    assert_eq!(fleet.audited(0), ["once.sql", "always.sql", "always.sql"]);
    assert_eq!(
        run.json()["warnings"]["listed"].as_array().unwrap().len(),
        0
    );
    assert!(fleet.database_logs().contains("once.sql runs once"));
});

on_each_platform!(a_changed_run_once_script_is_a_warning, 1, |fleet| {
    let fleet = fleet.with_trace();
    build(&fleet, &note("once")).expect_code(0);
    let run = build(&fleet, &note("changed")).expect_code(0);
    assert_eq!(fleet.trace(0), ["once", "always", "always"]);
    let warning = run.only("warnings")["warnings"][0].to_string();
    assert!(warning.contains("once.sql"), "{warning}");
    assert!(warning.contains("another text"), "{warning}");
});

on_each_platform!(
    a_row_that_does_not_block_lets_a_script_run_again,
    1,
    |fleet| {
        let fleet = fleet.with_trace();
        build(&fleet, &note("once")).expect_code(0);
        let off = match fleet.platform {
            crate::support::fleet::Platform::Sqlite
            | crate::support::fleet::Platform::SqlServer
            | crate::support::fleet::Platform::MySql => "0",
            crate::support::fleet::Platform::Postgres => "false",
        };
        fleet.sql(
            0,
            &format!("UPDATE SqlBuild_Logging SET AllowScriptBlock = {off}"),
        );
        build(&fleet, &note("again")).expect_code(0);
        assert_eq!(fleet.trace(0), ["once", "always", "again", "always"]);
        build(&fleet, &note("again")).expect_code(0);
        assert_eq!(fleet.trace(0).len(), 5);
    }
);

on_each_platform!(a_rolled_back_script_has_not_run, 1, |fleet| {
    let fleet = fleet.with_trace();
    let yaml = "run_once: true";
    let files = |second: &'static str| {
        [
            ("sbm.yaml", yaml),
            ("1.sql", "INSERT INTO trace (what) VALUES ('1');"),
            ("2.sql", second),
        ]
    };
    fleet
        .build(&files("INSERT INTO missing VALUES (1);"))
        .expect_code(1);
    fleet.build(&files("SELECT 1;")).expect_code(0);
    assert_eq!(fleet.trace(0), ["1"]);
});

on_each_platform!(flag_of_a_package_says_that_a_script_runs_once, 1, |fleet| {
    let fleet = fleet.with_trace();
    let package = fleet.sbx(&[
        ("1.sql", "AllowMultipleRuns=\"false\"", &note("once")),
        ("2.sql", "AllowMultipleRuns=\"true\"", &note("always")),
    ]);
    for _ in 0..2 {
        fleet.run_of(&package, &fleet.lines()).run().expect_code(0);
    }
    assert_eq!(fleet.trace(0), ["once", "always", "always"]);
});

on_each_platform!(with_rows_elsewhere_that_database_is_asked, 3, |fleet| {
    let fleet = fleet.with_trace();
    let yaml = "run_once: true";
    fleet.package(&[("sbm.yaml", yaml), ("1.sql", &note("once"))]);
    let run = |lines: &[String]| {
        let list = fleet.list(lines);
        fleet
            .threaded_run_on(&list)
            .option("--logtodatabasename", &fleet.names[2])
            .run()
            .expect_code(0)
    };
    let lines = fleet.lines();
    run(&lines[..1]);
    assert_eq!(fleet.rows(0, "SqlBuild_Logging").unwrap_or(0), 0);
    // The rows of one database say nothing of another.
    run(&lines[..2]);
    assert_eq!(fleet.trace(0), ["once"]);
    assert_eq!(fleet.trace(1), ["once"]);
    assert_eq!(fleet.rows(2, "SqlBuild_Logging"), Some(2));
});
