//! The query: read once, and looked at before any database is.

use std::{fs, io, path::Path};

use crate::{
    engine,
    package::decode_text,
    protocol::{ErrorReport, Platform},
    sql::{self, LineIndex},
};

/// The largest query file that is read, in bytes.
const MOST_BYTES: u64 = 16 << 20;

/// A query, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The file, or the option that holds the text.
    pub name: String,
    /// What the databases are asked.
    pub text: String,
}

/// Why a text cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    File(#[from] io::Error),
    /// The file is larger than any query.
    #[error("has {bytes} bytes; accepted are at most {MOST_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// The bytes are no text.
    #[error("is not UTF-8 from line {line} on; save it as UTF-8")]
    NotUtf8 {
        /// The line with the first wrong byte.
        line: usize,
    },
    /// Its words show that it is no query.
    #[error("is not one query that only reads: {0}")]
    NotAQuery(String),
}

impl Question {
    /// Reads the query in the file `path`.
    pub fn open(path: &Path, platform: Platform) -> Result<Self, Unusable> {
        let bytes = fs::metadata(path)?.len();
        if bytes > MOST_BYTES {
            return Err(Unusable::TooLarge { bytes });
        }
        let text = decoded(fs::read(path)?)?;
        Self::new(path.display().to_string(), text, platform)
    }

    /// Looks at a text; `name` is what errors call it.
    pub fn new(name: String, text: String, platform: Platform) -> Result<Self, Unusable> {
        sql::single_query(&text, platform.into()).map_err(Unusable::NotAQuery)?;
        Ok(Self { name, text })
    }

    /// An error of the database `database`, with its place in the text.
    pub(super) fn report(&self, database: &str, error: &engine::Error) -> ErrorReport {
        let mut report = ErrorReport {
            database: Some(database.to_owned()),
            code: error.code().map(str::to_owned),
            message: self.message(error),
            ..ErrorReport::default()
        };
        if let engine::Error::Sql(error) = error {
            report.script = Some(self.name.clone());
            report.severity = error.severity.clone();
            if let Some(offset) = error.offset {
                let (line, column) = LineIndex::new(&self.text).line_column(offset);
                (report.line, report.column) = (Some(line), Some(column));
            }
        }
        report
    }

    /// The line of an error.
    pub fn line_of(&self, error: &engine::Error) -> Option<u32> {
        match error {
            engine::Error::Sql(error) => {
                let offset = error.offset?;
                Some(LineIndex::new(&self.text).line_column(offset).0)
            }
            _ => None,
        }
    }

    /// The engine speaks of scripts, of which there is none here.
    fn message(&self, error: &engine::Error) -> String {
        match error {
            engine::Error::Timeout { timeout, .. } => {
                format!("cancelled after {} s: the time-out", timeout.as_secs_f64())
            }
            error => error.to_string(),
        }
    }
}

fn decoded(bytes: Vec<u8>) -> Result<String, Unusable> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let text = decode_text(&bytes);
        return match text.split_once(char::REPLACEMENT_CHARACTER) {
            None => Ok(text),
            Some((good, _)) => Err(Unusable::NotUtf8 {
                line: good.matches('\n').count() + 1,
            }),
        };
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(good);
        Unusable::NotUtf8 {
            line: before.filter(|byte| **byte == b'\n').count() + 1,
        }
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::{SqlError, TransactionFate};

    fn open(bytes: &[u8]) -> Result<Question, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        Question::open(file.path(), Platform::Sqlite).map_err(|error| error.to_string())
    }

    #[test]
    fn queries_are_read_in_the_encodings_of_editors() {
        let utf_16: Vec<u8> = "\u{feff}SELECT 'é'"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for bytes in [
            "SELECT 'é'".as_bytes(),
            b"\xef\xbb\xbfSELECT '\xc3\xa9'",
            &utf_16,
        ] {
            assert_eq!(open(bytes).unwrap().text, "SELECT 'é'");
        }
        assert!(
            open(b"SELECT 1,\n'\xff'")
                .unwrap_err()
                .contains("from line 2")
        );
        assert!(Question::open(Path::new("/no/such.sql"), Platform::Sqlite).is_err());
    }

    #[test]
    fn what_is_no_query_is_refused_before_anything_is_asked() {
        for text in ["", "DELETE FROM t", "SELECT 1; SELECT 2"] {
            let error = open(text.as_bytes()).unwrap_err();
            assert!(error.starts_with("is not one query"), "{error}");
        }
        assert!(open(b"SELECT last_update, 'delete from' FROM t -- insert into").is_ok());
    }

    #[test]
    fn an_error_has_its_place_in_the_file() {
        let question = open(b"SELECT\n  x").unwrap();
        let error = engine::Error::Sql(Box::new(SqlError {
            code: Some("1".into()),
            severity: None,
            message: "no such column: x".into(),
            offset: Some(9),
            fate: TransactionFate::RolledBack,
            transient: false,
            messages: Vec::new(),
        }));
        let report = question.report("d", &error);
        assert_eq!((report.line, report.column), (Some(2), Some(3)));
        assert_eq!(report.code.as_deref(), Some("1"));
        let timeout = engine::Error::Timeout {
            timeout: Duration::from_secs(5),
            fate: TransactionFate::RolledBack,
        };
        let report = question.report("d", &timeout);
        assert_eq!(report.message, "cancelled after 5 s: the time-out");
    }
}
