use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    monitor::fixtures::{RUN, failed, line, start, target},
    protocol::Platform,
};

fn key(database: &str) -> TargetKey {
    target("s", database).key(Platform::PostgreSql)
}

fn monitor(databases: &[&str]) -> Monitor {
    let targets = databases
        .iter()
        .map(|database| (key(database), target("s", database)));
    Monitor::new(RUN, targets)
}

fn event(database: &str, kind: EventKind) -> Event {
    Event {
        run_id: RUN,
        key: key(database),
        at: start(),
        kind,
    }
}

fn started(database: &str) -> Event {
    let name = format!("s:{database}");
    event(database, EventKind::Started { name })
}

fn script(database: &str, script: &str) -> Event {
    let script = script.to_owned();
    event(database, EventKind::Script { script })
}

fn finished(line: ResultLine) -> Event {
    Event {
        run_id: line.run_id,
        key: line.key.clone(),
        at: start(),
        kind: EventKind::Finished {
            line: Box::new(line),
        },
    }
}

fn counts(progress: &Progress) -> [usize; 5] {
    [
        progress.committed,
        progress.failed,
        progress.skipped,
        progress.running,
        progress.waiting,
    ]
}

#[test]
fn progress_counts_targets_by_group() {
    let now = Instant::now();
    let mut monitor = monitor(&["a", "b", "c", "d", "e"]);
    assert_eq!(counts(&monitor.progress(now)), [0, 0, 0, 0, 5]);
    monitor.observe(started("a"), now);
    monitor.observe(started("b"), now);
    assert_eq!(counts(&monitor.progress(now)), [0, 0, 0, 2, 3]);
    monitor.observe(finished(line("s", "a", State::Committed)), now);
    monitor.observe(finished(failed("s", "b", "x.sql", "no")), now);
    monitor.observe(finished(line("s", "c", State::Skipped)), now);
    let progress = monitor.progress(now);
    assert_eq!(counts(&progress), [1, 1, 1, 0, 2]);
    assert_eq!((progress.total, progress.settled()), (5, 3));
    let failure = progress.latest_failure.unwrap();
    assert_eq!(
        (failure.name.as_str(), failure.state),
        ("s:b", State::RolledBack)
    );
    assert_eq!(failure.error.unwrap().message, "no");
    assert!(!monitor.is_complete());
}

#[test]
fn repeated_and_late_events_count_once() {
    let now = Instant::now();
    let mut monitor = monitor(&["a"]);
    for _ in 0..3 {
        monitor.observe(finished(line("s", "a", State::Committed)), now);
    }
    monitor.observe(started("a"), now);
    monitor.observe(script("a", "late.sql"), now);
    let progress = monitor.progress(now);
    assert_eq!(counts(&progress), [1, 0, 0, 0, 0]);
    assert!(progress.current.is_empty());
    assert!(monitor.is_complete());
}

#[test]
fn a_commit_corrects_an_earlier_failure() {
    let now = Instant::now();
    let mut monitor = monitor(&["a"]);
    monitor.observe(finished(failed("s", "a", "x.sql", "no")), now);
    monitor.observe(finished(line("s", "a", State::Committed)), now);
    assert_eq!(counts(&monitor.progress(now)), [1, 0, 0, 0, 0]);
}

#[test]
fn an_attempt_that_is_not_final_waits_again() {
    let now = Instant::now();
    let mut monitor = monitor(&["a"]);
    let mut drained = line("s", "a", State::RolledBack);
    drained.is_final = false;
    monitor.observe(started("a"), now);
    monitor.observe(finished(drained), now);
    assert_eq!(counts(&monitor.progress(now)), [0, 0, 0, 0, 1]);
    assert_eq!(monitor.unsettled().count(), 1);
    assert_eq!(monitor.verdict().lines()[0].state, State::Unknown);
}

#[test]
fn a_line_that_tells_of_a_start_does_not_end_it() {
    let now = Instant::now();
    let mut monitor = monitor(&["a"]);
    let mut begun = line("s", "a", State::Unknown);
    begun.is_final = false;
    monitor.observe(started("a"), now);
    monitor.record(begun, now);
    assert_eq!(counts(&monitor.progress(now)), [0, 0, 0, 1, 0]);
}

