//! What a user does next, told by what happened.

use std::path::Path;

use super::{List, Run};
use crate::monitor::Totals;

/// The next steps after `run`, one sentence each; none when there is nothing to do.
pub fn next_steps(run: &Run, totals: &Totals) -> Vec<String> {
    let again = totals.rolled_back + totals.failed + totals.busy + totals.crashed + totals.skipped;
    let id = run.run_id;
    let steps = [
        (
            again,
            format!(
                "Build the {again} that failed or were not run: correct the cause, then repeat the command with --override {}",
                list(run, List::Failure)
            ),
        ),
        (
            totals.failed,
            format!(
                "Of these, {} may hold a part of the build, because it did not run in a transaction: look at them first",
                totals.failed
            ),
        ),
        (
            totals.partly_committed,
            format!(
                "Build the missing databases of {} partly committed: repeat the command with --resume {id} --finish-partial",
                totals.partly_committed
            ),
        ),
        (
            totals.interrupted,
            format!(
                "Look at the {} interrupted; where the build may run again, repeat the command with --resume {id} --redo interrupted",
                totals.interrupted
            ),
        ),
        (
            totals.unknown,
            format!(
                "Find out about the {} unknown: repeat the command with --resume {id}, which builds only where this run has not committed",
                totals.unknown
            ),
        ),
    ];
    let mut steps: Vec<String> = steps
        .into_iter()
        .filter_map(|(count, step)| (count > 0).then_some(step))
        .collect();
    if run.trial && totals.trial_rolled_back > 0 && totals.trial_rolled_back == totals.targets {
        steps.push("Commit it: repeat the command without --trial".to_owned());
    }
    steps
}

fn list(run: &Run, list: List) -> String {
    let folder = run.folder.as_deref().unwrap_or(Path::new(""));
    let path = folder.join(list.file_name()).display().to_string();
    if path.contains(char::is_whitespace) {
        return format!("\"{path}\"");
    }
    path
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{protocol::State, report::document::tests::run};

    fn steps(states: &[State]) -> Vec<String> {
        next_steps(&run(), &states.iter().copied().collect())
    }

    #[test]
    fn success_needs_nothing() {
        assert!(steps(&[State::Committed, State::AlreadyCommitted]).is_empty());
    }

    #[test]
    fn every_other_state_has_a_step() {
        for state in State::ALL.into_iter().filter(|state| !state.is_success()) {
            assert!(!steps(&[State::Committed, state]).is_empty(), "{state}");
        }
    }

    #[test]
    fn only_unresolved_targets_are_never_simply_run_again() {
        for state in State::ALL.into_iter().filter(|state| state.is_unresolved()) {
            assert!(
                steps(&[state])
                    .iter()
                    .all(|step| step.contains("--resume 0190aaaa-")),
                "{state}"
            );
        }
    }

    #[test]
    fn a_trial_is_repeated_in_earnest_only_when_all_went_well() {
        let mut trial = run();
        trial.trial = true;
        let good = [State::TrialRolledBack].into_iter().collect();
        assert_eq!(
            next_steps(&trial, &good),
            ["Commit it: repeat the command without --trial"]
        );
        let mixed = [State::TrialRolledBack, State::RolledBack]
            .into_iter()
            .collect();
        assert!(
            next_steps(&trial, &mixed)
                .iter()
                .all(|step| !step.contains("--trial"))
        );
    }

    #[test]
    fn a_path_with_blanks_is_quoted() {
        let mut run = run();
        run.folder = Some(PathBuf::from("my logs"));
        let steps = next_steps(&run, &[State::Busy].into_iter().collect());
        assert!(steps[0].contains("--override \"my logs"), "{steps:?}");
    }
}
