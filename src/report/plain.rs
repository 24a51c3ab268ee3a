//! Progress as lines, where nothing can be drawn over: logs of CI, files, pipes.

use std::{
    fmt,
    io::{self, Write},
    time::{Duration, Instant},
};

use super::{Report, Reporter, Style, progress_line, render, running_lines};
use crate::monitor::Progress;

/// What has been running for less than this is not named.
const SLOW: Duration = Duration::from_secs(1);

/// Writes a line of progress every now and then, and the report as text.
#[derive(Debug)]
pub struct Plain<P, R> {
    every: Duration,
    last: Option<Instant>,
    failures_told: usize,
    progress: P,
    report: R,
    style: Style,
}

impl<P: Write, R: Write> Plain<P, R> {
    /// Progress goes to `progress` at once and then `every` so often; the report goes to `report`.
    pub fn new(every: Duration, progress: P, report: R, style: Style) -> Self {
        Self {
            every,
            last: None,
            failures_told: 0,
            progress,
            report,
            style,
        }
    }

    fn line(&mut self, line: &str) {
        let written = writeln!(self.progress, "{line}").and_then(|()| self.progress.flush());
        // A reader that went away must not stop the run.
        if let Err(error) = written {
            log::debug!("cannot write progress: {error}");
        }
    }
}

impl<P, R> Reporter for Plain<P, R>
where
    P: Write + fmt::Debug + Send,
    R: Write + fmt::Debug + Send,
{
    fn progress(&mut self, progress: &Progress) {
        let due = self
            .last
            .is_none_or(|last| progress.at.saturating_duration_since(last) >= self.every);
        if !due {
            return;
        }
        self.last = Some(progress.at);
        self.line(&progress_line(progress));
        // The longest-running target is the one that somebody waits for; a failure is told once.
        let lines = running_lines(progress);
        let is_slow = progress
            .current
            .first()
            .is_some_and(|running| running.elapsed >= SLOW);
        if let Some(longest) = lines.first().filter(|_| is_slow) {
            self.line(&format!("  {longest}"));
        }
        if progress.failed > self.failures_told
            && let Some(failure) = lines.last().filter(|_| progress.latest_failure.is_some())
        {
            self.line(&format!("  {failure}"));
        }
        self.failures_told = progress.failed;
    }

    fn message(&mut self, line: &str) {
        self.line(line);
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        self.report
            .write_all(render(report, self.style).as_bytes())?;
        self.report.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        monitor::{Verdict, fixtures::line},
        protocol::State,
        report::{document::tests::run, progress_line::tests::progress},
    };

    #[test]
    fn the_first_line_comes_at_once_and_the_next_when_due() {
        let start = Instant::now();
        let mut plain = Plain::new(Duration::from_secs(5), Vec::new(), Vec::new(), Style::Plain);
        for second in [0, 1, 4, 5, 9, 11] {
            plain.progress(&progress(start + Duration::from_secs(second)));
        }
        let text = String::from_utf8(plain.progress).unwrap();
        assert_eq!(text.matches("41 of 100 done").count(), 3, "{text}");
        assert_eq!(text.matches("db1:a 02_orders.sql").count(), 3);
        assert_eq!(text.matches("latest failure: db2:c").count(), 1);
    }

    #[test]
    fn messages_and_report_go_their_ways() {
        let verdict = Verdict::new(vec![line("s", "d", State::Committed)]);
        let report = Report::new(run(), &verdict);
        let mut plain = Plain::new(Duration::ZERO, Vec::new(), Vec::new(), Style::Plain);
        plain.message("a worker left");
        plain.finish(&report).unwrap();
        assert_eq!(plain.progress, b"a worker left\n");
        assert_eq!(
            String::from_utf8(plain.report).unwrap(),
            render(&report, Style::Plain)
        );
    }
}
