//! How many failures a run may have before it is halted.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Amount;

/// `--maxfailures`: a number of targets, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureBudget(Amount);

/// The value is neither a number nor a percentage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no failure budget; accepted are a number of databases, as in `5`, and a percentage from `0%` to `100%` with up to four decimals, as in `2.5%`"
)]
pub struct BadFailureBudget(String);

impl FailureBudget {
    /// Whether `failures` of `total` targets are more than the budget allows. A budget of 0 allows none.
    pub fn exceeded(self, failures: usize, total: usize) -> bool {
        self.0.exceeded(failures, total)
    }
}

impl FromStr for FailureBudget {
    type Err = BadFailureBudget;

    fn from_str(text: &str) -> Result<Self, BadFailureBudget> {
        text.parse()
            .map(Self)
            .map_err(|_| BadFailureBudget(text.to_owned()))
    }
}

impl fmt::Display for FailureBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
        fn what_is_shown_reads_back(count in any::<u64>(), parts in 0..=Amount::WHOLE) {
            for amount in [Amount::Count(count), Amount::Share(parts)] {
                let shown = FailureBudget(amount).to_string();
                prop_assert_eq!(budget(&shown), FailureBudget(amount), "{}", shown);
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
