//! Workers that are killed without a word, again and again, while hundreds of databases are built.

use std::{collections::BTreeMap, thread, time::Duration};

use super::job::{self, Job, seeded, signal};
use crate::support::{
    live::{Live, eventually},
    many::Many,
    program::Program,
};

/// How many workers are killed in a run.
pub(super) const KILLS: usize = 20;

/// Slots are given up after ten ends, and the pauses before the last ones are long.
const MOST_OF_A_SLOT: usize = 6;

const WORKERS: usize = 4;

/// Kills random workers while a run goes on: the next one whenever one more part of the targets has its final line, so that
/// all kills hit the run however fast the machine is. Returns the names of the killed.
pub(super) fn kill_workers(
    job: &Job,
    targets: usize,
    random: &mut fastrand::Rng,
    live: &mut Live,
) -> Vec<String> {
    let mut killed: Vec<String> = Vec::new();
    let mut of_slots: BTreeMap<String, usize> = BTreeMap::new();
    for kill in 0..KILLS {
        let settled = kill * targets / (KILLS + 2);
        eventually(
            "more targets are settled, and a worker may be killed",
            || {
                assert!(live.is_running(), "the run has ended after {kill} kills");
                if job.settled() < settled {
                    return false;
                }
                thread::sleep(Duration::from_millis(random.u64(0..120)));
                let mut workers = job.workers();
                workers.retain(|(name, _)| {
                    let ends = of_slots.get(slot(name)).copied().unwrap_or_default();
                    ends < MOST_OF_A_SLOT && !killed.contains(name)
                });
                if workers.is_empty() {
                    return false;
                }
                let (name, process) = workers.swap_remove(random.usize(..workers.len()));
                signal(process, "KILL");
                *of_slots.entry(slot(&name).to_owned()).or_default() += 1;
                killed.push(name);
                true
            },
        );
    }
    killed
}

/// The slot of a worker's name, `w2-o1-7`.
fn slot(name: &str) -> &str {
    name.split('-').next().unwrap()
}

/// The builds that were committed, as the databases saw them.
pub(super) struct Span {
    pub(super) server: String,
    pub(super) began: f64,
    pub(super) ended: f64,
}

/// The most builds at the same moment.
pub(super) fn most_at_once(spans: &[&Span]) -> usize {
    let at = |moment: f64| {
        let running = spans
            .iter()
            .filter(|span| span.began <= moment && moment < span.ended);
        running.count()
    };
    spans.iter().map(|span| at(span.began)).max().unwrap_or(0)
}

/// Says when it began and ended, and takes about 60 ms.
fn script(table: &str) -> String {
    let now = "extract(epoch FROM clock_timestamp())::float8";
    format!(
        "CREATE TABLE IF NOT EXISTS {table} (began float8, ended float8);\n\
         INSERT INTO {table} VALUES ({now});\n\
         SELECT pg_sleep(0.04 + random() * 0.04);\n\
         UPDATE {table} SET ended = {now} WHERE ended IS NULL;\n"
    )
}

/// One run with kills: every database has one effect of it, once. What was committed when.
fn run_with_kills(
    job: &Job,
    many: &Many,
    program: Program,
    table: &str,
    random: &mut fastrand::Rng,
) -> Vec<(f64, f64)> {
    job.package(&[("1.sql", &script(table))]);
    let mut live = Live::start(program.option("--workers", WORKERS.to_string()));
    let targets = many.names.len();
    let killed = kill_workers(job, targets, random, &mut live);
    let report = live.end().expect_code(0);
    assert_eq!(killed.len(), KILLS);
    let run = job.run_id().unwrap();
    assert_eq!(job::committed(&report), targets as u64, "{}", report.stdout);
    let all = many.rows(&format!(
        "SELECT began, ended, (SELECT string_agg(state, ',') FROM SqlBuild_Ledger WHERE runid::text = '{run}') FROM {table}"
    ));
    let spans = all.iter().zip(&many.names).map(|(rows, name)| {
        assert_eq!(rows.len(), 1, "{name}: effects");
        assert_eq!(rows[0][2], "Committed", "{name}: ledger rows");
        (rows[0][0].parse().unwrap(), rows[0][1].parse().unwrap())
    });
    let spans = spans.collect();
    job.expect_nothing_left();
    spans
}

#[test]
fn three_hundred_databases_are_built_once_each_while_workers_are_killed_again_and_again() {
    const TEST: &str = "local_runs::chaos::three_hundred_databases";
    let Some(many) = Many::new(300, TEST) else {
        return;
    };
    let mut random = seeded(TEST);
    let server = |index: usize| ["127.0.0.1", "localhost"][index % 2];
    let lines: Vec<String> = many
        .names
        .iter()
        .enumerate()
        .map(|(index, name)| format!("{}:{}:{name}", server(index), many.server.port()))
        .collect();
    let job = Job::of_many(&many, &lines);
    let mut run = |kind: &str, limit: usize, force: &str| {
        let program = job
            .begin("run")
            .option("--concurrencytype", kind)
            .option("--concurrency", limit.to_string())
            .option("--force", force);
        let table = format!("effect_of_{}", kind.to_lowercase());
        let spans = run_with_kills(&job, &many, program, &table, &mut random);
        let spans = spans
            .into_iter()
            .enumerate()
            .map(|(index, (began, ended))| Span {
                server: server(index).to_owned(),
                began,
                ended,
            });
        spans.collect::<Vec<_>>()
    };
    // Each worker has so many.
    let spans = run("Count", 2, "false");
    let most = most_at_once(&spans.iter().collect::<Vec<_>>());
    assert!(most <= 2 * WORKERS, "{most}");
    let spans = run("MaxPerServer", 3, "true");
    for server in ["127.0.0.1", "localhost"] {
        let spans: Vec<&Span> = spans.iter().filter(|span| span.server == server).collect();
        let most = most_at_once(&spans);
        assert!(most <= 3, "{server}: {most}");
    }
}
