//! `commits.log` and `errors.log`, in the reference program's form, which other tools read.

use std::io::{self, Write};

use jiff::Timestamp;

use crate::protocol::{ResultLine, State};

/// The two logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// Targets that are as their user wanted them.
    Commits,
    /// All others, except the skipped ones: nothing was done there.
    Errors,
}

impl Log {
    /// Both logs.
    pub const ALL: [Self; 2] = [Self::Commits, Self::Errors];

    /// Its file.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Commits => "commits.log",
            Self::Errors => "errors.log",
        }
    }

    fn holds(self, state: State) -> bool {
        match self {
            Self::Commits => state.is_success(),
            Self::Errors => !state.is_success() && state != State::Skipped,
        }
    }
}

/// Writes one line per target of `log`: time in UTC, run, server, databases and the reference program's result text.
///
/// Targets without evidence have no time of their own; theirs is `ended`, the end of the run.
pub fn write_log(
    to: &mut dyn Write,
    log: Log,
    lines: &[ResultLine],
    ended: Timestamp,
) -> io::Result<()> {
    for line in lines.iter().filter(|line| log.holds(line.state)) {
        let at = if line.state == State::Unknown {
            ended
        } else {
            line.finished
        };
        writeln!(
            to,
            "[{} ] {}  {}  {}: {}",
            at.strftime("%Y-%m-%d %H:%M:%S%.3f"),
            line.run_id,
            line.target.server,
            line.target.databases().join(";"),
            result_text(line.state)
        )?;
    }
    Ok(())
}

/// The reference program's word for a state. It has none for several of ours; theirs is the one that sends a reader
/// looking.
fn result_text(state: State) -> &'static str {
    match state {
        State::Committed | State::AlreadyCommitted => "Committed",
        State::TrialRolledBack => "Success - Trial Rolled Back",
        State::RolledBack => "Rolled Back",
        State::Failed => "Error - Non Transactional",
        State::Busy | State::Crashed => "Process Build Error",
        State::PartlyCommitted | State::Interrupted | State::Skipped | State::Unknown => {
            "Inconclusive"
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::monitor::fixtures::{line, start};

    fn text(log: Log, lines: &[ResultLine]) -> String {
        let mut bytes = Vec::new();
        let ended = start() + SignedDuration::from_millis(61_250);
        write_log(&mut bytes, log, lines, ended).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_have_the_reference_programs_form() {
        let mut two = line("host\\instance", "a", State::Committed);
        two.target.pairs.push(crate::protocol::Pair {
            default: "x".into(),
            database: "b".into(),
        });
        let lines = [
            two,
            line("s", "d", State::Unknown),
            line("s", "e", State::Skipped),
        ];
        assert_eq!(
            text(Log::Commits, &lines),
            "[2026-01-02 03:04:07.000 ] 0190aaaa-bbbb-4ccc-8ddd-eeeeffff0001  host\\instance  a;b: Committed\n"
        );
        assert_eq!(
            text(Log::Errors, &lines),
            "[2026-01-02 03:05:06.250 ] 0190aaaa-bbbb-4ccc-8ddd-eeeeffff0001  s  d: Inconclusive\n"
        );
    }

    #[test]
    fn every_state_but_skipped_is_in_exactly_one_log() {
        for state in State::ALL {
            let lines = [line("s", "d", state)];
            let found = Log::ALL
                .into_iter()
                .filter(|log| !text(*log, &lines).is_empty());
            let expected = usize::from(state != State::Skipped);
            assert_eq!(found.count(), expected, "{state}");
        }
    }
}
