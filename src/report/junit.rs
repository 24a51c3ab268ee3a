//! The outcome as JUnit XML, which most CI services show by themselves.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use crate::{
    monitor::{Totals, build_time},
    protocol::{ErrorReport, ResultLine, State},
};

/// Writes one test suite per server, in order of first mention, and one test case per target.
///
/// What a build undid or left half done is a failure; where it is not known how it ended, an error.
pub fn write_junit(to: &mut dyn Write, package: &str, lines: &[ResultLine]) -> io::Result<()> {
    let mut writer = Writer::new_with_indent(to, b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let name = attribute(package);
    let counts = Counts::of(lines.iter());
    let suites = by_server(lines);
    writer
        .create_element("testsuites")
        .with_attribute(("name", name.as_str()))
        .with_attributes(
            counts
                .attributes()
                .iter()
                .map(|(key, value)| (*key, value.as_str())),
        )
        .write_inner_content(|writer| {
            suites
                .iter()
                .try_for_each(|(server, lines)| write_suite(writer, server, lines))
        })?;
    writeln!(writer.get_mut())
}

type Xml<'a> = Writer<&'a mut dyn Write>;

fn write_suite(writer: &mut Xml<'_>, server: &str, lines: &[&ResultLine]) -> io::Result<()> {
    let name = attribute(server);
    let counts = Counts::of(lines.iter().copied());
    writer
        .create_element("testsuite")
        .with_attribute(("name", name.as_str()))
        .with_attributes(
            counts
                .attributes()
                .iter()
                .map(|(key, value)| (*key, value.as_str())),
        )
        .write_inner_content(|writer| {
            lines
                .iter()
                .try_for_each(|line| write_case(writer, &name, line))
        })?;
    Ok(())
}

fn write_case(writer: &mut Xml<'_>, server: &str, line: &ResultLine) -> io::Result<()> {
    let name = attribute(&line.target.databases().join(";"));
    let time = seconds(line);
    let case = writer
        .create_element("testcase")
        .with_attribute(("classname", server))
        .with_attribute(("name", name.as_str()))
        .with_attribute(("time", time.as_str()));
    let Some(element) = Outcome::of(line.state).element() else {
        case.write_empty()?;
        return Ok(());
    };
    case.write_inner_content(|writer| write_outcome(writer, element, line))?;
    Ok(())
}

fn write_outcome(writer: &mut Xml<'_>, element: &str, line: &ResultLine) -> io::Result<()> {
    let error = line.errors.first();
    let said = error.map(|error| error.message.as_str());
    let message = attribute(
        said.or_else(|| line.warnings.first().map(String::as_str))
            .unwrap_or(""),
    );
    let state = line.state.to_string();
    let element = writer
        .create_element(element)
        .with_attribute(("type", state.as_str()))
        .with_attribute(("message", message.as_str()));
    match details(line) {
        details if details.is_empty() => element.write_empty()?,
        details => element.write_text_content(BytesText::new(&details))?,
    };
    Ok(())
}

/// Every error with its place, then the warnings.
fn details(line: &ResultLine) -> String {
    let errors = line.errors.iter().map(error_text);
    let warnings = line.warnings.iter().cloned();
    let lines: Vec<String> = errors.chain(warnings).collect();
    allowed(&lines.join("\n"))
}

fn error_text(error: &ErrorReport) -> String {
    let place = super::text_format::place(error);
    let statement = error.statement.as_deref().map(|text| format!("\n{text}"));
    format!("{place}{}{}", error.message, statement.unwrap_or_default())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failure,
    Error,
    Skipped,
}

impl Outcome {
    fn of(state: State) -> Self {
        match state {
            State::Committed | State::AlreadyCommitted | State::TrialRolledBack => Self::Passed,
            State::RolledBack | State::Failed | State::PartlyCommitted | State::Busy => {
                Self::Failure
            }
            State::Interrupted | State::Crashed | State::Unknown => Self::Error,
            State::Skipped => Self::Skipped,
        }
    }

    fn element(self) -> Option<&'static str> {
        match self {
            Self::Passed => None,
            Self::Failure => Some("failure"),
            Self::Error => Some("error"),
            Self::Skipped => Some("skipped"),
        }
    }
}

struct Counts {
    totals: Totals,
    seconds: f64,
}

impl Counts {
    fn of<'a>(lines: impl Iterator<Item = &'a ResultLine>) -> Self {
        let mut counts = Self {
            totals: Totals::default(),
            seconds: 0.0,
        };
        for line in lines {
            counts.totals.add(line.state);
            counts.seconds += build_time(line).unwrap_or_default().as_secs_f64();
        }
        counts
    }

    fn attributes(&self) -> [(&'static str, String); 5] {
        let count = |outcome| -> usize {
            State::ALL
                .into_iter()
                .filter(|state| Outcome::of(*state) == outcome)
                .map(|state| self.totals.of(state))
                .sum()
        };
        [
            ("tests", self.totals.targets.to_string()),
            ("failures", count(Outcome::Failure).to_string()),
            ("errors", count(Outcome::Error).to_string()),
            ("skipped", count(Outcome::Skipped).to_string()),
            ("time", format!("{:.3}", self.seconds)),
        ]
    }
}

fn by_server(lines: &[ResultLine]) -> Vec<(&str, Vec<&ResultLine>)> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut suites: Vec<(&str, Vec<&ResultLine>)> = Vec::new();
    for line in lines {
        let server = line.target.server.as_str();
        let place = *places.entry(server).or_insert_with(|| {
            suites.push((server, Vec::new()));
            suites.len() - 1
        });
        if let Some((_, members)) = suites.get_mut(place) {
            members.push(line);
        }
    }
    suites
}

fn seconds(line: &ResultLine) -> String {
    format!("{:.3}", build_time(line).unwrap_or_default().as_secs_f64())
}

/// Text for an attribute, in which readers turn line breaks and tabs into blanks anyway.
fn attribute(text: &str) -> String {
    allowed(text).replace(['\n', '\r', '\t'], " ")
}

/// XML 1.0 has no way to write most control characters, not even escaped; a mark stands in their place. A carriage
/// return would be read as a line feed.
fn allowed(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .map(|char| match char {
            '\r' => '\n',
            '\t' | '\n' => char,
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            _ => char,
        })
        .collect()
}

#[cfg(test)]
#[path = "junit_tests.rs"]
mod tests;
