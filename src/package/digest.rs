//! Hashes of scripts and packages, and the decoding of script files that they start from.

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Script, batching, hex_lower};

/// What the reference program puts in place of the hash of a script whose file does not exist.
pub(super) const FILE_MISSING: &str = "File Missing";

/// Decodes a script file: a byte order mark decides between UTF-8, UTF-16 and UTF-32 and is removed; without one it is
/// UTF-8. Whatever is not valid becomes U+FFFD.
pub fn decode_text(bytes: &[u8]) -> String {
    // The mark of UTF-32 (little endian) begins with that of UTF-16, so it is looked for first.
    if let Some(rest) = bytes.strip_prefix(&[0xFF, 0xFE, 0, 0]) {
        return decode_utf32(rest, u32::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(&[0, 0, 0xFE, 0xFF]) {
        return decode_utf32(rest, u32::from_be_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(&[0xFF, 0xFE]) {
        return decode_utf16(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(&[0xFE, 0xFF]) {
        return decode_utf16(rest, u16::from_be_bytes);
    }
    let rest = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    String::from_utf8_lossy(rest).into_owned()
}

/// The reference program's hash of one script text: upper-case SHA-1 over its batches, joined by `GO` lines and encoded
/// as ASCII.
///
/// It cannot tell characters outside ASCII from each other; [`package_sha256`] can.
pub fn script_hash(text: &str, strip_transactions: bool) -> String {
    hash_of_batches(&batching::split(text, strip_transactions))
}

/// The reference program's hash of a script that is already cut into `batches`.
pub fn hash_of_batches(batches: &[String]) -> String {
    let mut hasher = Sha1::new();
    for (index, batch) in batches.iter().enumerate() {
        hasher.update(ascii(batch));
        if index + 1 < batches.len() {
            let delimiter: &[u8] = if batch.ends_with("\r\n") {
                b"GO\r\n"
            } else {
                b"\r\nGO\r\n"
            };
            hasher.update(delimiter);
        }
    }
    hex_upper(&hasher.finalize())
}

/// The reference program's package hash over script hashes, which come in its own order: without a build order first.
pub fn package_hash(script_hashes: impl IntoIterator<Item = String>) -> String {
    let mut hasher = Sha1::new();
    for hash in script_hashes {
        hasher.update(ascii(&hash));
        hasher.update(b"\r\n");
    }
    hex_upper(&hasher.finalize())
}

/// The SHA-256, in lower-case digits, over everything that decides what is executed.
///
/// The input is `sbm package 1` and a zero byte, then for each script in the order in which it runs: its position (from
/// 0), file name, id (16 bytes), database, the four flags as one byte each (roll back on error, causes build failure,
/// strip transaction text, allow multiple runs), its time-out in seconds (eight bytes; none is all ones) and its raw
/// bytes. Numbers are 64-bit big endian; file name, database and bytes are preceded by their length. Descriptions, tags,
/// dates and authors do not enter, nor does the name of the package.
pub fn package_sha256(scripts: &[Script]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"sbm package 1\0");
    for (position, script) in (0_u64..).zip(scripts) {
        hasher.update(position.to_be_bytes());
        for part in [script.file.as_bytes(), script.database.as_bytes()] {
            hasher.update(length_of(part));
            hasher.update(part);
        }
        hasher.update(script.id.as_bytes());
        hasher.update([
            u8::from(script.roll_back_on_error),
            u8::from(script.causes_build_failure),
            u8::from(script.strip_transaction_text),
            u8::from(script.allow_multiple_runs),
        ]);
        let timeout = script.timeout.map_or(u64::MAX, |timeout| timeout.as_secs());
        hasher.update(timeout.to_be_bytes());
        hasher.update(length_of(&script.bytes));
        hasher.update(&script.bytes);
    }
    hex_lower(&hasher.finalize())
}

/// The length of `part` as it enters a hash.
pub(super) fn length_of(part: &[u8]) -> [u8; 8] {
    u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes()
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (units, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = units.iter().copied().map(unit).collect();
    let mut text = String::from_utf16_lossy(&units);
    if !rest.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

fn decode_utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> String {
    let (units, rest) = bytes.as_chunks::<4>();
    let mut text: String = units
        .iter()
        .map(|bytes| char::from_u32(unit(*bytes)).unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    if !rest.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

/// ASCII as the reference program encodes it: a question mark for each UTF-16 unit outside.
fn ascii(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .map(|unit| u8::try_from(unit).ok().filter(u8::is_ascii).unwrap_or(b'?'))
        .collect()
}

fn hex_upper(bytes: &[u8]) -> String {
    hex_lower(bytes).to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batches(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_text_has_the_hash_that_the_reference_program_asserts() {
        assert_eq!(
            script_hash("Here is my script", false),
            "1E725D850DF0954D04A7C12F7C2B663A0A132EE6"
        );
    }

    #[test]
    fn packages_of_batches_have_the_hashes_that_the_reference_program_asserts() {
        let two = [
            batches(&["Line one goes here", "Line 2 goes there"]),
            batches(&[
                "My Batch Line one goes here",
                "Second batch Line 2 goes there",
            ]),
        ];
        assert_eq!(
            package_hash(two.iter().map(|script| hash_of_batches(script))),
            "E00B044F80A5F40EDAFC53BE8B559BD4DB5229A0"
        );
        let three = (1..=3).map(|i| {
            hash_of_batches(&[
                format!("SELECT top {i} * from SqlBuild_Logging"),
                format!("SELECT TOP {i} * from SqlBuild_Logging ORDER BY CommitDate DESC"),
            ])
        });
        assert_eq!(
            package_hash(three),
            "DAA5499C760402A0F64DE5393BF82BB45E382075"
        );
    }

    #[test]
    fn an_empty_package_has_the_hash_of_nothing() {
        assert_eq!(package_hash([]), "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709");
    }

    #[test]
    fn every_order_of_scripts_has_its_own_hash() {
        let hashes: std::collections::BTreeSet<String> = [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ]
        .iter()
        .map(|order| package_hash(order.iter().map(|i| script_hash(&format!("{i}"), false))))
        .collect();
        assert_eq!(hashes.len(), 6);
    }

    #[test]
    fn a_byte_order_mark_decides_the_encoding_and_is_removed() {
        let texts: [&[u8]; 6] = [
            "é1".as_bytes(),
            b"\xEF\xBB\xBF\xC3\xA91",
            b"\xFF\xFE\xE9\x001\x00",
            b"\xFE\xFF\x00\xE9\x001",
            b"\xFF\xFE\x00\x00\xE9\x00\x00\x001\x00\x00\x00",
            b"\x00\x00\xFE\xFF\x00\x00\x00\xE9\x00\x00\x001",
        ];
        for bytes in texts {
            assert_eq!(decode_text(bytes), "é1", "{bytes:?}");
        }
        assert_eq!(decode_text(b"a\xFFb"), "a\u{FFFD}b");
        assert_eq!(decode_text(b"\xFF\xFEa\x00b"), "a\u{FFFD}");
        assert_eq!(
            decode_text(b"\xFF\xFE\x00\x00a\x00\x00\x00\x00"),
            "a\u{FFFD}"
        );
    }

    #[test]
    fn the_sha256_changes_with_everything_that_is_executed_and_nothing_else() {
        type Change = fn(&mut Script);
        let script = Script::new("a.sql", b"select 1".to_vec());
        let sum = |change: Change| {
            let mut scripts = [script.clone(), Script::new("b.sql", Vec::new())];
            change(&mut scripts[0]);
            package_sha256(&scripts)
        };
        let same = sum(|_| ());
        let relevant: [Change; 9] = [
            |script| script.bytes.push(b'\n'),
            |script| script.file.push('x'),
            |script| script.id = uuid::Uuid::nil(),
            |script| script.database.push('x'),
            |script| script.roll_back_on_error = false,
            |script| script.causes_build_failure = false,
            |script| script.strip_transaction_text = true,
            |script| script.allow_multiple_runs = false,
            |script| script.timeout = Some(std::time::Duration::from_secs(1)),
        ];
        for (index, change) in relevant.into_iter().enumerate() {
            assert_ne!(sum(change), same, "change {index}");
        }
        let irrelevant: [Change; 3] = [
            |script| script.description.push('x'),
            |script| script.tag.push('x'),
            |script| script.provenance.added_by.push('x'),
        ];
        for change in irrelevant {
            assert_eq!(sum(change), same);
        }
        let scripts = [Script::new("b.sql", Vec::new()), script.clone()];
        assert_ne!(package_sha256(&scripts), same);
    }

    proptest! {
        #[test]
        fn decoding_and_hashing_never_panic(bytes in any::<Vec<u8>>(), strip in any::<bool>()) {
            script_hash(&decode_text(&bytes), strip);
        }

        #[test]
        fn line_ends_do_not_change_the_hash(
            lines in proptest::collection::vec("(GO|go |USE x|[ -~é😀\t]{0,8}|/\\*|\\*/|--|COMMIT|BEGIN TRAN)", 0..12),
            strip in any::<bool>(),
        ) {
            prop_assert_eq!(
                script_hash(&lines.join("\n"), strip),
                script_hash(&lines.join("\r\n"), strip)
            );
        }
    }
}
