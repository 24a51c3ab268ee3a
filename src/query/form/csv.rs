//! The result as CSV: RFC 4180, with the columns of the reference program.

use std::io::{self, Write};

use super::{Asked, Form, Spilled, Unwritten, distinct};

/// One header, then for each row: server, database, the number of rows of that database, the number of the row, the row data
/// of the list, and the cells. Every field is quoted but NULL, which is the word without quotes. A database without rows
/// has one line with the counts 0 and 1 and empty fields.
#[derive(Debug)]
pub(super) struct Csv {
    /// Whether tags have a column of their own.
    has_tags: bool,
    /// The columns of the row data of all databases.
    row_columns: Vec<String>,
    /// The columns of the first answer, once there is one.
    columns: Option<Vec<String>>,
}

impl Csv {
    pub(super) fn new(asked: &[Asked]) -> Self {
        let mut row_columns: Vec<String> = Vec::new();
        for (column, _) in asked.iter().flat_map(|asked| &asked.row_data) {
            if !row_columns.contains(column) {
                row_columns.push(column.clone());
            }
        }
        // A list from a query has its tags among the row data already.
        let has_tags =
            row_columns.is_empty() && asked.iter().any(|asked| asked.target.tag.is_some());
        Self {
            has_tags,
            row_columns,
            columns: None,
        }
    }

    fn header(&self, columns: &[String], to: &mut dyn Write) -> io::Result<()> {
        let mut names: Vec<String> = ["Server", "Database", "RowCount", "Row #"]
            .map(str::to_owned)
            .to_vec();
        names.extend(self.has_tags.then(|| "Tag".to_owned()));
        names.extend(self.row_columns.iter().cloned());
        names.extend_from_slice(columns);
        let names = distinct(&names);
        line(names.iter().map(|name| Some(name.as_str())), to)
    }

    /// Every answer has the columns of the first one, whose names are in the header.
    fn fit(&mut self, columns: &[String], to: &mut dyn Write) -> Result<(), Unwritten> {
        let Some(expected) = &self.columns else {
            let columns = distinct(columns);
            self.header(&columns, to).map_err(Unwritten::Output)?;
            self.columns = Some(columns);
            return Ok(());
        };
        let columns = distinct(columns);
        let mut pairs = expected.iter().zip(&columns);
        let fits = expected.len() == columns.len()
            && pairs.all(|(one, other)| one.to_lowercase() == other.to_lowercase());
        if fits {
            return Ok(());
        }
        Err(Unwritten::Unfit(format!(
            "its columns ({}) are not those of the header ({}); --outputformat jsonl takes any",
            columns.join(", "),
            expected.join(", ")
        )))
    }
}

impl Form for Csv {
    fn write(
        &mut self,
        asked: &Asked,
        answer: &Spilled,
        to: &mut dyn Write,
    ) -> Result<(), Unwritten> {
        let mut reading = answer.read().map_err(Unwritten::Kept)?;
        self.fit(&reading.columns, to)?;
        let count = answer.rows.to_string();
        let tag = asked.target.tag.as_deref().unwrap_or_default();
        let row_data: Vec<&str> = self
            .row_columns
            .iter()
            .map(|wanted| {
                let mut found = asked.row_data.iter();
                found
                    .find(|(column, _)| column == wanted)
                    .map_or("", |(_, value)| value.as_str())
            })
            .collect();
        let mut number = 1_u64;
        let mut write = |number: u64, cells: &[Option<String>]| {
            let number = number.to_string();
            let start = [
                asked.target.server.as_str(),
                asked.database(),
                &count,
                &number,
            ];
            let fields = start
                .into_iter()
                .chain(self.has_tags.then_some(tag))
                .chain(row_data.iter().copied())
                .map(Some)
                .chain(cells.iter().map(Option::as_deref));
            line(fields, to).map_err(Unwritten::Output)
        };
        if answer.rows == 0 {
            return write(number, &vec![Some(String::new()); reading.columns.len()]);
        }
        while let Some(cells) = reading.row().map_err(Unwritten::Kept)? {
            write(number, &cells)?;
            number += 1;
        }
        Ok(())
    }

    fn finish(&mut self, to: &mut dyn Write) -> io::Result<()> {
        match self.columns {
            Some(_) => Ok(()),
            None => self.header(&[], to),
        }
    }
}

