//! A few databases first.

use super::job::{Job, total};
use crate::support::{
    fleet::{Fleet, Platform},
    program::Run,
};

const TARGETS: usize = 30;

/// Says when it began and ended.
const SCRIPT: &str = "CREATE TABLE effect (at REAL);\n\
    INSERT INTO effect VALUES (julianday('now'));\n\
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT count(*) FROM n;\n\
    INSERT INTO effect VALUES (julianday('now'));\n";

fn fleet(test: &str) -> (Fleet, Job) {
    let test = format!("local_runs::waves::{test}");
    let fleet = Fleet::new(Platform::Sqlite, TARGETS, &test).unwrap();
    let job = Job::of_files(&fleet);
    job.package(&[("1.sql", SCRIPT)]);
    (fleet, job)
}

fn run(job: &Job, options: &[&str]) -> Run {
    job.begin("run")
        .option("--workers", "3")
        .words(options)
        .run()
}

fn untouched(fleet: &Fleet) -> usize {
    let databases = 0..TARGETS;
    databases
        .filter(|index| !fleet.has_table(*index, "effect"))
        .count()
}

#[test]
fn a_wave_begins_when_the_one_before_is_committed() {
    let (fleet, job) = fleet("a_wave_begins");
    run(
        &job,
        &[
            "--waves",
            "1,10%,100%",
            "--soak",
            "0",
            "--probe",
            "SELECT 1 WHERE 0",
        ],
    )
    .expect_code(0);
    let at = |index: usize, which: &str| -> f64 {
        let sql = format!("SELECT {which}(at) FROM effect");
        fleet.value(index, &sql).parse().unwrap()
    };
    for (before, after) in [(0..1, 1..3), (1..3, 3..TARGETS)] {
        let ended = before
            .map(|index| at(index, "max"))
            .fold(f64::MIN, f64::max);
        let began = after.map(|index| at(index, "min")).fold(f64::MAX, f64::min);
        assert!(ended <= began, "{ended} {began}");
    }
    job.expect_nothing_left();
}

#[test]
fn a_wave_that_fails_is_the_last() {
    let (fleet, job) = fleet("a_wave_that_fails");
    fleet.sql(1, "CREATE TABLE effect (in_the_way TEXT)");
    let run = run(&job, &["--waves", "1,3,100%", "--maxfailures", "0"]).expect_code(4);
    let totals = ["committed", "rolledBack", "skipped"].map(|state| total(&run, state));
    // Those of the same wave may have begun.
    assert_eq!(
        (totals[1], totals.iter().sum::<u64>()),
        (1, 30),
        "{}",
        run.stdout
    );
    assert!(totals[2] >= 27, "{}", run.stdout);
    assert_eq!(untouched(&fleet) as u64, totals[2]);
    job.expect_nothing_left();
}

#[test]
fn a_probe_that_finds_a_row_ends_the_run() {
    let (fleet, job) = fleet("a_probe");
    let probe = "SELECT at FROM effect WHERE at > 0";
    let run = run(&job, &["--waves", "2,100%", "--probe", probe]).expect_code(4);
    assert_eq!((total(&run, "committed"), total(&run, "skipped")), (2, 28));
    assert!(
        run.stdout.contains("the probe returned a row"),
        "{}",
        run.stdout
    );
    assert_eq!(untouched(&fleet), 28);
    job.expect_nothing_left();
}

#[test]
fn pauses_that_are_longer_than_the_run_may_be_are_refused() {
    let (fleet, job) = fleet("pauses_that_are_longer");
    let waves = ["--waves", "1,2,100%", "--deadline", "100", "--soak"];
    let begin = |soak: &str| run(&job, &[&waves[..], &[soak]].concat());
    let refused = begin("50").expect_code(2);
    let says = "2 pauses between 3 waves take 100 s";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    assert_eq!(untouched(&fleet), TARGETS);
    assert!(!job.container().exists());
}
