//! What a user does next, told by what happened.

use std::path::Path;

use super::{List, Run, shell_word, text_format::plural};
use crate::monitor::Totals;

/// A command line in two parts, for a user to repeat: what stays, and which databases it names. It holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Program, command and options.
    pub base: String,
    /// The options that say which databases.
    pub targets: String,
    /// What is added to begin a new run; may be empty.
    pub anew: String,
    /// What is added to go on with the run; may be empty.
    pub again: String,
}

/// The next steps after `run`, one sentence each; none when there is nothing to do.
pub fn next_steps(run: &Run, totals: &Totals) -> Vec<String> {
    let mut steps: Vec<String> = build_the_rest(run, totals).into_iter().collect();
    for (count, noun, step) in by_state(run, totals) {
        if count > 0 {
            steps.push(step.replace("{}", &plural(count, noun)));
        }
    }
    if run.trial && totals.trial_rolled_back > 0 && totals.trial_rolled_back == totals.targets {
        steps.push("Commit it: repeat the command without --trial".to_owned());
    }
    steps
}

fn build_the_rest(run: &Run, totals: &Totals) -> Option<String> {
    let wrong = totals.rolled_back + totals.failed + totals.busy + totals.crashed;
    let rest = wrong + totals.skipped;
    if rest == 0 {
        return None;
    }
    let first = if wrong > 0 && run.cancelled.is_none() {
        "Correct the cause, then build"
    } else {
        "Build"
    };
    let how = match &run.folder {
        Some(folder) => {
            let base = match &run.command {
                Some(command) => words([&command.base, &command.anew]),
                None => "repeat the command with".to_owned(),
            };
            format!("{base} --override {}", list(folder))
        }
        None => "repeat the command with a list of these".to_owned(),
    };
    Some(format!(
        "{first} the rest ({}): {how}",
        plural(rest, "target")
    ))
}

/// Targets that need something of their own: how many, what they are called, and the step, with `{}` for both.
fn by_state(run: &Run, totals: &Totals) -> [(usize, &'static str, String); 4] {
    let id = run.run_id;
    let again = match &run.command {
        Some(command) => words([&command.base, &command.targets, &command.again]),
        None => "repeat the command with".to_owned(),
    };
    [
        (
            totals.failed,
            "failed target",
            "Before that, look at {}: without a transaction a part of the build may have stayed"
                .to_owned(),
        ),
        (
            totals.partly_committed,
            "partly committed target",
            format!("Build the missing databases of {{}}: {again} --resume {id} --finish-partial"),
        ),
        (
            totals.interrupted,
            "interrupted target",
            format!(
                "Look at {{}}; where the build may run again, {again} --resume {id} --redo interrupted"
            ),
        ),
        (
            totals.unknown,
            "unknown target",
            format!(
                "Find out about {{}}: {again} --resume {id}, which builds only where this run has not committed"
            ),
        ),
    ]
}

fn words<const N: usize>(words: [&String; N]) -> String {
    let words = words.into_iter().filter(|word| !word.is_empty());
    words.map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// The list as a shell reads it.
fn list(folder: &Path) -> String {
    shell_word(&folder.join(List::Failure.file_name()).display().to_string())
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
    fn the_cause_is_corrected_only_where_there_is_one() {
        assert_eq!(
            steps(&[State::Skipped]),
            [
                "Build the rest (1 target): repeat the command with --override logs/failuredatabases.cfg"
            ]
        );
        assert!(
            steps(&[State::Skipped, State::Busy])[0]
                .starts_with("Correct the cause, then build the rest (2 targets)")
        );
    }

    #[test]
    fn a_list_that_was_not_written_is_not_named() {
        let mut run = run();
        run.folder = None;
        let steps = next_steps(&run, &[State::Busy].into_iter().collect());
        assert!(steps.iter().all(|step| !step.contains(".cfg")), "{steps:?}");
    }

    #[test]
    fn a_path_with_blanks_is_quoted() {
        let mut run = run();
        run.folder = Some(PathBuf::from("my logs"));
        let steps = next_steps(&run, &[State::Busy].into_iter().collect());
        assert!(steps[0].contains("--override 'my logs"), "{steps:?}");
    }
}
