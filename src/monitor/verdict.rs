//! The end of a run: exactly one line per target.

use std::time::Duration;

use super::Totals;
use crate::protocol::{ResultLine, State};

/// One line per target, in the order of the targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    lines: Vec<ResultLine>,
}

impl Verdict {
    /// The verdict on these lines, of which there is one per target.
    ///
    /// A line that is not final says what one attempt saw, not what became of the target: another worker may hold it by
    /// now. Such a target is `Unknown`; its errors are kept and a warning tells what was seen.
    pub fn new(lines: Vec<ResultLine>) -> Self {
        let lines = lines.into_iter().map(settled).collect();
        Self { lines }
    }

    /// The lines.
    pub fn lines(&self) -> &[ResultLine] {
        &self.lines
    }

    /// How many targets are in which state.
    pub fn totals(&self) -> Totals {
        self.lines.iter().map(|line| line.state).collect()
    }
}

fn settled(mut line: ResultLine) -> ResultLine {
    if !line.is_final && line.state != State::Unknown {
        line.warnings.push(format!(
            "worker {} reported {}, which was not its last word",
            line.worker, line.state
        ));
        line.state = State::Unknown;
    }
    line
}

/// How long the build of a target took; none where nothing was built.
pub fn build_time(line: &ResultLine) -> Option<Duration> {
    let built = !matches!(
        line.state,
        State::AlreadyCommitted | State::Skipped | State::Unknown
    );
    // A worker whose clock was set back reports a negative time.
    let taken = line.finished.duration_since(line.started);
    built.then(|| Duration::try_from(taken).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::monitor::fixtures::{failed, line, start};

    #[test]
    fn a_line_that_is_not_final_leaves_the_target_unknown() {
        let mut drained = failed("s", "d", "a.sql", "no");
        drained.is_final = false;
        let verdict = Verdict::new(vec![drained, line("s", "e", State::Committed)]);
        let lines = verdict.lines();
        assert_eq!(lines[0].state, State::Unknown);
        assert_eq!(lines[0].errors.len(), 1);
        assert_eq!(
            lines[0].warnings,
            ["worker worker-1 reported RolledBack, which was not its last word"]
        );
        assert_eq!(lines[1].state, State::Committed);
        assert_eq!((verdict.totals().unknown, verdict.totals().targets), (1, 2));
    }

    #[test]
    fn only_what_was_built_took_time() {
        let mut line = line("s", "d", State::Committed);
        assert_eq!(build_time(&line), Some(Duration::from_secs(2)));
        line.finished = start() - SignedDuration::from_secs(1);
        assert_eq!(build_time(&line), Some(Duration::ZERO));
        line.state = State::Skipped;
        assert_eq!(build_time(&line), None);
    }
}
