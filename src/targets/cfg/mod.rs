//! The `.cfg` form of a target list: one target per line, `server:default,database;…#tag`.
//!
//! Lines that the reference program reads as meant are read alike. Names may be quoted, servers may have ports and
//! be IPv6 addresses or folders; what the reference program drops without a word is a fault here.

mod line;
mod name;
mod server;
mod write;

pub use write::{format_cfg, format_line};

pub(super) use line::{Problem, read_databases, two_databases_for_one_name};
pub(super) use server::{ServerFault, split_server};

use crate::protocol::Target;

use super::{Fault, Faults, Listed};

/// Reads the text of a `.cfg` file: every target in the order of the file, or every fault.
pub fn parse_cfg(text: &str) -> Result<Vec<Listed>, Faults> {
    whole("the target list", read_cfg(text))
}

/// Reads what can be read, and says what cannot.
pub(super) fn read_cfg(text: &str) -> (Vec<Listed>, Vec<Fault>) {
    read_lines(text, |line| {
        let (server, rest) =
            split_server(line).map_err(|fault| vec![Problem::new(line, fault.to_string())])?;
        read_databases(server, rest)
    })
}

/// The targets of a list without faults.
pub(super) fn whole(
    list: &str,
    (targets, faults): (Vec<Listed>, Vec<Fault>),
) -> Result<Vec<Listed>, Faults> {
    if faults.is_empty() {
        return Ok(targets);
    }
    Err(Faults {
        list: list.to_owned(),
        faults,
    })
}

/// Reads each line that is neither blank nor a comment by way of `read`.
pub(super) fn read_lines(
    text: &str,
    mut read: impl FnMut(&str) -> Result<Target, Vec<Problem>>,
) -> (Vec<Listed>, Vec<Fault>) {
    let mut targets = Vec::new();
    let mut faults = Vec::new();
    for (line, number) in lines(text).zip(1_u32..) {
        let line = line.trim();
        if line.is_empty() || is_comment(line) {
            continue;
        }
        match read(line) {
            Ok(target) => targets.push(Listed::new(target, number)),
            Err(problems) => {
                faults.extend(
                    problems
                        .into_iter()
                        .map(|problem| match problem.text.is_empty() {
                            true => Problem::new(line, problem.message).at(number),
                            false => problem.at(number),
                        }),
                )
            }
        }
    }
    (targets, faults)
}

/// The lines of a text with any mixture of line ends, without a byte order mark.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.strip_prefix('\u{feff}')
        .unwrap_or(text)
        .split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

fn is_comment(line: &str) -> bool {
    line.starts_with('#') || line.starts_with("--")
}

#[cfg(test)]
mod tests;
