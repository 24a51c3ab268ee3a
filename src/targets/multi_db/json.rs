//! `.multiDb` files in JSON. Names of properties are understood in any case, unknown ones are ignored.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    Reading,
    entry::{Entry, Override},
};
use crate::{
    sql::LineIndex,
    targets::{Fault, RowItem},
};

/// Reads the targets of a document.
pub(super) fn read(text: &str, reading: &mut Reading) {
    let mut document = Document {
        text,
        lines: LineIndex::new(text),
        faults: &mut reading.faults,
    };
    let mut entries = Vec::new();
    match serde_json::from_str::<&RawValue>(text) {
        Ok(whole) => {
            for item in document.array(whole, "the file") {
                entries.extend(document.entry(item));
            }
        }
        Err(error) => {
            let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
            let problem = format!("the JSON is not well-formed: {error}; accepted is an array");
            reading.faults.push(Fault::in_lines(vec![line], problem));
        }
    }
    entries.into_iter().for_each(|entry| reading.entry(entry));
}

struct Document<'a, 'f> {
    text: &'a str,
    lines: LineIndex<'a>,
    faults: &'f mut Vec<Fault>,
}

impl<'a> Document<'a, '_> {
    fn entry(&mut self, raw: &'a RawValue) -> Option<Entry> {
        let object = self.object(raw, "a server")?;
        let overrides = object.get("Overrides").into_iter();
        let overrides: Vec<&RawValue> = overrides
            .flat_map(|raw| self.array(raw, "`Overrides`"))
            .collect();
        Some(Entry {
            line: self.line(raw),
            server: self.text(&object, "ServerName"),
            overrides: overrides
                .into_iter()
                .filter_map(|raw| self.database_override(raw))
                .collect(),
        })
    }

    fn database_override(&mut self, raw: &'a RawValue) -> Option<Override> {
        let object = self.object(raw, "an override")?;
        let items = object.get("QueryRowData").into_iter();
        let items: Vec<&RawValue> = items
            .flat_map(|raw| self.array(raw, "`QueryRowData`"))
            .collect();
        Some(Override {
            line: self.line(raw),
            tag: self.text(&object, "ConcurrencyTag"),
            server: self.text(&object, "Server"),
            default: self.text(&object, "DefaultDbTarget"),
            database: self.text(&object, "OverrideDbTarget"),
            row: items
                .into_iter()
                .filter_map(|raw| self.row_item(raw))
                .collect(),
        })
    }

    fn row_item(&mut self, raw: &'a RawValue) -> Option<RowItem> {
        let object = self.object(raw, "an item of `QueryRowData`")?;
        Some(RowItem {
            column: self.text(&object, "ColumnName"),
            value: self.text(&object, "Value"),
        })
    }

    /// The values of an array; none for `null`.
    fn array(&mut self, raw: &'a RawValue, what: &str) -> Vec<&'a RawValue> {
        let array: Result<Option<Vec<&RawValue>>, _> = serde_json::from_str(raw.get());
        let array = array.map_err(|_| self.fault(raw, what, "an array"));
        array.ok().flatten().unwrap_or_default()
    }

    fn object(&mut self, raw: &'a RawValue, what: &str) -> Option<Object<'a>> {
        let object = serde_json::from_str(raw.get());
        object.map_err(|_| self.fault(raw, what, "an object")).ok()
    }

    /// The text of a property; empty when it is not there or `null`.
    fn text(&mut self, object: &Object<'a>, name: &str) -> String {
        let Some(raw) = object.get(name) else {
            return String::new();
        };
        let text: Result<Option<String>, _> = serde_json::from_str(raw.get());
        let text = text.map_err(|_| self.fault(raw, &format!("`{name}`"), "a text"));
        text.ok().flatten().unwrap_or_default()
    }

    fn fault(&mut self, raw: &RawValue, what: &str, accepted: &str) {
        let problem = format!("{what} is written so; accepted is {accepted}");
        let fault = Fault::at(self.line(raw), raw.get(), problem);
        self.faults.push(fault);
    }

    /// The line on which a value begins: it is a part of the text.
    fn line(&self, raw: &RawValue) -> u32 {
        let start = raw.get().as_ptr().addr();
        let offset = start.saturating_sub(self.text.as_ptr().addr());
        self.lines.line_column(offset).0
    }
}

/// The properties of an object in their order.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Object<'a> {
    /// The last property of this name, in any case.
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        let mut found = self.0.iter().rev();
        let found = found.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value)
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Properties)
    }
}

struct Properties;

impl<'de> Visitor<'de> for Properties {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut properties = Vec::new();
        while let Some(property) = map.next_entry()? {
            properties.push(property);
        }
        Ok(Object(properties))
    }
}
