//! The result as JSON lines: an object for each row.

use std::io::Write;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Asked, Form, Spilled, Unwritten, distinct};

/// Writes `{"server", "database", "tag", "rowData", "rowCount", "row", "values"}`, the optional ones only where there is
/// something to say. A database without rows has no line.
#[derive(Debug)]
pub(super) struct JsonLines;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    server: &'a str,
    database: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    row_data: &'a Map<String, Value>,
    row_count: u64,
    row: u64,
    values: Values<'a>,
}

/// The cells under their names, in the order of the columns.
struct Values<'a>(&'a [String], &'a [Option<String>]);

impl Serialize for Values<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().zip(self.1))
    }
}

impl Form for JsonLines {
    fn write(
        &mut self,
        asked: &Asked,
        answer: &Spilled,
        to: &mut dyn Write,
    ) -> Result<(), Unwritten> {
        let mut reading = answer.read().map_err(Unwritten::Kept)?;
        let names = distinct(&reading.columns);
        let row_data = asked.row_data.iter();
        let row_data: Map<String, Value> = row_data
            .map(|(column, value)| (column.clone(), Value::from(value.as_str())))
            .collect();
        let mut number = 0;
        while let Some(cells) = reading.row().map_err(Unwritten::Kept)? {
            number += 1;
            let row = Row {
                server: &asked.target.server,
                database: asked.database(),
                tag: asked.target.tag.as_deref(),
                row_data: &row_data,
                row_count: answer.rows,
                row: number,
                values: Values(&names, &cells),
            };
            serde_json::to_writer(&mut *to, &row)
                .map_err(|error| Unwritten::Output(error.into()))?;
            to.write_all(b"\n").map_err(Unwritten::Output)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::form::tests::{answer, asked};

    #[test]
    fn every_row_is_an_object_that_says_where_it_is_from() {
        let folder = tempfile::tempdir().unwrap();
        let rows: &[&[Option<&str>]] = &[&[Some("x\n\"y\""), None], &[Some(""), Some("2")]];
        let answer = answer(folder.path(), &["z", "z"], rows);
        let mut database = asked("a");
        database.target.tag = Some("blue".into());
        database.row_data = vec![("t".into(), "v".into())];
        let mut out = Vec::new();
        JsonLines.write(&database, &answer, &mut out).unwrap();
        let got = String::from_utf8(out).unwrap();
        assert_eq!(
            got.lines().next(),
            Some(
                "{\"server\":\"s\",\"database\":\"a\",\"tag\":\"blue\",\"rowData\":{\"t\":\"v\"},\"rowCount\":2,\
                 \"row\":1,\"values\":{\"z\":\"x\\n\\\"y\\\"\",\"z2\":null}}"
            )
        );
        assert_eq!(got.lines().count(), 2);
    }
}
