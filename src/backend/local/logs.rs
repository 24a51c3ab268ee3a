//! The ends of logs.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// How many lines are shown.
const LINES: usize = 20;

/// Not more of a log is read.
const BYTES: u64 = 64 * 1024;

/// Not more of a line is shown.
const CHARS: usize = 1000;

/// The last lines of a log, the oldest first; none when there is no log.
pub(super) fn last_lines(log: &Path) -> io::Result<Vec<String>> {
    let mut file = match File::open(log) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let start = file.metadata()?.len().saturating_sub(BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut end = Vec::new();
    file.take(BYTES).read_to_end(&mut end)?;
    let text = String::from_utf8_lossy(&end);
    let lines: Vec<&str> = text.lines().collect();
    let lines = lines.iter().skip(lines.len().saturating_sub(LINES));
    Ok(lines
        .map(|line| line.chars().take(CHARS).collect())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_huge_log_only_the_end_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("w.log");
        assert!(last_lines(&log).unwrap().is_empty());
        let file = File::create(&log).unwrap();
        // Nothing of it is on the disk.
        file.set_len(1 << 40).unwrap();
        assert_eq!(last_lines(&log).unwrap().len(), 1);
        std::fs::write(&log, "a\n".repeat(100_000) + "b\r\nc").unwrap();
        let lines = last_lines(&log).unwrap();
        assert_eq!((lines.len(), lines[0].as_str()), (20, "a"));
        assert_eq!(lines[18..], ["b", "c"]);
        std::fs::write(&log, "ä".repeat(1_000_000)).unwrap();
        assert_eq!(last_lines(&log).unwrap()[0].chars().count(), 1000);
    }
}
