//! The table in which the reference program lists scripts.

use jiff::tz::TimeZone;

use super::{Package, Script};

/// Order, name, last change and id of each script, and its hash when `hashes` are given; without line end at the end.
///
/// Every line but the last ends in a blank, as in the reference program. Hours are those of a 24-hour clock.
pub(super) fn of_scripts(package: &Package, hashes: Option<&[String]>, zone: &TimeZone) -> String {
    let mut titles = vec![
        "Order",
        "Script Name",
        "Last Date",
        "Last User",
        "Script Id",
    ];
    titles.extend(hashes.map(|_| "SHA1 Hash"));
    let mut rows = vec![titles.into_iter().map(str::to_owned).collect()];
    for (index, script) in package.scripts.iter().enumerate() {
        let mut row = cells(script, zone);
        row.extend(hashes.and_then(|hashes| hashes.get(index)).cloned());
        rows.push(row);
    }
    render(&rows)
}

fn cells(script: &Script, zone: &TimeZone) -> Vec<String> {
    let provenance = &script.provenance;
    let date = provenance.date_modified.or(provenance.date_added);
    let user = if provenance.modified_by.trim().is_empty() {
        &provenance.added_by
    } else {
        &provenance.modified_by
    };
    let shown = |date: super::Moment| {
        date.shown_in(zone)
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string()
    };
    vec![
        script
            .order
            .map_or_else(String::new, |order| order.to_string()),
        script.file.clone(),
        date.map_or_else(String::new, shown),
        user.clone(),
        script.id.to_string(),
    ]
}

/// Draws rows, of which the first holds the titles.
fn render(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let rule = format!("|{}| \n", dashes.join("|"));
    let mut text = rule.clone();
    for (index, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            // Line ends and other control characters would break the table, or a terminal.
            let cell = cell.replace(|c: char| c.is_control(), " ");
            text.push_str(&format!("| {cell:<width$} "));
        }
        text.push_str("| \n");
        if index == 0 {
            text.push_str(&rule);
        }
    }
    text.push_str(&format!("|{}|", dashes.join("-")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::Moment;

    #[test]
    fn a_package_is_listed_as_by_the_reference_program() {
        let mut script = Script::new("Insert single row.sql", Vec::new());
        script.order = Some(1.0);
        script.id = uuid::Uuid::nil();
        script.provenance.date_added = Moment::parse("2008-01-01T00:00:00");
        script.provenance.date_modified = Moment::parse("2009-01-27T16:27:04");
        script.provenance.added_by = "mmckechn".into();
        let package = Package {
            scripts: vec![script],
            ..Package::default()
        };
        let rows: Vec<String> = of_scripts(&package, None, &TimeZone::UTC)
            .lines()
            .map(str::to_owned)
            .collect();
        assert_eq!(
            rows,
            [
                "|-------|-----------------------|---------------------|-----------|--------------------------------------| ",
                "| Order | Script Name           | Last Date           | Last User | Script Id                            | ",
                "|-------|-----------------------|---------------------|-----------|--------------------------------------| ",
                "| 1     | Insert single row.sql | 2009-01-27 16:27:04 | mmckechn  | 00000000-0000-0000-0000-000000000000 | ",
                "|--------------------------------------------------------------------------------------------------------|",
            ]
        );
    }
}