fn line<'a>(fields: impl Iterator<Item = Option<&'a str>>, to: &mut dyn Write) -> io::Result<()> {
    for (index, field) in fields.enumerate() {
        if index > 0 {
            to.write_all(b",")?;
        }
        match field {
            Some(text) if text.contains('"') => write!(to, "\"{}\"", text.replace('"', "\"\""))?,
            Some(text) => write!(to, "\"{text}\"")?,
            None => to.write_all(b"NULL")?,
        }
    }
    to.write_all(b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::form::tests::{answer, asked};

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn one_header_and_every_field_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (asked("a"), asked("b"));
        let mut csv = Csv::new(&[first.clone(), second.clone()]);
        let mut out = Vec::new();
        let rows: &[&[Option<&str>]] = &[&[Some("x,\"y\"\r\nz"), None], &[Some(""), Some("1")]];
        let some = answer(folder.path(), &["n", ""], rows);
        csv.write(&first, &some, &mut out).unwrap();
        let none = answer(folder.path(), &["N", ""], &[]);
        csv.write(&second, &none, &mut out).unwrap();
        csv.finish(&mut out).unwrap();
        assert_eq!(
            text(out),
            "\"Server\",\"Database\",\"RowCount\",\"Row #\",\"n\",\"Column 2\"\r\n\
             \"s\",\"a\",\"2\",\"1\",\"x,\"\"y\"\"\r\nz\",NULL\r\n\
             \"s\",\"a\",\"2\",\"2\",\"\",\"1\"\r\n\
             \"s\",\"b\",\"0\",\"1\",\"\",\"\"\r\n"
        );
    }

    #[test]
    fn other_columns_are_refused_and_nothing_of_them_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let database = asked("a");
        let mut csv = Csv::new(std::slice::from_ref(&database));
        let mut out = Vec::new();
        let good = answer(folder.path(), &["n"], &[&[Some("1")]]);
        csv.write(&database, &good, &mut out).unwrap();
        let length = out.len();
        for columns in [&["n", "m"][..], &["m"], &[]] {
            let other = answer(folder.path(), columns, &[]);
            let error = csv.write(&database, &other, &mut out).unwrap_err();
            assert!(matches!(error, Unwritten::Unfit(_)), "{error}");
        }
        assert_eq!(out.len(), length);
    }

    #[test]
    fn tags_and_row_data_have_columns_before_those_of_the_query() {
        let folder = tempfile::tempdir().unwrap();
        let one = answer(folder.path(), &["n"], &[&[Some("1")]]);
        let mut tagged = asked("a");
        tagged.target.tag = Some("blue".into());
        let mut out = Vec::new();
        let mut csv = Csv::new(&[tagged.clone(), asked("b")]);
        csv.write(&tagged, &one, &mut out).unwrap();
        csv.write(&asked("b"), &one, &mut out).unwrap();
        let got = text(out);
        assert!(got.contains("\"Row #\",\"Tag\",\"n\"\r\n"), "{got}");
        assert!(got.contains("\"1\",\"blue\",\"1\"\r\n"), "{got}");
        assert!(got.contains("\"1\",\"\",\"1\"\r\n"), "{got}");

        tagged.row_data = vec![("t".into(), "blue".into()), ("n".into(), "x".into())];
        let mut out = Vec::new();
        let mut csv = Csv::new(&[asked("b"), tagged.clone()]);
        csv.write(&tagged, &one, &mut out).unwrap();
        csv.write(&asked("b"), &one, &mut out).unwrap();
        let got = text(out);
        assert!(got.contains("\"Row #\",\"t\",\"n\",\"n7\"\r\n"), "{got}");
        assert!(got.contains("\"1\",\"blue\",\"x\",\"1\"\r\n"), "{got}");
        assert!(got.contains("\"1\",\"\",\"\",\"1\"\r\n"), "{got}");
    }

    #[test]
    fn a_result_without_any_answer_has_a_header() {
        let mut out = Vec::new();
        Csv::new(&[]).finish(&mut out).unwrap();
        assert_eq!(
            text(out),
            "\"Server\",\"Database\",\"RowCount\",\"Row #\"\r\n"
        );
    }
}
