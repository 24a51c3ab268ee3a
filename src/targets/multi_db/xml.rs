//! `.multiDb` files in XML, in both layouts.

use super::{
    Reading,
    entry::{Entry, Override},
};
use crate::targets::{
    Fault, RowItem,
    xml::{self, Element},
};

/// Reads the targets of a document.
pub(super) fn read(text: &str, reading: &mut Reading) {
    let read = xml::read(text, "ArrayOfServerData", |element| {
        if element.name == "ServerData" {
            server_data(&element, reading);
        }
    });
    reading.faults.extend(read.err());
}

fn server_data(element: &Element, reading: &mut Reading) {
    let server = element.text_of("ServerName");
    let overrides: Vec<Override> = element.all("Overrides").flat_map(overrides).collect();
    let items: Vec<&Element> = element
        .all("OverrideSequence")
        .flat_map(|sequence| sequence.all("item"))
        .collect();
    if items.is_empty() || !overrides.is_empty() {
        reading.entry(Entry {
            line: element.line,
            server: server.to_owned(),
            overrides,
        });
    }
    for item in in_order(items, reading) {
        let arrays = item.all("value");
        let arrays = arrays.flat_map(|value| value.all("ArrayOfDatabaseOverride"));
        reading.entry(Entry {
            line: item.line,
            server: server.to_owned(),
            overrides: arrays.flat_map(self::overrides).collect(),
        });
    }
}

/// The items of the older layout by their keys, which are numbers; the ones with equal keys as they come.
fn in_order<'a>(items: Vec<&'a Element>, reading: &mut Reading) -> Vec<&'a Element> {
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        let key = item.child("key").map_or("", |key| {
            key.children.first().map_or(&key.text, |inner| &inner.text)
        });
        match key.parse::<f64>() {
            Ok(number) if number.is_finite() => keyed.push((number, item)),
            _ => {
                let problem =
                    "the item has this key; accepted is a number, by which the items are ordered";
                reading.faults.push(Fault::at(item.line, key, problem));
            }
        }
    }
    keyed.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    keyed.into_iter().map(|(_, item)| item).collect()
}

fn overrides(parent: &Element) -> impl Iterator<Item = Override> {
    parent.all("DatabaseOverride").map(|element| Override {
        line: element.line,
        tag: element.text_of("ConcurrencyTag").to_owned(),
        server: element.text_of("Server").to_owned(),
        default: element.text_of("DefaultDbTarget").to_owned(),
        database: element.text_of("OverrideDbTarget").to_owned(),
        row: row(element),
    })
}

fn row(element: &Element) -> Vec<RowItem> {
    let items = element.all("QueryRowData");
    items
        .flat_map(|data| data.all("QueryRowItem"))
        .map(|item| RowItem {
            column: item.attribute("ColumnName").to_owned(),
            value: item.attribute("Value").to_owned(),
        })
        .collect()
}
