//! What stands after the server in a `.cfg` line: pairs and a tag.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    protocol::{Pair, Target},
    targets::Fault,
};

use super::name::{Name, SEPARATORS, read_name};

/// A piece of a line, and what is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::targets) struct Problem {
    /// The offending text.
    pub(in crate::targets) text: String,
    /// What is wrong, and what would be accepted.
    pub(in crate::targets) message: String,
}

impl Problem {
    /// `message` about `text`.
    pub(in crate::targets) fn new(text: &str, message: impl Into<String>) -> Self {
        Self {
            text: text.trim().to_owned(),
            message: message.into(),
        }
    }

    /// The fault of the line with this number.
    pub(in crate::targets) fn at(self, line: u32) -> Fault {
        Fault::at(line, &self.text, self.message)
    }
}

/// Reads `default,database;…#tag`, the text after the server's colon.
pub(in crate::targets) fn read_databases(
    server: Cow<'_, str>,
    text: &str,
) -> Result<Target, Vec<Problem>> {
    let mut pairs = Vec::with_capacity(1);
    let mut problems = Vec::new();
    let mut rest = text;
    let tag = loop {
        let after = match read_pair(rest) {
            Ok((pair, after)) => {
                pairs.push(pair);
                after
            }
            Err((problem, after)) => {
                problems.push(problem);
                after
            }
        };
        // A problem that hides where its pair ends leaves nothing to go on with.
        let Some(separator) = after.chars().next() else {
            break None;
        };
        rest = after.strip_prefix(separator).unwrap_or_default();
        if separator == '#' {
            break read_tag(rest).unwrap_or_else(|problem| {
                problems.push(problem);
                None
            });
        }
    };
    problems.extend(two_databases_for_one_name(&pairs));
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Target {
        server: server.into_owned(),
        pairs,
        tag,
    })
}

/// Reads one pair; the text that is left begins with `;` or `#`, or is empty.
fn read_pair(text: &str) -> Result<(Pair, &str), (Problem, &str)> {
    let broken = |fault: super::name::NameFault| (Problem::new(text, fault.to_string()), "");
    let first = read_name(text, &SEPARATORS).map_err(broken)?;
    let Some(after_comma) = first.rest.strip_prefix(',') else {
        let rest = pair_end(text, first.rest)?;
        let database = first.text.trim();
        if database.is_empty() {
            return Err((no_name(text, rest), rest));
        }
        return Ok((pair(String::new(), first.text.into_owned()), rest));
    };
    let second = read_name(after_comma, &SEPARATORS).map_err(broken)?;
    if second.rest.starts_with(',') {
        return Err(more_than_two_names(text, second.rest));
    }
    let rest = pair_end(text, second.rest)?;
    let default = default_name(first);
    if !second.text.trim().is_empty() {
        return Ok((pair(default, second.text.into_owned()), rest));
    }
    if default.trim().is_empty() {
        return Err((no_name(text, rest), rest));
    }
    Ok((pair(default.clone(), default), rest))
}

fn pair(default: String, database: String) -> Pair {
    Pair { default, database }
}

/// The reference program takes all single quotes out of a default name; in double quotes they are kept.
fn default_name(name: Name<'_>) -> String {
    if name.quoted || !name.text.contains('\'') {
        return name.text.into_owned();
    }
    name.text.replace('\'', "").trim().to_owned()
}

/// Refuses a `:` where a pair must end.
fn pair_end<'a>(pair: &str, rest: &'a str) -> Result<&'a str, (Problem, &'a str)> {
    if !rest.starts_with(':') {
        return Ok(rest);
    }
    let message = "a further `:` follows the server's; names with it are accepted in double quotes, IPv6 addresses in \
                   brackets, a port as `host:port:database`";
    Err((Problem::new(pair, message), ""))
}

/// Neither of a pair's names is there; says so in terms of the separator that made the pair.
fn no_name(text: &str, rest: &str) -> Problem {
    let message = "a pair has no name; accepted are `default,database` and `database`, with a `;` between two pairs \
                   and none after the last";
    let length = text.len() - rest.len();
    let shown = text.get(..length).unwrap_or_default().trim();
    Problem::new(shown, message)
}

fn more_than_two_names<'a>(text: &'a str, mut rest: &'a str) -> (Problem, &'a str) {
    while let Some(after) = rest.strip_prefix(',') {
        match read_name(after, &SEPARATORS) {
            Ok(name) => rest = name.rest,
            Err(_) => rest = "",
        }
    }
    if rest.starts_with(':') {
        rest = "";
    }
    let length = text.len() - rest.len();
    let message = "a pair has more than two names; accepted is `default,database`, with a `;` between two pairs and \
                   double quotes around names with a comma";
    let shown = text.get(..length).unwrap_or(text);
    (Problem::new(shown, message), rest)
}

/// Reads the text after the first `#`; a blank tag is none.
fn read_tag(text: &str) -> Result<Option<String>, Problem> {
    let name = read_name(text, &['#']).map_err(|fault| Problem::new(text, fault.to_string()))?;
    if !name.rest.is_empty() {
        let message = "a further `#` follows the tag's; a tag with it is accepted in double quotes";
        return Err(Problem::new(text, message));
    }
    Ok(match name.text.trim().is_empty() {
        true => None,
        false => Some(name.text.into_owned()),
    })
}

/// The names of the package that the pairs map to more than one database.
pub(in crate::targets) fn two_databases_for_one_name(pairs: &[Pair]) -> Vec<Problem> {
    if pairs.len() < 2 {
        return Vec::new();
    }
    let mut databases: HashMap<Cow<'_, str>, &str> = HashMap::with_capacity(pairs.len());
    let mut problems = Vec::new();
    for pair in pairs {
        let first = *databases
            .entry(Pair::fold(&pair.default))
            .or_insert(&pair.database);
        if first == pair.database {
            continue;
        }
        let (default, second) = (&pair.default, &pair.database);
        let message = match default.is_empty() {
            true => format!(
                "`{first}` and `{second}` both lack the name that scripts use; accepted is `default,database` for each"
            ),
            false => format!(
                "`{default}` stands for `{first}` and for `{second}`; accepted is one database for each name"
            ),
        };
        problems.push(Problem::new(second, message));
    }
    problems
}
