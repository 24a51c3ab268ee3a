//! How many failures a run may have before it is halted.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `--maxfailures`: a number of targets, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureBudget(Limit);

/// The value is neither a number nor a percentage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no failure budget; accepted are a number of databases, as in `5`, and a percentage from `0%` to `100%` with up to four decimals, as in `2.5%`"
)]
pub struct BadFailureBudget(String);

impl FailureBudget {
    /// Whether `failures` of `total` targets are more than the budget allows. A budget of 0 allows none.
    pub fn exceeded(self, failures: usize, total: usize) -> bool {
        match self.0 {
            Limit::Count(most) => wide(failures) > u128::from(most),
            // Multiplied out, because a quotient would have to be rounded.
            Limit::Share(parts) => {
                wide(failures) * u128::from(WHOLE) > wide(total) * u128::from(parts)
            }
        }
    }
}

impl FromStr for FailureBudget {
    type Err = BadFailureBudget;

    fn from_str(text: &str) -> Result<Self, BadFailureBudget> {
        let trimmed = text.trim();
        let limit = match trimmed.strip_suffix('%') {
            Some(percent) => share(percent.trim_end()).map(Limit::Share),
            None => digits(trimmed).map(Limit::Count),
        };
        limit
            .map(Self)
            .ok_or_else(|| BadFailureBudget(text.to_owned()))
    }
}

impl fmt::Display for FailureBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Limit::Count(most) => write!(f, "{most}"),
            Limit::Share(parts) => {
                let (percent, rest) = (parts / PER_PERCENT, parts % PER_PERCENT);
                let decimals = format!("{rest:04}");
                match decimals.trim_end_matches('0') {
                    "" => write!(f, "{percent}%"),
                    decimals => write!(f, "{percent}.{decimals}%"),
                }
            }
        }
    }
}

impl Serialize for FailureBudget {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FailureBudget {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Count(u64),
    /// In ten-thousandths of a percent, so that what was typed is kept exactly.
    Share(u64),
}

const PER_PERCENT: u64 = 10_000;
const WHOLE: u64 = 100 * PER_PERCENT;

fn share(percent: &str) -> Option<u64> {
    let (whole, decimals) = percent.split_once('.').unwrap_or((percent, "0"));
    if decimals.len() > 4 {
        return None;
    }
    let parts = digits(whole)?.checked_mul(PER_PERCENT)?;
    let rest = digits(&format!("{decimals:0<4}")).filter(|_| !decimals.is_empty())?;
    parts.checked_add(rest).filter(|parts| *parts <= WHOLE)
}

/// Digits and nothing else: `parse` alone would take `+5`.
fn digits(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn wide(count: usize) -> u128 {
    u128::try_from(count).unwrap_or(u128::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn budget(text: &str) -> FailureBudget {
        text.parse().unwrap()
    }

    #[test]
    fn the_budget_is_what_is_still_allowed() {
        let cases = [
            ("0", 0, 10, false),
            ("0", 1, 10, true),
            ("5", 5, 10, false),
            (" 5 ", 6, 10, true),
            ("2.5%", 25, 1_000, false),
            ("2.5%", 26, 1_000, true),
            ("0%", 1, 100_000, true),
            ("100%", 7, 7, false),
            ("0.0001 %", 1, 1_000_000, false),
            ("0.0001%", 2, 1_000_000, true),
            ("10%", 0, 0, false),
        ];
        for (text, failures, total, expected) in cases {
            let got = budget(text).exceeded(failures, total);
            assert_eq!(got, expected, "{text} {failures}/{total}");
        }
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let refused = [
            "",
            " ",
            "-1",
            "+1",
            "1.5",
            "five",
            "%",
            "101%",
            "100.0001%",
            "-1%",
            "1.%",
            ".5%",
            "1,5%",
            "1.23456%",
            "1%%",
            "NaN%",
            "99999999999999999999",
            "99999999999999999999%",
        ];
        for text in refused {
            let error = text.parse::<FailureBudget>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{text}` is no failure budget; accepted are")),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(count in any::<u64>(), parts in 0..=WHOLE) {
            for limit in [Limit::Count(count), Limit::Share(parts)] {
                let shown = FailureBudget(limit).to_string();
                prop_assert_eq!(budget(&shown), FailureBudget(limit), "{}", shown);
            }
        }

        #[test]
        fn no_text_panics(text in ".*") {
            if let Ok(budget) = text.parse::<FailureBudget>() {
                prop_assert!(!budget.exceeded(0, usize::MAX));
                budget.exceeded(usize::MAX, usize::MAX);
            }
        }
    }
}
