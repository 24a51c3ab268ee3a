//! A number of targets, or a share of all of them.

use std::{fmt, str::FromStr};

/// A number of targets, or a share of all of them, kept as exactly as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many.
    Count(u64),
    /// So many ten-thousandths of a percent, at most [`Amount::WHOLE`].
    Share(u64),
}

/// The text is neither a number nor a percentage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no number of databases; accepted are a number, as in `5`, and a percentage from `0%` to `100%` with up to four decimals, as in `2.5%`"
)]
pub struct BadAmount(String);

const PER_PERCENT: u64 = 10_000;

impl Amount {
    /// The share that is all.
    pub const WHOLE: u64 = 100 * PER_PERCENT;

    /// How many of `total` these are; a part of a target counts as one. It may be more than `total`.
    pub fn of(self, total: usize) -> usize {
        let number = match self {
            Self::Count(count) => u128::from(count),
            Self::Share(parts) => {
                (wide(total) * u128::from(parts)).div_ceil(u128::from(Self::WHOLE))
            }
        };
        usize::try_from(number).unwrap_or(usize::MAX)
    }

    /// Whether `count` of `total` targets are more than this. Nothing is rounded.
    pub fn exceeded(self, count: usize, total: usize) -> bool {
        match self {
            Self::Count(most) => wide(count) > u128::from(most),
            // Multiplied out, because a quotient would have to be rounded.
            Self::Share(parts) => {
                wide(count) * u128::from(Self::WHOLE) > wide(total) * u128::from(parts)
            }
        }
    }
}

impl FromStr for Amount {
    type Err = BadAmount;

    fn from_str(text: &str) -> Result<Self, BadAmount> {
        let trimmed = text.trim();
        let amount = match trimmed.strip_suffix('%') {
            Some(percent) => share(percent.trim_end()).map(Self::Share),
            None => digits(trimmed).map(Self::Count),
        };
        amount.ok_or_else(|| BadAmount(text.to_owned()))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(most) => write!(f, "{most}"),
            Self::Share(parts) => {
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

fn share(percent: &str) -> Option<u64> {
    let (whole, decimals) = percent.split_once('.').unwrap_or((percent, "0"));
    if decimals.len() > 4 {
        return None;
    }
    let parts = digits(whole)?.checked_mul(PER_PERCENT)?;
    let rest = digits(&format!("{decimals:0<4}")).filter(|_| !decimals.is_empty())?;
    parts
        .checked_add(rest)
        .filter(|parts| *parts <= Amount::WHOLE)
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

    #[test]
    fn a_part_of_a_target_counts_as_one() {
        for (text, total, expected) in [
            ("5", 3, 5),
            ("1%", 50, 1),
            ("1%", 100, 1),
            ("1%", 101, 2),
            ("33.3333%", 3, 1),
            ("100%", 7, 7),
            ("0%", 7, 0),
            ("18446744073709551615", 7, usize::MAX),
        ] {
            let amount: Amount = text.parse().unwrap();
            assert_eq!(amount.of(total), expected, "{text} of {total}");
        }
    }

    proptest! {
        #[test]
        fn a_share_is_the_least_number_that_is_not_below_it(
            parts in 0..=Amount::WHOLE,
            total in 0_usize..1_000_000,
        ) {
            let number = Amount::Share(parts).of(total);
            prop_assert!(number <= total);
            // One fewer would be too few; that many are enough.
            let enough = |count: usize| {
                wide(count) * u128::from(Amount::WHOLE) >= wide(total) * u128::from(parts)
            };
            prop_assert!(enough(number));
            prop_assert!(number == 0 || !enough(number - 1));
        }
    }
}