#[test]
fn what_others_say_is_counted_and_ignored() {
    let now = Instant::now();
    let mut monitor = monitor(&["a"]);
    let mut other_run = line("s", "a", State::Committed);
    other_run.run_id = Uuid::nil();
    monitor.observe(finished(other_run.clone()), now);
    monitor.record(other_run, now);
    monitor.observe(started("z"), now);
    let mut two_faced = finished(line("s", "a", State::Committed));
    if let EventKind::Finished { line } = &mut two_faced.kind {
        line.key = key("z");
    }
    monitor.observe(two_faced, now);
    let expected = Ignored {
        other_runs: 2,
        unknown_targets: 2,
    };
    assert_eq!(monitor.ignored(), expected);
    assert_eq!(counts(&monitor.progress(now)), [0, 0, 0, 0, 1]);
}

#[test]
fn the_longest_running_are_named_first_and_at_most_eight() {
    let start = Instant::now();
    let names: Vec<String> = (0..12).map(|number| format!("d{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut monitor = monitor(&names);
    for (second, name) in (0..).zip(names.iter().rev()) {
        monitor.observe(started(name), start + Duration::from_secs(second));
    }
    monitor.observe(script("d11", "a.sql"), start);
    let progress = monitor.progress(start + Duration::from_secs(20));
    assert_eq!(progress.running, 12);
    assert_eq!(progress.current.len(), 8);
    let first = Running {
        name: "s:d11".into(),
        script: Some("a.sql".into()),
        elapsed: Duration::from_secs(20),
    };
    assert_eq!(progress.current[0], first);
    assert_eq!(progress.current[7].name, "s:d4");
}

#[test]
fn a_script_whose_start_was_lost_is_running() {
    let now = Instant::now();
    let mut monitor = monitor(&["a"]);
    monitor.observe(script("a", "x.sql"), now);
    let progress = monitor.progress(now);
    assert_eq!(progress.current[0].name, "s:a");
    assert_eq!(progress.current[0].script.as_deref(), Some("x.sql"));
}

#[test]
fn the_list_of_targets_wins_over_a_workers_copy_of_it() {
    let now = Instant::now();
    let mut monitor = monitor(&["a"]);
    let mut shortened = line("s", "a", State::Committed);
    shortened.target.server = "elsewhere".into();
    monitor.record(shortened, now);
    assert_eq!(monitor.verdict().lines()[0].target, target("s", "a"));
}

#[test]
fn rate_and_remaining_time_follow_the_clock_that_is_handed_in() {
    let start = Instant::now();
    let mut monitor = monitor(&["a", "b", "c"]);
    assert_eq!(monitor.progress(start).per_second, None);
    monitor.observe(started("a"), start);
    let later = start + Duration::from_secs(2);
    monitor.observe(finished(line("s", "a", State::Committed)), later);
    let progress = monitor.progress(later);
    assert_eq!(progress.per_second, Some(0.5));
    assert_eq!(progress.remaining, Some(Duration::from_secs(4)));
}

proptest! {
    #[test]
    fn every_target_has_exactly_one_line_whatever_is_seen(
        seen in proptest::collection::vec((0..6_usize, 0..State::ALL.len(), any::<bool>(), 0..3_u8), 0..40),
    ) {
        let now = Instant::now();
        let names = ["a", "b", "c", "d"];
        let mut monitor = monitor(&names);
        for (which, state, is_final, kind) in seen {
            let name = ["a", "b", "c", "d", "x", "y"][which];
            let mut result = line("s", name, State::ALL[state]);
            result.is_final = is_final;
            monitor.observe(match kind {
                0 => started(name),
                1 => script(name, "s.sql"),
                _ => finished(result),
            }, now);
            let progress = monitor.progress(now);
            prop_assert_eq!(counts(&progress).iter().sum::<usize>(), 4);
            prop_assert_eq!(progress.settled() + monitor.unsettled().count(), 4);
        }
        let verdict = monitor.verdict();
        let order: Vec<String> = verdict.lines().iter().map(|line| line.target.to_string()).collect();
        prop_assert_eq!(order, ["s:a", "s:b", "s:c", "s:d"]);
        prop_assert!(verdict.lines().iter().all(|line| line.is_final || line.state == State::Unknown));
    }
}
