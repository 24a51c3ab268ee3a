//! The `.multiDb` form of a target list: XML in one of two layouts, or JSON.
//!
//! One `ServerData` is one target. In the older layout, with an `OverrideSequence`, each `item` of it is one. All faults
//! of a file are found, each with its line; what the reference program reads as targets without databases is a fault.

mod entry;
mod json;
mod write;
mod xml;

pub use write::{MultiDbForm, Unwritable, format_multi_db};

use super::{Fault, Faults, Listed, cfg::whole};
use entry::Entry;

/// Reads the text of a `.multiDb` file: every target in the order of the file, or every fault.
pub fn parse_multi_db(text: &str) -> Result<Vec<Listed>, Faults> {
    whole("the target list", read_multi_db(text))
}

/// Reads what can be read, and says what cannot.
pub(super) fn read_multi_db(text: &str) -> (Vec<Listed>, Vec<Fault>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reading = Reading::default();
    match text.trim_start().chars().next() {
        Some('<') => xml::read(text, &mut reading),
        Some('[' | '{') => json::read(text, &mut reading),
        _ => reading.faults.push(Fault::in_lines(
            vec![1],
            "neither XML nor JSON begins here; accepted are XML with the root `ArrayOfServerData` and a JSON array",
        )),
    }
    let Reading {
        targets,
        mut faults,
    } = reading;
    faults.sort_by(|one, other| one.lines.cmp(&other.lines));
    (targets, faults)
}

/// What was found so far.
#[derive(Debug, Default)]
struct Reading {
    targets: Vec<Listed>,
    faults: Vec<Fault>,
}

impl Reading {
    fn entry(&mut self, entry: Entry) {
        match entry.into_listed() {
            Ok(listed) => self.targets.push(listed),
            Err(faults) => self.faults.extend(faults),
        }
    }
}

#[cfg(test)]
mod tests;
