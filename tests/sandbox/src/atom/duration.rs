//! Durations as management writes them: `PT1M`, `P14D`, and ten million days for "never".

use std::time::Duration;

/// The longest time that the service can say, which means that there is no end.
const NEVER: &str = "P10675199DT2H48M5.4775807S";
/// Days from which on a time has no end.
const NEVER_DAYS: u64 = 10_675_199;

/// The text for a time; none is never.
pub(super) fn write(duration: Option<Duration>) -> String {
    let Some(duration) = duration else {
        return NEVER.to_owned();
    };
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let mut text = "P".to_owned();
    push(&mut text, days, 'D');
    if seconds % 86_400 == 0 && duration.subsec_nanos() == 0 && days > 0 {
        return text;
    }
    text.push('T');
    push(&mut text, hours, 'H');
    push(&mut text, minutes, 'M');
    let rest = seconds % 60;
    if duration.subsec_nanos() > 0 {
        let digits = format!("{:09}", duration.subsec_nanos());
        text.push_str(&format!("{rest}.{}S", digits.trim_end_matches('0')));
    } else if rest > 0 || text.ends_with('T') {
        text.push_str(&format!("{rest}S"));
    }
    text
}

fn push(text: &mut String, number: u64, unit: char) {
    if number > 0 {
        text.push_str(&format!("{number}{unit}"));
    }
}

/// The time that a text says; `Some(None)` is never, `None` is no duration.
pub(super) fn parse(text: &str) -> Option<Option<Duration>> {
    let rest = text.trim().strip_prefix('P')?;
    let (date, time) = rest.split_once('T').unwrap_or((rest, ""));
    let mut days = 0;
    for (number, unit) in parts(date)? {
        days += whole(&number)?
            * match unit {
                'D' => 1,
                'W' => 7,
                _ => return None,
            };
    }
    let mut total = Duration::from_secs(days.checked_mul(86_400)?);
    for (number, unit) in parts(time)? {
        total += match unit {
            'H' => Duration::from_secs(whole(&number)?.checked_mul(3600)?),
            'M' => Duration::from_secs(whole(&number)?.checked_mul(60)?),
            'S' => Duration::try_from_secs_f64(number.parse().ok()?).ok()?,
            _ => return None,
        };
    }
    (rest.len() > 1).then_some((days < NEVER_DAYS).then_some(total))
}

/// `2H48M` as numbers with their units.
fn parts(text: &str) -> Option<Vec<(String, char)>> {
    let mut parts = Vec::new();
    let mut number = String::new();
    for character in text.chars() {
        match character {
            '0'..='9' | '.' => number.push(character),
            unit if !number.is_empty() => parts.push((std::mem::take(&mut number), unit)),
            _ => return None,
        }
    }
    number.is_empty().then_some(parts)
}

fn whole(number: &str) -> Option<u64> {
    number.parse().ok().filter(|number| *number < 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_it_is_written() {
        for (text, milliseconds) in [
            ("PT1M", 60_000),
            ("P14D", 1_209_600_000),
            ("PT5.5S", 5500),
            ("PT0S", 0),
            ("P1DT2H3M4S", 93_784_000),
        ] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(parse(text), Some(Some(duration)), "{text}");
            assert_eq!(write(Some(duration)), text);
        }
        assert_eq!(parse("P2W"), Some(Some(Duration::from_secs(14 * 86_400))));
    }

    #[test]
    fn ten_million_days_are_never() {
        assert_eq!(parse(NEVER), Some(None));
        assert_eq!(write(None), NEVER);
    }

    #[test]
    fn what_is_no_duration_is_none() {
        for text in [
            "",
            "P",
            "1M",
            "PT",
            "PT1",
            "PTM",
            "P1M",
            "PT1D",
            "PT1.2.3S",
            "-PT1S",
            "P99999999999999999999D",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
