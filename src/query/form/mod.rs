//! The forms of a result. Each writes the answer of one database as one block.

mod csv;
mod json_lines;
mod table;

use std::{
    collections::HashSet,
    io::{self, Write},
    path::Path,
    str::FromStr,
};

use super::{Asked, spill::Spilled};

/// `--outputformat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values as in RFC 4180, with the columns of the reference program.
    #[default]
    Csv,
    /// A JSON object for each row.
    JsonLines,
    /// A table for each database, for people.
    Table,
}

/// The text is no form of a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no form of a result; accepted are csv, jsonl and table, in any case")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        match text.trim().to_ascii_lowercase().as_str() {
            "csv" => Ok(Self::Csv),
            "jsonl" => Ok(Self::JsonLines),
            "table" => Ok(Self::Table),
            _ => Err(UnknownFormat(text.to_owned())),
        }
    }
}

impl Format {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
            Self::Table => "table",
        }
    }

    /// What the name of a file says.
    pub fn of_file(path: &Path) -> Self {
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        match extension.to_ascii_lowercase().as_str() {
            "jsonl" | "ndjson" => Self::JsonLines,
            "txt" => Self::Table,
            _ => Self::Csv,
        }
    }

    /// Its writer for a result on `asked`.
    pub(super) fn writer(self, asked: &[Asked]) -> Box<dyn Form> {
        match self {
            Self::Csv => Box::new(csv::Csv::new(asked)),
            Self::JsonLines => Box::new(json_lines::JsonLines),
            Self::Table => Box::new(table::Table::default()),
        }
    }
}

/// Why an answer is not in the result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritten {
    /// It has other columns than the answers before; nothing of it was written.
    #[error("{0}")]
    Unfit(String),
    /// The result takes nothing more.
    #[error(transparent)]
    Output(io::Error),
    /// What was kept of the answer cannot be read.
    #[error("cannot read the answer back: {0}")]
    Kept(io::Error),
}

/// Writes a result in one form.
pub(super) trait Form: Send {
    /// Writes the answer of one database.
    fn write(
        &mut self,
        asked: &Asked,
        answer: &Spilled,
        to: &mut dyn Write,
    ) -> Result<(), Unwritten>;

    /// Ends the result.
    fn finish(&mut self, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }
}

/// Names for the columns, no two of which are equal: one without a name is `Column` and its position, and one whose name is
/// taken gets its position behind the name.
pub(super) fn distinct(names: &[String]) -> Vec<String> {
    let mut taken: HashSet<String> = HashSet::new();
    let mut all = Vec::with_capacity(names.len());
    for (position, name) in (1..).zip(names) {
        let mut name = match name.is_empty() {
            true => format!("Column {position}"),
            false => name.clone(),
        };
        while !taken.insert(name.clone()) {
            name = format!("{name}{position}");
        }
        all.push(name);
    }
    all
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        engine::Answer,
        protocol::{Pair, Target},
        query::spill::Spill,
    };

    pub(in crate::query) fn asked(database: &str) -> Asked {
        Asked {
            target: Target {
                server: "s".into(),
                pairs: vec![Pair {
                    default: String::new(),
                    database: database.into(),
                }],
                tag: None,
            },
            row_data: Vec::new(),
        }
    }

    /// The answer with these columns and rows.
    pub(in crate::query) fn answer(
        folder: &Path,
        columns: &[&str],
        rows: &[&[Option<&str>]],
    ) -> Spilled {
        let mut spill = Spill::create(&folder.join("answer")).unwrap();
        let names = columns.iter().map(|name| (*name).to_owned()).collect();
        spill.write(&Answer::Columns(names)).unwrap();
        for row in rows {
            let cells = row.iter().map(|cell| cell.map(str::to_owned)).collect();
            spill.write(&Answer::Row(cells)).unwrap();
        }
        spill.finish().unwrap()
    }

    #[test]
    fn forms_are_known_by_name_and_by_file() {
        assert_eq!(" CSV ".parse(), Ok(Format::Csv));
        assert_eq!("jsonl".parse(), Ok(Format::JsonLines));
        assert!("xml".parse::<Format>().is_err());
        for (file, format) in [
            ("a.csv", Format::Csv),
            ("a.JSONL", Format::JsonLines),
            ("a.ndjson", Format::JsonLines),
            ("a.txt", Format::Table),
            ("a", Format::Csv),
        ] {
            assert_eq!(Format::of_file(Path::new(file)), format);
        }
    }

    #[test]
    fn columns_get_distinct_names() {
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            distinct(&names)
        };
        assert_eq!(
            names(&["a", "", "a", ""]),
            ["a", "Column 2", "a3", "Column 4"]
        );
        assert_eq!(names(&["a3", "b", "a3"]), ["a3", "b", "a33"]);
        assert_eq!(names(&["Column 2", ""]), ["Column 2", "Column 22"]);
    }
}
