//! The order in which scripts run, and packages that the reference program made.

use crate::support::{
    builds::{note, sample},
    fleet::{Fleet, Platform, on_each_platform},
    program::Program,
};

on_each_platform!(a_folder_runs_in_natural_order, 1, |fleet| {
    let fleet = fleet.with_trace();
    let names = ["1.sql", "2.sql", "10.sql", "a/1.sql", "a/b/1.sql", "B.sql"];
    let texts = names.map(note);
    let mut files: Vec<(&str, &str)> = names
        .into_iter()
        .zip(texts.iter().map(String::as_str))
        .collect();
    files.reverse();
    files.push((".hidden.sql", "this is no SQL"));
    files.push(("readme.txt", "this is no SQL"));
    fleet.build(&files).expect_code(0);
    assert_eq!(fleet.trace(0), names);
    assert_eq!(fleet.audited(0), names);
});

on_each_platform!(sbm_yaml_decides_the_order, 1, |fleet| {
    let fleet = fleet.with_trace();
    let (one, two, three, four) = (note("1"), note("2"), note("3"), note("4"));
    let files = |yaml: &'static str| {
        [
            ("sbm.yaml", yaml),
            ("1.sql", &one),
            ("2.sql", &two),
            ("sub/3.sql", &three),
            ("4.sql", &four),
        ]
    };
    fleet
        .build(&files(
            "rest: append\nscripts:\n  - sub/3.sql\n  - file: 2.sql\n",
        ))
        .expect_code(0);
    assert_eq!(fleet.trace(0), ["3", "2", "1", "4"]);
    let run = fleet
        .build(&files("scripts: [sub/3.sql, 2.sql]"))
        .expect_code(2);
    assert!(run.stderr.contains("`1.sql`"), "{}", run.stderr);
    assert!(run.stderr.contains("`4.sql`"), "{}", run.stderr);
    assert_eq!(fleet.trace(0).len(), 4);
});

on_each_platform!(a_made_package_runs_in_the_order_given, 1, |fleet| {
    let fleet = fleet.with_trace();
    let folder = fleet.package(&[("b.sql", &note("b")), ("a.sql", &note("a"))]);
    let package = fleet.folder.path().join("made.sbm");
    Program::new(["create", "fromscripts", "-o"])
        .words([&package])
        .words(["-s".into(), folder.join("b.sql"), folder.join("a.sql")])
        .run()
        .expect_code(0);
    let before = std::fs::read(&package).unwrap();
    fleet.run_of(&package, &fleet.lines()).run().expect_code(0);
    assert_eq!(fleet.trace(0), ["b", "a"]);
    assert_eq!(
        std::fs::read(&package).unwrap(),
        before,
        "a build changes its package"
    );
});

on_each_platform!(scripts_without_an_order_run_last, 1, |fleet| {
    let fleet = fleet.with_trace();
    let package = fleet.sbx(&[
        ("none1.sql", "", &note("none1")),
        ("three.sql", "BuildOrder=\"3\"", &note("three")),
        ("none2.sql", "", &note("none2")),
        ("half.sql", "BuildOrder=\"2.5\"", &note("half")),
        ("minus.sql", "BuildOrder=\"-1\"", &note("minus")),
        ("same.sql", "BuildOrder=\"3\"", &note("same")),
    ]);
    fleet.run_of(&package, &fleet.lines()).run().expect_code(0);
    let order = ["minus", "half", "three", "same", "none1", "none2"];
    assert_eq!(fleet.trace(0), order);
});

on_each_platform!(
    a_script_folder_runs_as_in_the_reference_program,
    1,
    |fleet| {
        let fleet = fleet.with_trace();
        let names = ["10.sql", "2.sql", "B.sql", "a.sql"];
        let texts = names.map(note);
        let mut files: Vec<(&str, &str)> = names
            .into_iter()
            .zip(texts.iter().map(String::as_str))
            .collect();
        files.push(("sub/1.sql", "no SQL"));
        let folder = fleet.package(&files);
        let run = || {
            let program = Program::new(["threaded", "run"])
                .option("--scriptsrcdir", &folder)
                .option("--override", fleet.list(&fleet.lines()))
                .option("--rootloggingpath", fleet.logs());
            fleet.login(program).run().expect_code(0)
        };
        run();
        // Its scripts run once.
        run();
        assert_eq!(fleet.trace(0), names);
    }
);

