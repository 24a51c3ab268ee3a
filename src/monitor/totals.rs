//! How many targets ended in which state.

use serde::Serialize;

use crate::protocol::State;

/// The number of targets in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// All targets.
    pub targets: usize,
    /// [`State::Committed`].
    pub committed: usize,
    /// [`State::AlreadyCommitted`].
    pub already_committed: usize,
    /// [`State::TrialRolledBack`].
    pub trial_rolled_back: usize,
    /// [`State::RolledBack`].
    pub rolled_back: usize,
    /// [`State::Failed`].
    pub failed: usize,
    /// [`State::PartlyCommitted`].
    pub partly_committed: usize,
    /// [`State::Interrupted`].
    pub interrupted: usize,
    /// [`State::Busy`].
    pub busy: usize,
    /// [`State::Crashed`].
    pub crashed: usize,
    /// [`State::Skipped`].
    pub skipped: usize,
    /// [`State::Unknown`].
    pub unknown: usize,
}

impl Totals {
    /// Counts one more target.
    pub fn add(&mut self, state: State) {
        self.targets += 1;
        *self.of_mut(state) += 1;
    }

    /// The targets in `state`.
    pub fn of(&self, state: State) -> usize {
        let mut copy = *self;
        *copy.of_mut(state)
    }

    /// The targets that are as their user wanted them.
    pub fn succeeded(&self) -> usize {
        self.sum(State::is_success)
    }

    /// The targets in which something went wrong: neither success nor `Skipped` nor `Unknown`.
    pub fn went_wrong(&self) -> usize {
        self.sum(|state| !state.is_success() && !matches!(state, State::Skipped | State::Unknown))
    }

    /// The targets at which a person must look before they are run again.
    pub fn unresolved(&self) -> usize {
        self.sum(State::is_unresolved)
    }

    fn sum(&self, belongs: impl Fn(State) -> bool) -> usize {
        State::ALL
            .into_iter()
            .filter(|state| belongs(*state))
            .map(|state| self.of(state))
            .sum()
    }

    fn of_mut(&mut self, state: State) -> &mut usize {
        match state {
            State::Committed => &mut self.committed,
            State::AlreadyCommitted => &mut self.already_committed,
            State::TrialRolledBack => &mut self.trial_rolled_back,
            State::RolledBack => &mut self.rolled_back,
            State::Failed => &mut self.failed,
            State::PartlyCommitted => &mut self.partly_committed,
            State::Interrupted => &mut self.interrupted,
            State::Busy => &mut self.busy,
            State::Crashed => &mut self.crashed,
            State::Skipped => &mut self.skipped,
            State::Unknown => &mut self.unknown,
        }
    }
}

impl FromIterator<State> for Totals {
    fn from_iter<I: IntoIterator<Item = State>>(states: I) -> Self {
        let mut totals = Self::default();
        for state in states {
            totals.add(state);
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_count_of_its_own() {
        for state in State::ALL {
            let totals = Totals::from_iter([state, state]);
            for other in State::ALL {
                let expected = if other == state { 2 } else { 0 };
                assert_eq!(totals.of(other), expected, "{state} {other}");
            }
        }
    }

    #[test]
    fn every_state_is_a_success_or_wrong_or_skipped_or_unknown() {
        let totals = Totals::from_iter(State::ALL);
        assert_eq!(totals.targets, 11);
        assert_eq!(totals.succeeded(), 3);
        assert_eq!(totals.went_wrong(), 6);
        assert_eq!(totals.unresolved(), 3);
    }
}
