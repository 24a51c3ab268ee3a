//! The log of one database: every batch, how long it took, and what the server said.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use super::prepare::{PreparedBatch, PreparedScript};
use crate::{
    engine::{BatchResult, Error},
    protocol::Target,
};

/// Of each batch, this much of its text is logged.
const TEXT_BYTES: usize = 2_048;

/// A log that never fails a build: what cannot be written is left out.
#[derive(Debug, Default)]
pub(super) struct DatabaseLog {
    file: Option<File>,
}

impl DatabaseLog {
    /// The log of `target` below `folder`; it says nothing when there is no folder or it cannot be written.
    pub(super) fn open(folder: Option<&Path>, target: &Target) -> Self {
        let Some(folder) = folder else {
            return Self::default();
        };
        let path = path(folder, target);
        let open = || File::options().create(true).append(true).open(&path);
        // The folder is there for all databases of a server but the first.
        let file = open().or_else(|_| {
            let folder = path.parent();
            folder
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| open())
        });
        if let Err(error) = &file {
            log::warn!("no log for {target}: {}: {error}", path.display());
        }
        Self { file: file.ok() }
    }

    /// One line.
    pub(super) fn line(&mut self, text: &str) {
        let now = jiff::Timestamp::now();
        self.write(&format!("[{now:.3}] {text}\n"));
    }

    /// A batch is about to be sent.
    pub(super) fn batch(
        &mut self,
        script: &PreparedScript,
        batch: &PreparedBatch,
        number: usize,
        database: &str,
    ) {
        if self.file.is_none() {
            return;
        }
        let end = batch.sql.floor_char_boundary(TEXT_BYTES);
        let mut text = batch
            .sql
            .get(..end)
            .unwrap_or_default()
            .trim_end()
            .to_owned();
        if end < batch.sql.len() {
            text += &format!("\n-- … {} bytes in all", batch.sql.len());
        }
        self.line(&format!(
            "-- {}, batch {} of {}, line {}, in {database}\n{text}",
            script.file,
            number + 1,
            script.batches.len(),
            batch.line
        ));
    }

    /// What came of it.
    pub(super) fn result(&mut self, took: Duration, result: &Result<BatchResult, Error>) {
        if self.file.is_none() {
            return;
        }
        let millis = took.as_millis();
        match result {
            Ok(result) => {
                let rows: Vec<String> = result.rows.iter().map(u64::to_string).collect();
                self.messages(&result.messages);
                self.line(&format!("-- {millis} ms, rows: {}", rows.join(", ")));
            }
            Err(error) => {
                if let Error::Sql(error) = error {
                    self.messages(&error.messages);
                }
                let code = error
                    .code()
                    .map_or(String::new(), |code| format!(" {code}"));
                self.line(&format!("-- {millis} ms, error{code}: {error}"));
            }
        }
    }

    fn messages(&mut self, messages: &[String]) {
        for message in messages {
            self.line(&format!("-- {message}"));
        }
    }

    fn write(&mut self, text: &str) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.write_all(text.as_bytes())
        {
            log::warn!("a database log ends early: {error}");
            self.file = None;
        }
    }
}

/// `<folder>/<server>/<databases>.log`, with every name made safe for all file systems.
pub fn path(folder: &Path, target: &Target) -> PathBuf {
    let databases = target.databases().join("+");
    folder
        .join(safe(&target.server))
        .join(format!("{}.log", safe(&databases)))
}

/// A file name: letters, digits and a few signs stay, others are percent-encoded; a long one is cut and told apart by a
/// hash.
fn safe(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_' | b'+')
            || (byte == b'.' && !text.is_empty())
        {
            text.push(char::from(byte));
        } else {
            text += &format!("%{byte:02x}");
        }
    }
    if text.len() <= 120 {
        return text;
    }
    let digest = <sha2::Sha256 as sha2::Digest>::digest(name.as_bytes());
    let start = text.get(..100).unwrap_or_default();
    format!(
        "{start}~{}",
        crate::package::hex_lower(digest.get(..6).unwrap_or_default())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_their_folder_and_apart() {
        assert_eq!(safe("db-1.example.com"), "db-1.example.com");
        assert_eq!(safe("../etc"), "%2e.%2fetc");
        assert_eq!(safe("a\\b:c"), "a%5cb%3ac");
        assert_ne!(safe("a/b"), safe("a_b"));
        let long = |end: &str| safe(&format!("{}{end}", "x".repeat(300)));
        assert_ne!(long("a"), long("b"));
        assert!(long("a").len() <= 120);
    }
}
