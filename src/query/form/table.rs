//! The result as tables for people.

use std::io::{self, Write};

use super::{super::spill::Reading, Asked, Form, Spilled, Unwritten, distinct};

/// No column is wider.
const WIDEST: usize = 60;

/// For each database a heading and a table, with an empty line between two of them.
#[derive(Debug, Default)]
pub(super) struct Table {
    has_any: bool,
}

impl Form for Table {
    fn write(
        &mut self,
        asked: &Asked,
        answer: &Spilled,
        to: &mut dyn Write,
    ) -> Result<(), Unwritten> {
        // The widths are known when all rows have been seen, so they are read twice.
        let mut reading = answer.read().map_err(Unwritten::Kept)?;
        let names = distinct(&reading.columns);
        let mut widths: Vec<usize> = names.iter().map(|name| shown(name).1).collect();
        while let Some(row) = reading.row().map_err(Unwritten::Kept)? {
            for (width, cell) in widths.iter_mut().zip(&row) {
                *width = (*width).max(shown(text(cell)).1);
            }
        }
        let reading = answer.read().map_err(Unwritten::Kept)?;
        self.heading(asked, answer.rows, to)
            .map_err(Unwritten::Output)?;
        body(&names, &widths, reading, to)
    }
}

impl Table {
    fn heading(&mut self, asked: &Asked, rows: u64, to: &mut dyn Write) -> io::Result<()> {
        if std::mem::replace(&mut self.has_any, true) {
            writeln!(to)?;
        }
        let place = format!("{}:{}", asked.target.server, asked.database());
        write!(to, "{}", shown(&place).0)?;
        if let Some(tag) = &asked.target.tag {
            write!(to, " #{}", shown(tag).0)?;
        }
        for (column, value) in &asked.row_data {
            write!(to, " {}={}", shown(column).0, shown(value).0)?;
        }
        let noun = if rows == 1 { "row" } else { "rows" };
        writeln!(to, " ({rows} {noun})")
    }
}

fn body(
    names: &[String],
    widths: &[usize],
    mut reading: Reading,
    to: &mut dyn Write,
) -> Result<(), Unwritten> {
    let mut write = |cells: Vec<&str>| line(&cells, widths, to).map_err(Unwritten::Output);
    write(names.iter().map(String::as_str).collect())?;
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    write(rules.iter().map(String::as_str).collect())?;
    while let Some(row) = reading.row().map_err(Unwritten::Kept)? {
        write(row.iter().map(text).collect())?;
    }
    Ok(())
}

fn line(cells: &[&str], widths: &[usize], to: &mut dyn Write) -> io::Result<()> {
    let mut all = String::from(" ");
    for (cell, width) in cells.iter().zip(widths) {
        let (cell, length) = shown(cell);
        all.push(' ');
        all.push_str(&cell);
        all.extend(std::iter::repeat_n(' ', (width + 1).saturating_sub(length)));
    }
    writeln!(to, "{}", all.trim_end())
}

fn text(cell: &Option<String>) -> &str {
    cell.as_deref().unwrap_or("NULL")
}

/// A text in one line, cut where it is long, without what would steer a terminal; and its length.
fn shown(text: &str) -> (String, usize) {
    let mut all = String::new();
    let mut length = 0;
    for character in text.chars() {
        if length == WIDEST {
            all.pop();
            all.push('…');
            break;
        }
        length += 1;
        all.push(match character {
            '\n' | '\r' | '\t' => ' ',
            other if other.is_control() => '\u{fffd}',
            other => other,
        });
    }
    (all, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::form::tests::{answer, asked};

    #[test]
    fn columns_are_aligned_and_long_texts_cut() {
        let folder = tempfile::tempdir().unwrap();
        let long = "y".repeat(100);
        let rows: &[&[Option<&str>]] = &[&[Some("1"), Some("a\u{1b}[2J\nb")], &[None, Some(&long)]];
        let mut table = Table::default();
        let mut out = Vec::new();
        let some = answer(folder.path(), &["id", "text"], rows);
        table.write(&asked("a"), &some, &mut out).unwrap();
        let none = answer(folder.path(), &["id"], &[]);
        table.write(&asked("b"), &none, &mut out).unwrap();
        let expected = format!(
            "s:a (2 rows)\n  id    text\n  ----  {}\n  1     a\u{fffd}[2J b\n  NULL  {}…\n\ns:b (0 rows)\n  id\n  --\n",
            "-".repeat(60),
            "y".repeat(59)
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
