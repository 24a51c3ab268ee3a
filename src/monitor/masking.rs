//! Takes out of a message what differs from database to database, so that equal errors look equal.

/// How much of a message is looked at. Errors that agree so far are one error, and the search for closing quotes stays
/// short.
const MOST_CHARS: usize = 1_000;

const GUID: &str = "<guid>";
const NUMBER: char = '#';

/// The message with quoted texts, GUIDs and numbers replaced by placeholders; masking twice changes nothing more.
pub fn mask_literals(message: &str) -> String {
    let chars: Vec<char> = message.chars().take(MOST_CHARS).collect();
    let mut masked = String::with_capacity(chars.len());
    let mut rest = chars.as_slice();
    while let Some(&first) = rest.first() {
        let length = if let Some(length) = quoted_length(rest, masked.chars().last()) {
            masked.push(first);
            masked.push('?');
            masked.extend(rest.get(length - 1));
            length
        } else if let Some(length) = guid_length(rest) {
            masked.push_str(GUID);
            length
        } else if let Some(length) = number_length(rest) {
            masked.push(NUMBER);
            length
        } else {
            masked.push(first);
            1
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    masked.chars().take(MOST_CHARS).collect()
}

/// The length of the quoted text that `rest` begins with.
///
/// A single quote after a letter is an apostrophe. What counts is the last character written, not the last one read: only
/// then does a second pass see the same.
fn quoted_length(rest: &[char], before: Option<char>) -> Option<usize> {
    let closing = match rest.first()? {
        '\'' if before.is_some_and(char::is_alphabetic) => return None,
        quote @ ('\'' | '"' | '`') => *quote,
        '“' => '”',
        '«' => '»',
        '»' => '«',
        _ => return None,
    };
    let inside = rest.iter().skip(1).position(|char| *char == closing)?;
    Some(inside + 2)
}

fn guid_length(rest: &[char]) -> Option<usize> {
    const LENGTH: usize = 36;
    let candidate = rest.get(..LENGTH)?;
    let fits = candidate
        .iter()
        .enumerate()
        .all(|(place, char)| match place {
            8 | 13 | 18 | 23 => *char == '-',
            _ => char.is_ascii_hexdigit(),
        });
    fits.then_some(LENGTH)
}

/// Digits with decimal points, also the parts of an address, or a hexadecimal number.
fn number_length(rest: &[char]) -> Option<usize> {
    if let ['0', 'x' | 'X', digit, ..] = rest
        && digit.is_ascii_hexdigit()
    {
        let digits = rest
            .iter()
            .skip(2)
            .take_while(|char| char.is_ascii_hexdigit());
        return Some(2 + digits.count());
    }
    let is_digit = |place: usize| rest.get(place).is_some_and(char::is_ascii_digit);
    let mut length = 0;
    while is_digit(length) || (length > 0 && rest.get(length) == Some(&'.') && is_digit(length + 1))
    {
        length += 1;
    }
    (length > 0).then_some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn literals_become_placeholders() {
        let cases = [
            ("", ""),
            ("syntax error", "syntax error"),
            (
                "relation \"t_17\" does not exist",
                "relation \"?\" does not exist",
            ),
            ("Invalid object name 'dbo.x'.", "Invalid object name '?'."),
            ("can't insert 'x' into `t`", "can't insert '?' into `?`"),
            (
                "Spalte »a« fehlt, “b” und «c»",
                "Spalte »?« fehlt, “?” und «?»",
            ),
            ("row 12 of 3.50, 0xDEADbeef", "row # of #, #"),
            ("host 10.0.0.7.", "host #."),
            ("tenant_0042 is offline", "tenant_# is offline"),
            ("id 6F9619FF-8B86-D011-B42D-00CF4FC964FF!", "id <guid>!"),
            ("an open ' quote 5", "an open ' quote #"),
            ("'it''s'", "'?''?'"),
        ];
        for (message, expected) in cases {
            assert_eq!(mask_literals(message), expected);
        }
    }

    #[test]
    fn long_messages_are_cut() {
        assert_eq!(
            mask_literals(&"ü".repeat(5_000)).chars().count(),
            MOST_CHARS
        );
    }

    proptest! {
        #[test]
        fn masking_twice_changes_nothing_more(
            message in prop_oneof![".*", "['\"`“”«»a-f0-9.x-]{0,60}", "['a9]{990,1010}"],
        ) {
            let once = mask_literals(&message);
            prop_assert_eq!(mask_literals(&once), once);
        }
    }
}
