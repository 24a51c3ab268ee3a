//! How the process ends.

use std::{fmt, process};

use crate::monitor::Totals;

/// The exit codes, in order of precedence: when several hold, the first one is the process's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExitCode {
    /// 2: bad input or settings; nothing was changed.
    Refused,
    /// 130: the user cancelled the run.
    Cancelled,
    /// 3: a service or backend failed.
    ServiceFailed,
    /// 5: what became of some targets is not known.
    Unknown,
    /// 4: the failure budget halted the run.
    Halted,
    /// 1: something went wrong in some databases.
    Failed,
    /// 6: something that the run had created could not be removed.
    LeftOver,
    /// 0: everything is as it should be.
    Succeeded,
}

/// What the exit code is decided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// The input was refused.
    pub refused: bool,
    /// The user cancelled.
    pub cancelled: bool,
    /// A service or backend failed.
    pub service_failed: bool,
    /// The failure budget was exceeded.
    pub halted: bool,
    /// Something could not be removed.
    pub left_over: bool,
    /// What became of the targets.
    pub totals: Totals,
}

impl ExitCode {
    /// Every code, in order of precedence.
    pub const ALL: [Self; 8] = [
        Self::Refused,
        Self::Cancelled,
        Self::ServiceFailed,
        Self::Unknown,
        Self::Halted,
        Self::Failed,
        Self::LeftOver,
        Self::Succeeded,
    ];

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::Failed => 1,
            Self::Refused => 2,
            Self::ServiceFailed => 3,
            Self::Halted => 4,
            Self::Unknown => 5,
            Self::LeftOver => 6,
            Self::Cancelled => 130,
        }
    }

    /// The word for it in reports: the `status` of the JSON form.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::ServiceFailed => "serviceFailed",
            Self::Halted => "halted",
            Self::Unknown => "unknown",
            Self::LeftOver => "leftOver",
            Self::Cancelled => "cancelled",
        }
    }

    fn holds(self, situation: &Situation) -> bool {
        let totals = &situation.totals;
        match self {
            Self::Refused => situation.refused,
            Self::Cancelled => situation.cancelled,
            Self::ServiceFailed => situation.service_failed,
            Self::Unknown => totals.unknown > 0,
            Self::Halted => situation.halted,
            Self::Failed => totals.went_wrong() > 0,
            Self::LeftOver => situation.left_over,
            Self::Succeeded => false,
        }
    }
}

impl fmt::Display for ExitCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code())
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

/// Every code that applies, the process's first; `Succeeded` alone when no other does.
pub fn holding(situation: &Situation) -> Vec<ExitCode> {
    let mut codes: Vec<ExitCode> = ExitCode::ALL
        .into_iter()
        .filter(|code| code.holds(situation))
        .collect();
    if codes.is_empty() {
        codes.push(ExitCode::Succeeded);
    }
    codes
}

/// The exit code of the process.
pub fn decide(situation: &Situation) -> ExitCode {
    holding(situation)
        .first()
        .copied()
        .unwrap_or(ExitCode::Succeeded)
}

/// The code with which the reference program's `threaded run` would have ended.
///
/// It refuses input with many codes (-100 to -115); the general one stands here, and who knows a better one replaces it.
pub fn reference_code(situation: &Situation) -> i32 {
    match decide(situation) {
        ExitCode::Succeeded => 0,
        ExitCode::Failed | ExitCode::Unknown | ExitCode::Halted => 1,
        ExitCode::Refused | ExitCode::ServiceFailed => -1,
        ExitCode::Cancelled => -3,
        ExitCode::LeftOver => -606,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::protocol::State;

    /// The order of precedence, written down once more so that a change of `ALL` is noticed.
    const ORDER: [u8; 7] = [2, 130, 3, 5, 4, 1, 6];

    #[test]
    fn of_every_combination_the_first_in_the_order_decides() {
        for bits in 0..128_u8 {
            let holds = |place: u8| bits & (1 << place) != 0;
            let mut situation = Situation {
                refused: holds(0),
                cancelled: holds(1),
                service_failed: holds(2),
                halted: holds(4),
                left_over: holds(6),
                totals: Totals::from_iter([State::Committed]),
            };
            if holds(3) {
                situation.totals.add(State::Unknown);
            }
            if holds(5) {
                situation.totals.add(State::RolledBack);
            }
            let expected: Vec<u8> = (0_u8..)
                .zip(ORDER)
                .filter_map(|(place, code)| holds(place).then_some(code))
                .collect();
            let got: Vec<u8> = holding(&situation)
                .into_iter()
                .map(ExitCode::code)
                .collect();
            if expected.is_empty() {
                assert_eq!(got, [0]);
            } else {
                assert_eq!(got, expected, "{situation:?}");
            }
            assert_eq!(
                decide(&situation).code(),
                expected.first().copied().unwrap_or(0)
            );
        }
    }

    #[test]
    fn every_state_has_its_code() {
        let expected = [0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 5];
        for (state, expected) in State::ALL.into_iter().zip(expected) {
            let totals = Totals::from_iter([state]);
            let situation = Situation {
                totals,
                ..Situation::default()
            };
            assert_eq!(decide(&situation).code(), expected, "{state}");
        }
    }

    #[test]
    fn the_reference_programs_codes_are_told() {
        let with = |state| Situation {
            totals: Totals::from_iter([state]),
            ..Situation::default()
        };
        assert_eq!(reference_code(&Situation::default()), 0);
        assert_eq!(reference_code(&with(State::AlreadyCommitted)), 0);
        assert_eq!(reference_code(&with(State::Busy)), 1);
        assert_eq!(reference_code(&with(State::Unknown)), 1);
        let refused = Situation {
            refused: true,
            ..Situation::default()
        };
        assert_eq!(reference_code(&refused), -1);
        let cancelled = Situation {
            cancelled: true,
            ..Situation::default()
        };
        assert_eq!(reference_code(&cancelled), -3);
        let left_over = Situation {
            left_over: true,
            ..Situation::default()
        };
        assert_eq!(reference_code(&left_over), -606);
    }

    #[test]
    fn codes_and_words_are_distinct() {
        let codes: HashSet<u8> = ExitCode::ALL.into_iter().map(ExitCode::code).collect();
        let words: HashSet<&str> = ExitCode::ALL.into_iter().map(ExitCode::word).collect();
        assert_eq!((codes.len(), words.len()), (8, 8));
    }
}
