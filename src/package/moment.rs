//! Dates as manifests hold them.

use std::fmt;

use jiff::{
    Timestamp,
    civil::{self, Date, DateTime},
    tz::{Offset, TimeZone},
};

/// A date and time with the offset it was written with, so that a rewrite gives back what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// What the clock on the wall showed.
    pub civil: DateTime,
    /// The wall's offset from UTC; none when the file does not say.
    pub offset: Option<Offset>,
}

impl Moment {
    /// This moment, on the clock of this machine, in the precision that manifests have.
    pub fn now() -> Self {
        let now = Timestamp::now().to_zoned(TimeZone::system());
        let ticks = now.datetime().subsec_nanosecond() / 100;
        Self {
            civil: now
                .datetime()
                .with()
                .subsec_nanosecond(ticks * 100)
                .build()
                .unwrap_or_else(|_| now.datetime()),
            offset: Some(now.offset()),
        }
    }

    /// Reads the date forms of XML Schema. A date in year 1 stands for "never" and is none, as is anything unreadable.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::parse_any(text).filter(|moment| !moment.is_never())
    }

    /// Whether it stands for "never": it is in year 1 or before.
    pub(super) fn is_never(self) -> bool {
        self.civil.year() <= 1
    }

    /// Reads the date forms of XML Schema, whatever the year.
    pub(super) fn parse_any(text: &str) -> Option<Self> {
        let text = text.trim();
        let (civil, offset) = split_offset(text)?;
        let civil = if civil.contains('T') {
            civil.parse().ok()?
        } else {
            civil
                .parse::<Date>()
                .ok()?
                .to_datetime(civil::Time::midnight())
        };
        Some(Self { civil, offset })
    }

    /// The wall clock of `zone`; the written one when no offset is known.
    pub(super) fn shown_in(self, zone: &TimeZone) -> DateTime {
        self.offset
            .and_then(|offset| offset.to_timestamp(self.civil).ok())
            .map_or(self.civil, |timestamp| {
                timestamp.to_zoned(zone.clone()).datetime()
            })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.civil.strftime("%Y-%m-%dT%H:%M:%S"))?;
        let ticks = self.civil.subsec_nanosecond() / 100;
        if ticks > 0 {
            let digits = format!("{ticks:07}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        match self.offset {
            None => Ok(()),
            Some(offset) if offset.is_zero() => f.write_str("Z"),
            Some(offset) => {
                let minutes = offset.seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                let minutes = minutes.abs();
                write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

/// Cuts `Z` or `±hh:mm` off the end.
fn split_offset(text: &str) -> Option<(&str, Option<Offset>)> {
    if let Some(civil) = text.strip_suffix('Z') {
        return Some((civil, Some(Offset::UTC)));
    }
    let Some((civil, offset)) = text
        .len()
        .checked_sub(6)
        .and_then(|at| text.split_at_checked(at))
    else {
        return Some((text, None));
    };
    let sign = match offset.chars().next() {
        Some('+') => 1,
        Some('-') => -1,
        _ => return Some((text, None)),
    };
    // The end of a date without offset, such as `-01-02`, has its second dash where an offset has its colon.
    let Some((hours, minutes)) = offset.get(1..)?.split_once(':') else {
        return Some((text, None));
    };
    let hours: i32 = hours.parse().ok()?;
    let minutes: i32 = minutes.parse().ok()?;
    let offset = Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?;
    (minutes < 60).then_some((civil, Some(offset)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_they_were_read() {
        for text in [
            "2010-04-09T11:35:33.7776612-04:00",
            "2022-12-20T12:09:42.054426+05:30",
            "2026-02-18T12:00:00Z",
            "2026-02-18T12:00:00",
        ] {
            assert_eq!(Moment::parse(text).unwrap().to_string(), text);
        }
        let day = Moment::parse(" 2026-02-18 ").unwrap();
        assert_eq!(day.to_string(), "2026-02-18T00:00:00");
        let zeros = Moment::parse("2026-02-18T12:00:00.0000000-05:00").unwrap();
        assert_eq!(zeros.to_string(), "2026-02-18T12:00:00-05:00");
    }

    #[test]
    fn year_one_and_nonsense_are_no_dates() {
        for text in [
            "",
            "0001-01-01T00:00:00-05:00",
            "0001-01-01T00:00:00Z",
            "2026-13-01T00:00:00",
            "2026-02-18T12:00:00-99:00",
            "2026-02-18T12:00:00-05:99",
            "yesterday",
            "ééé:éé",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    #[test]
    fn moments_are_shown_on_the_clock_of_the_zone() {
        let zone = TimeZone::fixed(Offset::constant(2));
        let shown = |text: &str| Moment::parse(text).unwrap().shown_in(&zone).to_string();
        assert_eq!(shown("2026-02-18T23:00:00Z"), "2026-02-19T01:00:00");
        assert_eq!(shown("2026-02-18T23:00:00"), "2026-02-18T23:00:00");
    }

    #[test]
    fn now_survives_writing_and_reading() {
        let now = Moment::now();
        assert_eq!(Moment::parse(&now.to_string()), Some(now));
    }
}
