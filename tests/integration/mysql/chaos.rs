//! Builds that are killed without a word, again and again.

use std::{collections::HashMap, time::Duration};

use super::fleet;
use crate::support::{
    builds::note,
    fleet::{Fleet, Platform},
    program::Program,
};

/// How often a build is killed.
const ROUNDS: u32 = 12;

/// How many scripts a package has.
const SCRIPTS: usize = 15;

/// The run of the fleet's package: a new one until there is one, then always the same.
fn same_run(fleet: &Fleet) -> Program {
    let program = fleet.threaded_run().option("--output", "json");
    if fleet.logs().join("job.json").exists() {
        program.option("--resume", fleet.run_id())
    } else {
        program
    }
}

/// Starts the run and kills it at some moment, which may be after its end.
fn kill_somewhen(fleet: &Fleet) {
    let mut child = same_run(fleet).start();
    std::thread::sleep(Duration::from_millis(fastrand::u64(20..600)));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_package_of_rows_has_one_effect_however_often_it_is_killed() {
    let test = "mysql::a_package_of_rows_has_one_effect_however_often_it_is_killed";
    let Some(fleet) = Fleet::new(Platform::MySql, 3, test) else {
        return;
    };
    let fleet = fleet.with_trace();
    let files: Vec<(String, String)> = (10..10 + SCRIPTS)
        .map(|number| (format!("{number}.sql"), note(&number.to_string())))
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    fleet.package(&files);
    for _ in 0..ROUNDS {
        kill_somewhen(&fleet);
        for index in 0..3 {
            // All or nothing, at every moment.
            let rows = fleet.trace(index).len();
            assert!(rows == 0 || rows == SCRIPTS, "{rows} rows in {index}");
        }
    }
    same_run(&fleet).run().expect_code(0);
    for index in 0..3 {
        assert_eq!(fleet.trace(index).len(), SCRIPTS);
        assert_eq!(fleet.audited(index).len(), SCRIPTS);
        assert_eq!(fleet.ledger(index), ["Committed"]);
    }
}

#[test]
fn a_package_of_tables_that_is_killed_in_the_middle_is_interrupted_and_never_run_twice() {
    let test = "mysql::a_package_of_tables_that_is_killed_in_the_middle_is_interrupted_and_never_run_twice";
    let Some(fleet) = fleet(test) else {
        return;
    };
    let fleet = fleet.with_gate();
    fleet.package(&[
        ("1.sql", &note("1")),
        ("2.sql", "CREATE TABLE made (x int);"),
        ("3.sql", fleet.gate()),
        ("4.sql", &note("4")),
    ]);
    let mut child = same_run(&fleet).start();
    fleet.wait_for_script("3.sql");
    child.kill().unwrap();
    child.wait().unwrap();
    fleet.open_gate(0);
    for _ in 0..3 {
        let run = same_run(&fleet).run().expect_code(1);
        assert_eq!(run.only("unresolved")["state"], "Interrupted");
        assert_eq!(fleet.trace(0), ["1"]);
        assert!(fleet.has_table(0, "made"));
        assert_eq!(fleet.ledger(0), ["Started"]);
    }
}

#[test]
fn a_package_of_tables_runs_at_most_once_wherever_it_is_killed() {
    let test = "mysql::a_package_of_tables_runs_at_most_once_wherever_it_is_killed";
    let Some(fleet) = Fleet::new(Platform::MySql, 2, test) else {
        return;
    };
    let fleet = fleet.with_trace();
    let script = format!(
        "{}CREATE TABLE made (x int);\n{}ALTER TABLE made ADD y int;\n{}DROP TABLE made;\n{}",
        note("1"),
        note("2"),
        note("3"),
        note("4")
    );
    let folder = fleet.folder.path().join("logs");
    for _ in 0..ROUNDS {
        fleet.package(&[("1.sql", &script)]);
        kill_somewhen(&fleet);
        for _ in 0..2 {
            let run = same_run(&fleet).run();
            assert!(matches!(run.code, Some(0 | 1)), "{run:?}");
            let states = run.json()["totals"].clone();
            for index in 0..2 {
                let mut times = HashMap::new();
                for what in fleet.trace(index) {
                    *times.entry(what).or_insert(0) += 1;
                }
                assert!(
                    times.values().all(|count| *count == 1),
                    "{times:?}: {states}"
                );
                let whole = times.len() == 4;
                let state = &fleet.ledger(index)[0];
                assert!(whole || state != "Committed", "{times:?}: {state}");
                assert!(
                    state == "Committed" || run.code == Some(1),
                    "{state}: {states}"
                );
            }
        }
        // The next round begins from nothing.
        std::fs::remove_dir_all(&folder).unwrap();
        for index in 0..2 {
            fleet.sql(
                index,
                "DELETE FROM trace; DROP TABLE IF EXISTS made; DELETE FROM SqlBuild_Ledger; DELETE FROM SqlBuild_Logging",
            );
        }
    }
}
