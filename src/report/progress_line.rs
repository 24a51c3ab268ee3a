//! Progress in words.

use super::text_format::{one_line, place, whole_seconds};
use crate::monitor::{Progress, Running};

/// The counts, the rate and the time that is left, on one line.
pub fn progress_line(progress: &Progress) -> String {
    let mut parts = vec![
        format!("{} of {} done", progress.settled(), progress.total),
        format!("{} ok", progress.committed),
        format!("{} failed", progress.failed),
    ];
    let more = [
        (progress.skipped, "not run"),
        (progress.running, "running"),
        (progress.waiting, "waiting"),
    ];
    let more = more.into_iter().filter(|(count, _)| *count > 0);
    parts.extend(more.map(|(count, what)| format!("{count} {what}")));
    if let Some(rate) = progress.per_second {
        parts.push(rate_text(rate));
    }
    let left = progress.settled() < progress.total;
    if let Some(remaining) = progress.remaining.filter(|_| left) {
        parts.push(format!("about {} left", whole_seconds(remaining)));
    }
    parts.join(", ")
}

/// What is being built, a line each, then the latest failure.
pub fn running_lines(progress: &Progress) -> Vec<String> {
    let mut lines: Vec<String> = progress.current.iter().map(running).collect();
    let unnamed = progress.running.saturating_sub(progress.current.len());
    if unnamed > 0 {
        lines.push(format!("and {unnamed} more"));
    }
    if let Some(failure) = &progress.latest_failure {
        let error = failure.error.as_ref();
        let said = error.map(|error| format!(": {}{}", place(error), error.message));
        let line = format!(
            "{} {}{}",
            failure.name,
            failure.state,
            said.unwrap_or_default()
        );
        lines.push(format!("latest failure: {}", one_line(&line, 200)));
    }
    lines
}

fn running(running: &Running) -> String {
    let script = running
        .script
        .as_deref()
        .map(|script| format!(" {}", one_line(script, 60)));
    format!(
        "{}{}, {}",
        one_line(&running.name, 60),
        script.unwrap_or_default(),
        whole_seconds(running.elapsed)
    )
}

/// Slow fleets are told by the minute: "0.0/s" would say nothing.
fn rate_text(per_second: f64) -> String {
    if per_second >= 1.0 {
        return format!("{per_second:.1}/s");
    }
    format!("{:.1}/min", per_second * 60.0)
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{
        monitor::Failure,
        protocol::{ErrorReport, State},
    };

    /// A run in full swing.
    pub(in crate::report) fn progress(at: Instant) -> Progress {
        Progress {
            at,
            total: 100,
            committed: 40,
            failed: 1,
            skipped: 0,
            running: 3,
            waiting: 56,
            per_second: Some(12.34),
            remaining: Some(Duration::from_millis(65_900)),
            current: vec![
                Running {
                    name: "db1:a".into(),
                    script: Some("02_orders.sql".into()),
                    elapsed: Duration::from_millis(12_900),
                },
                Running {
                    name: "db1:b".into(),
                    script: None,
                    elapsed: Duration::ZERO,
                },
            ],
            latest_failure: Some(Failure {
                name: "db2:c".into(),
                state: State::RolledBack,
                error: Some(ErrorReport {
                    script: Some("02_orders.sql".into()),
                    line: Some(14),
                    message: "no\nsuch table".into(),
                    ..ErrorReport::default()
                }),
            }),
        }
    }

    #[test]
    fn the_line_tells_counts_rate_and_time() {
        assert_eq!(
            progress_line(&progress(Instant::now())),
            "41 of 100 done, 40 ok, 1 failed, 3 running, 56 waiting, 12.3/s, about 1 min 05 s left"
        );
    }

    #[test]
    fn the_documentation_shows_such_a_line() {
        let documentation = include_str!("../../docs/output.md");
        assert!(documentation.contains(&progress_line(&progress(Instant::now()))));
    }

    #[test]
    fn what_is_not_known_or_nought_is_left_out() {
        let mut slow = progress(Instant::now());
        slow.per_second = Some(0.05);
        slow.remaining = None;
        (slow.running, slow.waiting, slow.skipped) = (0, 0, 59);
        assert_eq!(
            progress_line(&slow),
            "100 of 100 done, 40 ok, 1 failed, 59 not run, 3.0/min"
        );
    }

    #[test]
    fn running_targets_and_the_latest_failure_are_named() {
        assert_eq!(
            running_lines(&progress(Instant::now())),
            [
                "db1:a 02_orders.sql, 12 s",
                "db1:b, 0 s",
                "and 1 more",
                "latest failure: db2:c RolledBack: 02_orders.sql:14: no such table",
            ]
        );
    }
}
