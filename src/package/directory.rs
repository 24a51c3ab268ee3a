//! A first look at a zip archive's directory, for what the zip reader does not tell.

use std::{
    collections::HashSet,
    io::{self, Read, Seek, SeekFrom},
};

use zip::result::ZipError;

const END: [u8; 4] = *b"PK\x05\x06";
const END_LENGTH: usize = 22;
const ZIP64_LOCATOR: [u8; 4] = *b"PK\x06\x07";
const ZIP64_LOCATOR_LENGTH: usize = 20;
const HEADER: [u8; 4] = *b"PK\x01\x02";
const HEADER_LENGTH: usize = 46;
/// The longest comment that may stand behind the end record.
const COMMENT_LENGTH: u64 = 0xFFFF;

/// The full names that the directory holds more than once.
///
/// Refuses ZIP64, which no package needs: its headers can announce more entries than memory could ever hold, and the zip
/// reader would make room for them. What is damaged is left for the zip reader to judge.
pub(super) fn repeated_names(reader: &mut (impl Read + Seek)) -> Result<Vec<String>, ZipError> {
    let length = reader.seek(SeekFrom::End(0))?;
    let record_length = u64::try_from(END_LENGTH + ZIP64_LOCATOR_LENGTH).unwrap_or_default();
    let tail_start = length.saturating_sub(COMMENT_LENGTH + record_length);
    let tail = read_at(reader, tail_start, length - tail_start)?;
    let mut directory = None;
    for (position, record) in tail.windows(END_LENGTH).enumerate() {
        if !record.starts_with(&END) {
            continue;
        }
        let locator = position
            .checked_sub(ZIP64_LOCATOR_LENGTH)
            .and_then(|start| tail.get(start..));
        if locator.is_some_and(|locator| locator.starts_with(&ZIP64_LOCATOR)) {
            return Err(ZipError::UnsupportedArchive("ZIP64 archives are not read"));
        }
        let end = tail_start + u64::try_from(position).unwrap_or_default();
        directory = size_of_directory(record)
            .and_then(|size| Some((end.checked_sub(size)?, size)))
            .or(directory);
    }
    match directory {
        Some((start, size)) => Ok(repeated(&read_at(reader, start, size)?)),
        None => Ok(Vec::new()),
    }
}

/// Reads at most `length` bytes; memory grows with what is there, not with what is announced.
fn read_at(reader: &mut (impl Read + Seek), start: u64, length: u64) -> io::Result<Vec<u8>> {
    reader.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    reader.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn size_of_directory(record: &[u8]) -> Option<u64> {
    let bytes: [u8; 4] = record.get(12..16)?.try_into().ok()?;
    Some(u64::from(u32::from_le_bytes(bytes)))
}

fn repeated(mut directory: &[u8]) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut repeated = Vec::new();
    while let Some((name, rest)) = next_name(directory) {
        if !seen.insert(name) {
            repeated.push(String::from_utf8_lossy(name).into_owned());
        }
        directory = rest;
    }
    repeated
}

/// The name in the first header, and what follows that header.
fn next_name(directory: &[u8]) -> Option<(&[u8], &[u8])> {
    let header = directory.strip_prefix(&HEADER).and(Some(directory))?;
    let length = |at: usize| {
        let bytes: [u8; 2] = header.get(at..at + 2)?.try_into().ok()?;
        Some(usize::from(u16::from_le_bytes(bytes)))
    };
    let name_length = length(28)?;
    let behind = HEADER_LENGTH + name_length + length(30)? + length(32)?;
    let name = header.get(HEADER_LENGTH..HEADER_LENGTH + name_length)?;
    Some((name, header.get(behind..)?))
}
