//! Target lists of the outcome, each of which can be the `--override` of another run.

use std::io::{self, Write};

use crate::{
    protocol::{ResultLine, State},
    targets::format_line,
};

/// The lists; every target is in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    /// Targets that are as their user wanted them.
    Success,
    /// Targets that can be run again once the cause is corrected.
    Failure,
    /// Targets at which a person must look before they are run again.
    Unresolved,
}

impl List {
    /// Every list.
    pub const ALL: [Self; 3] = [Self::Success, Self::Failure, Self::Unresolved];

    /// The list of targets in `state`.
    pub fn of(state: State) -> Self {
        if state.is_success() {
            Self::Success
        } else if state.is_unresolved() {
            Self::Unresolved
        } else {
            Self::Failure
        }
    }

    /// Its file, in lower case as the reference program names the lists of remote runs.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Success => "successdatabases.cfg",
            Self::Failure => "failuredatabases.cfg",
            Self::Unresolved => "unresolveddatabases.cfg",
        }
    }
}

/// Writes the targets of `list`, one a line and nothing else: older readers refuse comments.
pub fn write_list(to: &mut dyn Write, list: List, lines: &[ResultLine]) -> io::Result<()> {
    for line in lines.iter().filter(|line| List::of(line.state) == list) {
        writeln!(to, "{}", format_line(&line.target))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::monitor::fixtures::line;

    fn text(list: List, lines: &[ResultLine]) -> String {
        let mut bytes = Vec::new();
        write_list(&mut bytes, list, lines).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn states_go_to_their_documented_list() {
        use State as S;
        let expected = [
            (
                List::Success,
                vec![S::Committed, S::AlreadyCommitted, S::TrialRolledBack],
            ),
            (
                List::Failure,
                vec![S::RolledBack, S::Failed, S::Busy, S::Crashed, S::Skipped],
            ),
            (
                List::Unresolved,
                vec![S::PartlyCommitted, S::Interrupted, S::Unknown],
            ),
        ];
        for (list, states) in expected {
            let got: Vec<State> = State::ALL
                .into_iter()
                .filter(|state| List::of(*state) == list)
                .collect();
            assert_eq!(got, states, "{list:?}");
        }
    }

    #[test]
    fn pairs_and_tag_are_kept() {
        let mut line = line("host,1433", "a", State::Busy);
        line.target.pairs.push(crate::protocol::Pair {
            default: "client".into(),
            database: "b".into(),
        });
        line.target.tag = Some("blue".into());
        assert_eq!(text(List::Failure, &[line]), "host,1433:a;client,b#blue\n");
    }

    #[test]
    fn an_empty_list_is_an_empty_file() {
        assert_eq!(text(List::Failure, &[line("s", "d", State::Committed)]), "");
    }

    proptest! {
        #[test]
        fn the_lists_partition_the_targets(states in proptest::collection::vec(0..State::ALL.len(), 0..60)) {
            let lines: Vec<ResultLine> = states
                .iter()
                .enumerate()
                .map(|(number, state)| line("s", &format!("d{number}"), State::ALL[*state]))
                .collect();
            let all: Vec<String> = List::ALL
                .into_iter()
                .flat_map(|list| text(list, &lines).lines().map(str::to_owned).collect::<Vec<_>>())
                .collect();
            prop_assert_eq!(all.len(), lines.len());
            let distinct: BTreeSet<String> = all.into_iter().collect();
            let expected: BTreeSet<String> = lines.iter().map(|line| line.target.to_string()).collect();
            prop_assert_eq!(distinct, expected);
        }
    }
}
