//! The version that a build records in the target's own table.

use crate::support::{
    builds::note,
    fleet::{Platform, on_each_platform},
};

on_each_platform!(a_revision_is_recorded_as_it_was_typed, 1, |fleet| {
    let fleet = fleet.with_trace();
    fleet.sql(0, "CREATE TABLE Versions (VersionNumber varchar(100))");
    fleet.package(&[("1.sql", &note("1"))]);
    let revision = "v1.2''3'); DROP TABLE trace; -- \\ $1";
    fleet
        .threaded_run()
        .option("--buildrevision", revision)
        .option("--description", "d")
        .run()
        .expect_code(0);
    assert_eq!(
        fleet.column(0, "SELECT VersionNumber FROM Versions"),
        [revision]
    );
    assert_eq!(fleet.trace(0), ["1"]);
    assert_eq!(fleet.audited(0), ["1.sql", "Versions Insert.sql"]);
});

on_each_platform!(without_the_table_the_build_rolls_back, 1, |fleet| {
    let fleet = fleet.with_trace();
    fleet.package(&[("1.sql", &note("1"))]);
    let run = fleet
        .threaded_run()
        .option("--buildrevision", "v1")
        .run()
        .expect_code(1);
    assert!(
        run.stdout.contains("Versions Insert.sql:1"),
        "{}",
        run.stdout
    );
    fleet.assert_untouched(0);
});

on_each_platform!(a_revision_goes_to_the_first_database, 2, |fleet| {
    let fleet = fleet.with_trace();
    for index in 0..2 {
        fleet.sql(index, "CREATE TABLE Versions (VersionNumber varchar(100))");
    }
    let yaml = "scripts: [{file: 1.sql, database: b}, {file: 2.sql, database: a}]";
    let package = fleet.package(&[
        ("sbm.yaml", yaml),
        ("1.sql", &note("1")),
        ("2.sql", &note("2")),
    ]);
    let line = format!(
        "{}:a,{};b,{}",
        fleet.server(),
        fleet.names[0],
        fleet.names[1]
    );
    fleet
        .run_of(&package, &[line])
        .option("--buildrevision", "v1")
        .run()
        .expect_code(0);
    assert_eq!(fleet.rows(0, "Versions"), Some(1));
    assert_eq!(fleet.rows(1, "Versions"), Some(0));
});

on_each_platform!(a_script_of_the_same_name_is_another_one, 1, |fleet| {
    let fleet = fleet.with_trace();
    fleet.sql(0, "CREATE TABLE Versions (VersionNumber varchar(100))");
    fleet.package(&[("Versions Insert.sql", &note("mine"))]);
    fleet
        .threaded_run()
        .option("--buildrevision", "v1")
        .run()
        .expect_code(0);
    let rows = "SELECT scripttext FROM SqlBuild_Logging ORDER BY sequence";
    let table = match fleet.platform {
        Platform::SqlServer => "dbo.Versions",
        _ => "Versions",
    };
    let revision = format!("INSERT INTO {table} (VersionNumber) VALUES ('v1')");
    assert_eq!(fleet.column(0, rows), [note("mine"), revision]);
});
