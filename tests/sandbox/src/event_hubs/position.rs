//! Where a reader begins.

use jiff::Timestamp;

/// The first event that a reader gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// The oldest that is kept.
    Oldest,
    /// The next that is sent.
    Next,
    /// From this sequence number on.
    Sequence(i64),
    /// From this offset on.
    Offset(i64),
    /// The first that was taken later than this.
    After(Timestamp),
}

impl Position {
    /// Reads a selector such as `amqp.annotation.x-opt-enqueued-time > '1700000000000'`; nothing means the oldest event.
    pub(crate) fn parse(selector: &str) -> Result<Self, String> {
        if selector.trim().is_empty() {
            return Ok(Self::Oldest);
        }
        let wrong = || format!("The filter '{selector}' is not understood.");
        let value = selector.split('\'').nth(1).ok_or_else(wrong)?;
        if selector.contains("x-opt-offset") && matches!(value, "-1" | "@latest") {
            return Ok(if value == "-1" {
                Self::Oldest
            } else {
                Self::Next
            });
        }
        let number: i64 = value.parse().map_err(|_| wrong())?;
        let next = number.saturating_add(i64::from(!selector.contains(">=")));
        if selector.contains("x-opt-offset") {
            Ok(Self::Offset(next))
        } else if selector.contains("x-opt-sequence-number") {
            Ok(Self::Sequence(next))
        } else if selector.contains("x-opt-enqueued-time") {
            Timestamp::from_millisecond(next.saturating_sub(1))
                .map(Self::After)
                .map_err(|_| wrong())
        } else {
            Err(wrong())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_of_the_official_clients_are_read() {
        let of = |selector: &str| Position::parse(selector);
        assert_eq!(of(""), Ok(Position::Oldest));
        assert_eq!(
            of("amqp.annotation.x-opt-offset > '-1'"),
            Ok(Position::Oldest)
        );
        assert_eq!(
            of("amqp.annotation.x-opt-offset > '@latest'"),
            Ok(Position::Next)
        );
        assert_eq!(
            of("amqp.annotation.x-opt-offset > '7'"),
            Ok(Position::Offset(8))
        );
        assert_eq!(
            of("amqp.annotation.x-opt-offset >= '7'"),
            Ok(Position::Offset(7))
        );
        assert_eq!(
            of("amqp.annotation.x-opt-sequence-number > '7'"),
            Ok(Position::Sequence(8))
        );
        let time = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        assert_eq!(
            of("amqp.annotation.x-opt-enqueued-time > '1700000000000'"),
            Ok(Position::After(time))
        );
    }

    #[test]
    fn other_selectors_are_refused() {
        for selector in [
            "x",
            "amqp.annotation.x-opt-offset > '@first'",
            "amqp.annotation.x-opt-color > '1'",
        ] {
            assert!(Position::parse(selector).is_err(), "{selector}");
        }
    }
}
