//! How many targets come one after the other: a few first, and more as long as all is well.

use std::{fmt, str::FromStr};

use crate::protocol::{Amount, BadAmount};

/// `--waves`: how many targets have been enqueued after each wave, as numbers or shares of all; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waves(Vec<Amount>);

/// The text does not say how many targets each wave has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadWaves {
    /// A part is neither a number nor a percentage.
    #[error(transparent)]
    Amount(#[from] BadAmount),
    /// A wave would be empty.
    #[error("`{0}` is an empty wave; accepted are numbers from 1 and percentages above `0%`")]
    Empty(String),
    /// The parts say how many targets there are by then, so they grow.
    #[error(
        "`{next}` is not more than `{before}` before it; each part says how many databases there are by then, as in `1,1%,10%,100%`"
    )]
    NotGrowing {
        /// The part before.
        before: String,
        /// The part that should be more.
        next: String,
    },
    /// More than anybody waits for.
    #[error("there are {0} waves; accepted are at most {most}", most = Waves::MOST)]
    TooMany(usize),
}

impl Waves {
    /// How many parts are accepted.
    pub const MOST: usize = 100;

    /// The sizes of the waves of `total` targets, in order. A share of a target counts as one, no wave is empty, and what the
    /// last part leaves over is one more wave, so the sizes add up to `total`.
    pub fn sizes(&self, total: usize) -> Vec<usize> {
        let mut enqueued = 0;
        let mut sizes = Vec::new();
        let everything = std::iter::once(total);
        for by_then in self
            .0
            .iter()
            .map(|amount| amount.of(total))
            .chain(everything)
        {
            let by_then = by_then.min(total);
            if by_then > enqueued {
                sizes.push(by_then - enqueued);
                enqueued = by_then;
            }
        }
        sizes
    }
}

impl FromStr for Waves {
    type Err = BadWaves;

    /// Numbers are compared with numbers and shares with shares; how these stand to each other depends on the targets.
    fn from_str(text: &str) -> Result<Self, BadWaves> {
        let count = text.split(',').count();
        if count > Self::MOST {
            return Err(BadWaves::TooMany(count));
        }
        let mut amounts = Vec::with_capacity(count);
        let (mut number, mut share) = (Amount::Count(0), Amount::Share(0));
        for part in text.split(',') {
            let amount = part.parse()?;
            let before = match amount {
                Amount::Count(_) => &mut number,
                Amount::Share(_) => &mut share,
            };
            check_growth(*before, amount)?;
            *before = amount;
            amounts.push(amount);
        }
        Ok(Self(amounts))
    }
}

fn check_growth(before: Amount, next: Amount) -> Result<(), BadWaves> {
    match (before, next) {
        (_, Amount::Count(0) | Amount::Share(0)) => Err(BadWaves::Empty(next.to_string())),
        (Amount::Count(before_it), Amount::Count(number))
        | (Amount::Share(before_it), Amount::Share(number))
            if number <= before_it =>
        {
            Err(BadWaves::NotGrowing {
                before: before.to_string(),
                next: next.to_string(),
            })
        }
        _ => Ok(()),
    }
}

impl fmt::Display for Waves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, amount) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{amount}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waves(text: &str) -> Waves {
        text.parse().unwrap()
    }

    #[test]
    fn each_part_says_how_many_targets_there_are_by_then() {
        for (text, total, expected) in [
            ("1,1%,10%,100%", 1_000, &[1, 9, 90, 900][..]),
            // A share that is no more than what came before it is no wave.
            ("1,1%,10%,100%", 50, &[1, 4, 45]),
            ("1,1%,10%,100%", 1, &[1]),
            // The rest is one more wave.
            ("10%", 101, &[11, 90]),
            ("5,10", 100, &[5, 5, 90]),
            ("5, 10", 7, &[5, 2]),
            ("200", 7, &[7]),
            ("50%,3,100%", 10, &[5, 5]),
            ("1,100%", 0, &[]),
        ] {
            assert_eq!(waves(text).sizes(total), expected, "{text} of {total}");
        }
    }

    #[test]
    fn what_says_nothing_sensible_is_refused_by_name() {
        for (text, part) in [
            ("", "`` is no number of databases"),
            ("1,,2", "`` is no number of databases"),
            ("1;2", "`1;2` is no number of databases"),
            ("-1", "`-1` is no number of databases"),
            ("101%", "`101%` is no number of databases"),
            ("0,5", "`0` is an empty wave"),
            ("0.0%,5%", "`0%` is an empty wave"),
            ("5,5", "`5` is not more than `5` before it"),
            ("10%,1,5%", "`5%` is not more than `10%` before it"),
            ("5,10%,4", "`4` is not more than `5` before it"),
        ] {
            let error = text.parse::<Waves>().unwrap_err().to_string();
            assert!(error.starts_with(part), "{text}: {error}");
            assert!(
                error.contains("; "),
                "{error} does not say what is accepted"
            );
        }
        let many = |count: u64| {
            let parts: Vec<String> = (1..=count).map(|part| part.to_string()).collect();
            parts.join(",").parse::<Waves>()
        };
        assert!(many(100).is_ok());
        assert_eq!(many(101), Err(BadWaves::TooMany(101)));
    }

    /// Growing numbers and growing shares in any order.
    fn some_waves() -> impl Strategy<Value = Waves> {
        let number = prop_oneof![0..200_000_u64, any::<u64>()].prop_map(Amount::Count);
        let share = (0..=Amount::WHOLE).prop_map(Amount::Share);
        let parts = proptest::collection::vec(prop_oneof![number, share], 1..12);
        parts.prop_filter_map("not growing", |parts| {
            let (mut number, mut share) = (0, 0);
            let growing: Vec<Amount> = parts
                .into_iter()
                .filter(|part| {
                    let (last, value) = match part {
                        Amount::Count(value) => (&mut number, *value),
                        Amount::Share(value) => (&mut share, *value),
                    };
                    let grows = value > *last;
                    *last = value.max(*last);
                    grows
                })
                .collect();
            (!growing.is_empty()).then_some(Waves(growing))
        })
    }

    proptest! {
        #[test]
        fn every_target_is_in_one_wave_and_no_wave_is_empty(
            waves in some_waves(),
            total in 0_usize..100_000,
        ) {
            let sizes = waves.sizes(total);
            prop_assert_eq!(sizes.iter().sum::<usize>(), total);
            prop_assert!(sizes.iter().all(|size| *size > 0));
            prop_assert!(sizes.len() <= waves.0.len() + 1);
            let ends: Vec<usize> = sizes
                .iter()
                .scan(0, |sum, size| {
                    *sum += size;
                    Some(*sum)
                })
                .collect();
            // After each part so many targets are enqueued as it or an earlier one says, and at no other time does a wave end.
            let mut most = 0;
            for amount in &waves.0 {
                most = most.max(amount.of(total).min(total));
                prop_assert!(most == 0 || ends.contains(&most), "{} {:?}", waves, ends);
            }
            for end in ends {
                let said = waves.0.iter().any(|amount| amount.of(total) == end);
                prop_assert!(said || end == total, "{} {}", waves, end);
            }
        }

        #[test]
        fn what_is_shown_reads_back(waves in some_waves()) {
            prop_assert_eq!(waves.to_string().parse::<Waves>().unwrap(), waves);
        }

        #[test]
        fn no_text_panics(text in "[0-9%,. ]*|.*") {
            if let Ok(waves) = text.parse::<Waves>() {
                waves.sizes(usize::MAX);
            }
        }
    }
}
