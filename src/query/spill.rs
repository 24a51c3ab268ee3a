//! An answer on disk: written while it arrives, read when its turn comes.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use crate::engine::Answer;

/// Stands for the length of a NULL.
const NULL: u32 = u32::MAX;

/// An answer that arrives. Lengths are four bytes, little-endian: the number of columns, then each name, then each cell.
#[derive(Debug)]
pub(super) struct Spill {
    path: PathBuf,
    to: BufWriter<File>,
    has_columns: bool,
    rows: u64,
}

impl Spill {
    /// Begins the file `path` anew.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            to: BufWriter::new(File::create(path)?),
            has_columns: false,
            rows: 0,
        })
    }

    pub(super) fn write(&mut self, answer: &Answer) -> io::Result<()> {
        match answer {
            Answer::Columns(names) => {
                self.has_columns = true;
                self.length(names.len())?;
                names.iter().try_for_each(|name| self.text(name))
            }
            Answer::Row(cells) => {
                self.rows += 1;
                cells.iter().try_for_each(|cell| match cell {
                    Some(text) => self.text(text),
                    None => self.to.write_all(&NULL.to_le_bytes()),
                })
            }
        }
    }

    fn text(&mut self, text: &str) -> io::Result<()> {
        self.length(text.len())?;
        self.to.write_all(text.as_bytes())
    }

    fn length(&mut self, length: usize) -> io::Result<()> {
        let length = u32::try_from(length).ok().filter(|length| *length != NULL);
        let length = length.ok_or_else(|| io::Error::other("a value of 4 GiB or more"))?;
        self.to.write_all(&length.to_le_bytes())
    }

    /// Closes the file.
    pub(super) fn finish(mut self) -> io::Result<Spilled> {
        if !self.has_columns {
            self.length(0)?;
        }
        self.to.flush()?;
        Ok(Spilled {
            path: self.path,
            rows: self.rows,
        })
    }
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Spilled {
    pub(super) path: PathBuf,
    pub(super) rows: u64,
}

impl Spilled {
    /// Reads it from its beginning; it may be read several times.
    pub(super) fn read(&self) -> io::Result<Reading> {
        let mut from = BufReader::new(File::open(&self.path)?);
        let width = length(&mut from)?;
        let names: io::Result<Vec<String>> = (0..width)
            .map(|_| Ok(text(&mut from)?.unwrap_or_default()))
            .collect();
        Ok(Reading {
            columns: names?,
            from,
            left: self.rows,
        })
    }
}

/// An answer being read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) columns: Vec<String>,
    from: BufReader<File>,
    left: u64,
}

impl Reading {
    /// The next row, as long as there is one.
    pub(super) fn row(&mut self) -> io::Result<Option<Vec<Option<String>>>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let cells: io::Result<_> = (0..self.columns.len())
            .map(|_| text(&mut self.from))
            .collect();
        cells.map(Some)
    }
}

fn length(from: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn text(from: &mut impl Read) -> io::Result<Option<String>> {
    let length = length(from)?;
    if length == NULL {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != u64::from(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    String::from_utf8(bytes).map(Some).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spilled(folder: &Path, answers: &[Answer]) -> Spilled {
        let mut spill = Spill::create(&folder.join("a")).unwrap();
        for answer in answers {
            spill.write(answer).unwrap();
        }
        spill.finish().unwrap()
    }

    #[test]
    fn what_was_written_is_read_as_often_as_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let row = vec![Some("a\n\"ä".to_owned()), None, Some(String::new())];
        let columns = ["x", "", "x"].map(str::to_owned).to_vec();
        let answers = [
            Answer::Columns(columns.clone()),
            Answer::Row(row.clone()),
            Answer::Row(row.clone()),
        ];
        let spilled = spilled(folder.path(), &answers);
        assert_eq!(spilled.rows, 2);
        for _ in 0..2 {
            let mut reading = spilled.read().unwrap();
            assert_eq!(reading.columns, columns);
            assert_eq!(reading.row().unwrap(), Some(row.clone()));
            assert_eq!(reading.row().unwrap(), Some(row.clone()));
            assert_eq!(reading.row().unwrap(), None);
        }
    }

    #[test]
    fn answers_without_rows_or_columns_are_answers() {
        let folder = tempfile::tempdir().unwrap();
        let mut reading = spilled(folder.path(), &[]).read().unwrap();
        assert!(reading.columns.is_empty() && reading.row().unwrap().is_none());
        let answers = [Answer::Columns(Vec::new()), Answer::Row(Vec::new())];
        let mut reading = spilled(folder.path(), &answers).read().unwrap();
        assert_eq!(reading.row().unwrap(), Some(Vec::new()));
    }

    #[test]
    fn a_file_that_was_cut_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let answers = [
            Answer::Columns(vec!["x".into()]),
            Answer::Row(vec![Some("long".into())]),
        ];
        let spilled = spilled(folder.path(), &answers);
        let file = File::options().write(true).open(&spilled.path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 1).unwrap();
        assert!(spilled.read().unwrap().row().is_err());
    }
}
