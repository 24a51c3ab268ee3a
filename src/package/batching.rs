//! Cutting a script into the batches that the reference program sends, with all its quirks.
//!
//! Script hashes are computed over these batches, so the cutting may not become any cleverer: it knows no string
//! literals, no nested comments and no repeat counts, and is the same for every platform. Positions are those of UTF-16
//! units, as in the reference program.

use super::comments::Comments;
use super::words::{is_blank, is_word, starts_with_word};

const CR: u16 = 0x0D;
const LF: u16 = 0x0A;
const SPACE: u16 = 0x20;
const TAB: u16 = 0x09;

/// The batches of `text` as the reference program makes them.
///
/// Line ends become CRLF. A text without `GO` line is one batch and stays as it is, but for one line end at its end. Else
/// `USE` lines are removed, and with `strip_transactions` the words that begin and end transactions.
pub fn split(text: &str, strip_transactions: bool) -> Vec<String> {
    let text = with_crlf(text);
    let delimiters = delimiters(&text);
    if delimiters.is_empty() {
        return vec![String::from_utf16_lossy(chop(&text))];
    }
    cut(&text, &delimiters)
        .into_iter()
        .map(|batch| {
            let batch = if strip_transactions {
                without_transactions(batch)
            } else {
                batch.to_vec()
            };
            without_use(&batch)
        })
        .filter(|batch| !batch.is_empty())
        .map(|batch| String::from_utf16_lossy(&batch))
        .collect()
}

/// A `GO` at a line start.
struct Delimiter {
    /// Where its line starts.
    start: usize,
    /// Behind its last space.
    end: usize,
    /// Where the text behind it starts, when it stands on the first line.
    resume: usize,
}

/// The text in UTF-16 units, with CRLF for every line feed that stands alone.
fn with_crlf(text: &str) -> Vec<u16> {
    let mut units = Vec::with_capacity(text.len());
    for unit in text.encode_utf16() {
        if unit == LF && units.last() != Some(&CR) {
            units.push(CR);
        }
        units.push(unit);
    }
    units
}

fn delimiters(text: &[u16]) -> Vec<Delimiter> {
    let comments = Comments::of(text);
    line_starts(text)
        .filter_map(|start| {
            let word = skip(text, start, |unit| unit == SPACE);
            if !starts_with_word(text.get(word..)?, "GO") || comments.contain(start) {
                return None;
            }
            let end = skip(text, word + 2, |unit| unit == SPACE);
            Some(Delimiter {
                start,
                end,
                resume: resume(text, end)?,
            })
        })
        .collect()
}

/// Where the text goes on behind a `GO` that ends at `end`; none when other text on its line makes it no delimiter.
fn resume(text: &[u16], end: usize) -> Option<usize> {
    if end == text.len() {
        return Some(1);
    }
    let line_end = skip(text, end, |unit| unit != CR);
    let next = skip(text, end, is_blank);
    // Without any line end behind it the rest of the last line is a batch of its own.
    if line_end == text.len() {
        return Some(2);
    }
    (next == text.len() || line_end < next).then_some(line_end + 2)
}

fn cut<'a>(text: &'a [u16], delimiters: &[Delimiter]) -> Vec<&'a [u16]> {
    let mut batches = Vec::with_capacity(delimiters.len() + 1);
    let mut position = 0;
    for delimiter in delimiters {
        if line_end_before(text, delimiter.start) {
            let from = batch_start(text, position);
            let batch = slice(text, from, delimiter.start);
            batches.push(trim_end(batch, |unit| unit == SPACE || unit == TAB));
            position = delimiter.end;
        } else {
            batches.push(slice(text, position, delimiter.start));
            position = delimiter.resume;
        }
    }
    let from = if line_end_before(text, position) {
        batch_start(text, position)
    } else {
        position
    };
    batches.push(chop(slice(text, from, text.len())));
    if batches
        .last()
        .is_some_and(|last| last.iter().copied().all(is_blank))
    {
        batches.pop();
    }
    if let Some(last) = batches.last_mut()
        && ends_in_go(text)
    {
        *last = chop(last);
    }
    batches
}

/// Whether the last line end that ends at or before `position` starts behind the first unit of the text.
fn line_end_before(text: &[u16], position: usize) -> bool {
    let before = slice(text, 0, position);
    let last_cr = |units: &[u16]| units.iter().rposition(|unit| *unit == CR);
    let Some(mut start) = last_cr(before) else {
        return false;
    };
    // A CR whose LF lies at `position` belongs to a line end that ends too late.
    if start + 1 == before.len() && text.get(start + 1) == Some(&LF) {
        match last_cr(slice(text, 0, start)) {
            Some(earlier) => start = earlier,
            None => return false,
        }
    }
    start > 0
}

/// Where the batch behind the delimiter that ended at `position` starts: two units later, for the line end.
fn batch_start(text: &[u16], position: usize) -> usize {
    let behind_line_end = position >= 2 && slice(text, position - 2, position) == [CR, LF];
    let position = if behind_line_end {
        position - 2
    } else {
        position
    };
    if position == 0 { 0 } else { position + 2 }
}

fn ends_in_go(text: &[u16]) -> bool {
    let text = trim_end(text, is_blank);
    text.len() >= 2 && starts_with_word(slice(text, text.len() - 2, text.len()), "GO")
}

/// The words whose removal keeps a script from ending the transaction around it. Of two that start together the longer
/// one goes.
const TRANSACTION_WORDS: [&str; 8] = [
    "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "ROLLBACK TRANSACTION",
    "COMMIT TRANSACTION",
    "BEGIN TRANSACTION",
    "ROLLBACK TRAN",
    "COMMIT TRAN",
    "BEGIN TRAN",
    "COMMIT",
];

