//! Writes targets as `.cfg` lines that read back as they are.

use std::fmt::Write;

use crate::protocol::{Pair, Target};

use super::{
    is_comment,
    name::{SEPARATORS, needs_quotes, quote},
    split_server,
};

/// One target as a line, without a line end.
///
/// [`parse_cfg`](super::parse_cfg) reads the same target from it. Quotes stand only where a name could not be read
/// without them, so ordinary lines can be read by the reference program too.
pub fn format_line(target: &Target) -> String {
    let mut databases = String::new();
    for (index, pair) in target.pairs.iter().enumerate() {
        if index > 0 {
            databases.push(';');
        }
        push_pair(&mut databases, pair);
    }
    let mut line = server_and(&target.server, &databases);
    if let Some(tag) = target.tag.as_ref().filter(|tag| !tag.trim().is_empty()) {
        line.push('#');
        push_name(&mut line, tag, &['#']);
    }
    line
}

/// All targets, each line ended by a line feed.
pub fn format_cfg(targets: &[Target]) -> String {
    targets.iter().fold(String::new(), |mut text, target| {
        text.push_str(&format_line(target));
        text.push('\n');
        text
    })
}

fn push_pair(text: &mut String, pair: &Pair) {
    if !pair.default.is_empty() {
        // Without double quotes a default name loses its single quotes.
        match pair.default.contains('\'') {
            true => text.push_str(&quote(&pair.default)),
            false => push_name(text, &pair.default, &SEPARATORS),
        }
        text.push(',');
    }
    push_name(text, &pair.database, &SEPARATORS);
}

fn push_name(text: &mut String, name: &str, separators: &[char]) {
    match needs_quotes(name, separators) {
        true => text.push_str(&quote(name)),
        false => text.push_str(name),
    }
}

/// Puts the server before its databases. What is plain depends on both, as in `c` and `/x`, so the reader decides.
fn server_and(server: &str, databases: &str) -> String {
    let mut line = String::with_capacity(server.len() + databases.len() + 1);
    line.push_str(server);
    line.push(':');
    line.push_str(databases);
    let plain = split_server(&line) == Ok((server.into(), databases))
        && !is_comment(server)
        && !server.starts_with('\u{feff}')
        && !server.contains(['\n', '\r']);
    if !plain {
        line.clear();
        write!(line, "{}:{databases}", quote(server)).expect("writing to a String does not fail");
    }
    line
}
