//! Runs that end before their last target: by a signal, or because too much fails.

use crate::support::{
    fleet::{Fleet, Platform, on_each_platform},
    live::{Live, eventually},
    program::Run,
};

/// How many builds of these databases sleep on the server.
fn sleeping(fleet: &Fleet) -> usize {
    let names: Vec<String> = fleet.names.iter().map(|name| format!("'{name}'")).collect();
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND datname IN ({}) \
         AND pid <> pg_backend_pid()",
        names.join(", ")
    );
    fleet.value(0, &sql).parse().unwrap()
}

fn total(run: &Run, state: &str) -> u64 {
    run.json()["totals"][state].as_u64().unwrap()
}

#[test]
fn a_signal_lets_running_builds_end_and_starts_no_other() {
    for name in ["INT", "TERM"] {
        let Some(fleet) = Fleet::new(
            Platform::Postgres,
            6,
            "early_ends::a_signal_lets_running_builds_end",
        ) else {
            return;
        };
        fleet.package(&[("1.sql", "CREATE TABLE t (id int); SELECT pg_sleep(2);")]);
        let child = Live::start(
            fleet
                .threaded_run()
                .option("--concurrency", "2")
                .option("--output", "json"),
        );
        eventually("two builds run", || sleeping(&fleet) == 2);
        child.signal(name);
        let run = child.end().expect_code(130);
        assert_eq!(
            (total(&run, "committed"), total(&run, "skipped")),
            (2, 4),
            "{}",
            run.stdout
        );
        let built = (0..6).filter(|index| fleet.has_table(*index, "t")).count();
        assert_eq!(built, 2);
    }
}

#[test]
fn what_does_not_end_in_time_is_rolled_back() {
    let Some(fleet) = Fleet::new(
        Platform::Postgres,
        2,
        "early_ends::what_does_not_end_in_time_is_rolled_back",
    ) else {
        return;
    };
    fleet.package(&[("1.sql", "CREATE TABLE t (id int); SELECT pg_sleep(600);")]);
    let program = fleet
        .threaded_run()
        .option("--concurrency", "1")
        .option("--draintimeout", "1");
    let child = Live::start(program.option("--output", "json"));
    eventually("a build runs", || sleeping(&fleet) == 1);
    child.signal("INT");
    let run = child.end().expect_code(130);
    assert_eq!(
        (total(&run, "rolledBack"), total(&run, "skipped")),
        (1, 1),
        "{}",
        run.stdout
    );
    assert_eq!(sleeping(&fleet), 0);
    assert!(!fleet.has_table(0, "t") && !fleet.has_table(1, "t"));
}

#[test]
fn a_resumed_run_that_is_cancelled_calls_nothing_skipped() {
    let Some(fleet) = Fleet::new(
        Platform::Postgres,
        4,
        "early_ends::a_resumed_run_that_is_cancelled",
    ) else {
        return;
    };
    fleet.package(&[("1.sql", "CREATE TABLE t (id int); SELECT pg_sleep(600);")]);
    for resume in [false, true] {
        let mut program = fleet
            .threaded_run()
            .option("--concurrency", "1")
            .option("--draintimeout", "0");
        if resume {
            program = program.words(["--resume"]);
        }
        let child = Live::start(program.option("--output", "json"));
        eventually("a build runs", || sleeping(&fleet) == 1);
        child.signal("INT");
        let run = child.end().expect_code(130);
        let expected = if resume { (0, 3) } else { (3, 0) };
        assert_eq!(
            (total(&run, "skipped"), total(&run, "unknown")),
            expected,
            "{}",
            run.stdout
        );
    }
}

on_each_platform!(too_many_failures_halt_the_run, 8, |fleet| {
    fleet.package(&[("1.sql", "SELECT * FROM no_such_table;")]);
    for (budget, most) in [("0", 1), ("2", 3), ("25%", 3)] {
        let program = fleet
            .threaded_run()
            .option("--concurrency", "1")
            .option("--maxfailures", budget);
        let run = program.option("--output", "json").run().expect_code(4);
        assert_eq!(
            (total(&run, "rolledBack"), total(&run, "skipped")),
            (most, 8 - most),
            "{budget}"
        );
    }
    fleet
        .threaded_run()
        .option("--maxfailures", "8")
        .run()
        .expect_code(1);
});
