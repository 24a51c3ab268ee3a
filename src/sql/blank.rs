//! Overwrites parts of a text without moving the rest.

use std::{borrow::Cow, ops::Range};

/// What stands in the place of a part: this text, then spaces.
pub(super) type Cover = (Range<usize>, &'static str);

/// `text` with each of `covers` overwritten, which are in order and do not overlap. Length and line ends stay, so that
/// every offset and line number keeps its meaning.
pub(super) fn cover<'a>(text: &'a str, covers: &[Cover]) -> Cow<'a, str> {
    if covers.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    let mut from = 0;
    for (range, replacement) in covers {
        result.push_str(text.get(from..range.start).unwrap_or_default());
        let covered = text.get(range.clone()).unwrap_or_default();
        result.push_str(replacement);
        for character in covered.get(replacement.len()..).unwrap_or_default().chars() {
            match character {
                '\n' | '\r' => result.push(character),
                _ => result.extend(std::iter::repeat_n(' ', character.len_utf8())),
            }
        }
        from = range.end;
    }
    result.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(result)
}