const TEST_TABLE: &str = "CREATE TABLE transactiontest \
    (id serial PRIMARY KEY, message varchar(500), guid uuid, datetimestamp timestamp)";

#[test]
fn insert_sample_runs_on_postgresql() {
    let Some(fleet) = Fleet::new(Platform::Postgres, 2, "insert_sample_runs_on_postgresql") else {
        return;
    };
    let lines: Vec<String> = (0..2)
        .map(|index| format!("{}:sbm_pg_test,{}", fleet.server(), fleet.names[index]))
        .collect();
    for index in 0..2 {
        fleet.sql(index, TEST_TABLE);
    }
    let package = sample("PG_InsertForThreadedTest.sbm");
    fleet.run_of(&package, &lines).run().expect_code(0);
    for index in 0..2 {
        assert_eq!(fleet.rows(index, "transactiontest"), Some(1));
        let row = "SELECT scripthash, projecthash, file, tag FROM (SELECT scriptfilehash AS scripthash, \
                   buildprojecthash AS projecthash, buildfilename AS file, tag FROM sqlbuild_logging) x";
        assert_eq!(
            fleet.sql(index, row)[0],
            [
                "0D503F679DC669F428669A72562CF82D20A85257",
                "157DA8232F8201F4BFB27D5C201628A147E21026",
                "PG_InsertForThreadedTest.sbm",
                "Default"
            ]
        );
    }
}

#[test]
fn double_sample_runs_in_both_databases_of_a_target() {
    let test = "double_sample_runs_in_both_databases_of_a_target";
    let Some(fleet) = Fleet::new(Platform::Postgres, 2, test) else {
        return;
    };
    let (one, two) = (&fleet.names[0], &fleet.names[1]);
    let line = format!("{}:client,{one};client2,{two}", fleet.server());
    let package = sample("PG_SimpleSelect_DoubleClient.sbm");
    fleet.run_of(&package, &[line]).run().expect_code(0);
    assert_eq!(fleet.audited(0), ["Select_db1_name.sql"]);
    assert_eq!(fleet.audited(1), ["Select_db2_name.sql"]);
    assert_eq!(
        fleet.column(1, "SELECT sequence FROM sqlbuild_logging"),
        ["1"]
    );
    assert_eq!(
        fleet.column(1, "SELECT targetdatabase FROM sqlbuild_logging"),
        [two.as_str()]
    );
}

/// Its entries are named by absolute paths of the machine on which it was made.
#[test]
fn package_made_on_windows_is_read_and_runs() {
    let Some(fleet) = Fleet::new(
        Platform::Postgres,
        1,
        "package_made_on_windows_is_read_and_runs",
    ) else {
        return;
    };
    fleet.sql(0, TEST_TABLE);
    fleet.sql(
        0,
        "CREATE FUNCTION newid() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()'; \
         CREATE FUNCTION getdate() RETURNS timestamp LANGUAGE sql AS 'SELECT localtimestamp'",
    );
    let line = format!("{}:SqlBuildTest,{}", fleet.server(), fleet.names[0]);
    let package = sample("InsertForThreadedTest.sbm");
    fleet.run_of(&package, &[line]).run().expect_code(0);
    assert_eq!(fleet.rows(0, "transactiontest"), Some(1));
    assert_eq!(
        fleet.value(0, "SELECT scriptfilehash FROM sqlbuild_logging"),
        "7CE7E1B1F2BA5BC638CD7CD9F28EEA7849AC7EFE"
    );
    assert_eq!(fleet.audited(0), ["Insert Threaded Test.sql"]);
}