fn without_transactions(batch: &[u16]) -> Vec<u16> {
    let comments = Comments::of(batch);
    let mut kept = Vec::with_capacity(batch.len());
    let mut position = 0;
    while let Some(unit) = batch.get(position) {
        match transaction_word_at(batch, position) {
            Some(length) if !comments.contain(position) => position += length,
            _ => {
                kept.push(*unit);
                position += 1;
            }
        }
    }
    kept
}

/// The length of the transaction words at `position`, when they stand by themselves.
fn transaction_word_at(batch: &[u16], position: usize) -> Option<usize> {
    let is_word_at = |at: usize| batch.get(at).copied().is_some_and(is_word);
    if position.checked_sub(1).is_some_and(is_word_at) {
        return None;
    }
    let rest = batch.get(position..)?;
    TRANSACTION_WORDS
        .iter()
        .filter(|words| starts_with_word(rest, words))
        .map(|words| words.len())
        .find(|length| !is_word_at(position + length))
}

fn without_use(batch: &[u16]) -> Vec<u16> {
    let comments = Comments::of(batch);
    let mut kept = Vec::with_capacity(batch.len());
    let mut position = 0;
    for start in line_starts(batch) {
        if let Some(end) = use_at(batch, start)
            && !comments.contain(start)
        {
            kept.extend_from_slice(slice(batch, position, start));
            position = end;
        }
    }
    kept.extend_from_slice(slice(batch, position, batch.len()));
    kept
}

/// The end of a `USE name` that starts on the line at `start`.
fn use_at(batch: &[u16], start: usize) -> Option<usize> {
    let is_space = |unit| unit == SPACE;
    let word = skip(batch, start, is_space);
    if !starts_with_word(batch.get(word..)?, "USE") {
        return None;
    }
    let name = skip(batch, word + 3, is_space);
    let end = skip(batch, name, |unit| !is_blank(unit));
    (name > word + 3 && end > name).then(|| skip(batch, end, is_space))
}

/// The start of the text and every position behind a line feed.
fn line_starts(text: &[u16]) -> impl Iterator<Item = usize> {
    let behind_line_feeds = text
        .iter()
        .enumerate()
        .filter(|(_, unit)| **unit == LF)
        .map(|(index, _)| index + 1);
    std::iter::once(0).chain(behind_line_feeds)
}

/// The first position from `from` on whose unit does not match; the end of the text when all do.
fn skip(text: &[u16], from: usize, matches: impl Fn(u16) -> bool) -> usize {
    text.iter()
        .skip(from)
        .position(|unit| !matches(*unit))
        .map_or(text.len(), |offset| from + offset)
}

/// Without one line end at the end.
fn chop(text: &[u16]) -> &[u16] {
    text.strip_suffix(&[CR, LF])
        .or_else(|| text.strip_suffix(&[LF]))
        .unwrap_or(text)
}

fn trim_end(mut text: &[u16], matches: impl Fn(u16) -> bool) -> &[u16] {
    while let Some((last, rest)) = text.split_last()
        && matches(*last)
    {
        text = rest;
    }
    text
}

/// The units between two positions; none when they lie outside or cross, as they may behind a lone CR.
fn slice(text: &[u16], from: usize, to: usize) -> &[u16] {
    text.get(from..to.min(text.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::package::digest::hash_of_batches;

    #[derive(Deserialize)]
    struct Vector {
        name: String,
        text: String,
        strip: bool,
        batches: Vec<String>,
        sha1: String,
    }

    #[test]
    fn every_recorded_text_is_cut_and_hashed_as_by_the_reference_program() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../../tests/fixtures/vectors-batching.json"))
                .unwrap();
        assert_eq!(vectors.len(), 44);
        for vector in vectors {
            let batches = split(&vector.text, vector.strip);
            assert_eq!(batches, vector.batches, "{}", vector.name);
            assert_eq!(hash_of_batches(&batches), vector.sha1, "{}", vector.name);
        }
    }

    #[test]
    fn words_are_stripped_only_where_they_stand_by_themselves() {
        let strip = |text: &str| split(&format!("{text}\nGO\nx"), true).swap_remove(0);
        assert_eq!(strip("COMMITTED"), "COMMITTED\r\n");
        assert_eq!(strip("éCOMMIT"), "éCOMMIT\r\n");
        assert_eq!(strip("@COMMIT;"), "@;\r\n");
        assert_eq!(strip("BEGIN TRANSACTIONS"), "BEGIN TRANSACTIONS\r\n");
        assert_eq!(strip("COMMIT TRANSACTIONS"), " TRANSACTIONS\r\n");
        assert_eq!(strip("BEGIN TRAN t1"), " t1\r\n");
    }

    #[test]
    fn a_lone_carriage_return_behind_an_early_delimiter_is_survived() {
        for text in ["GO\r", "GO\r\u{1F600}", "\nGO\rGO", "GO\rGO\r\nGO", "GO \r"] {
            split(text, true);
        }
    }

    proptest! {
        #[test]
        fn cutting_never_panics(
            pieces in proptest::collection::vec(
                "(GO|go|USE a|BEGIN TRAN|COMMIT|--|/\\*|\\*/|\r|\n|\r\n| |\t|\u{85}|😀|\\PC)", 0..40),
            strip in any::<bool>(),
        ) {
            split(&pieces.concat(), strip);
        }
    }
}
