//! JSON → document.
//!
//! As tolerant as the reference program, with two exceptions: what nobody knows is an error there too late or never, and
//! one here, with what was probably meant; and everything that is wrong is told at once.

use serde_json::{Map, Value as Json};

use super::{
    document::{Document, Value},
    member::{Choice, Kind, MEMBERS, Member, words},
    suggest::nearest,
};
use crate::settings::Fault;

/// The member in which older versions keep the flags of `EventHubArgs.Logging`, at the top.
const OLD_LOGGING: &str = "EventHubLogging";
/// Sections and names of what older versions of the reference program have written and today's has no use for.
const RETIRED: [(&str, &str); 4] = [
    ("BatchArgs", "ApplicationPackage"),
    ("AciArgs", "ContainerCount"),
    ("IdentityArgs", "ResourceId"),
    ("", "LogLevel"),
];

/// Understands the text of a settings file; `place` names the file in the faults.
pub(crate) fn parse(text: &str, place: &str) -> Result<Document, Vec<Fault>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let json: Json = serde_json::from_str(text).map_err(|error| {
        vec![Fault {
            option: place.to_owned(),
            value: None,
            problem: format!("no JSON: {error}"),
        }]
    })?;
    let mut parser = Parser {
        place,
        document: Document::default(),
        faults: Vec::new(),
    };
    match &json {
        Json::Object(members) => parser.top(members),
        _ => parser.fault(
            "",
            "accepted is a JSON object with the sections of a settings file",
        ),
    }
    match parser.faults.is_empty() {
        true => Ok(parser.document),
        false => Err(parser.faults),
    }
}

struct Parser<'a> {
    place: &'a str,
    document: Document,
    faults: Vec<Fault>,
}

impl Parser<'_> {
    fn top(&mut self, members: &Map<String, Json>) {
        for (name, json) in members {
            if is_section(name) {
                match json {
                    Json::Object(members) => self.section(name, members),
                    _ => self.fault(name, "accepted is an object; leave it out for none"),
                }
            } else if name != OLD_LOGGING {
                self.member("", name, json);
            }
        }
        if let Some(json) = members.get(OLD_LOGGING) {
            self.old_logging(json);
        }
    }

    fn section(&mut self, section: &str, members: &Map<String, Json>) {
        for (name, json) in members {
            self.member(section, name, json);
        }
    }

    fn member(&mut self, section: &str, name: &str, json: &Json) {
        let found = |member: &&Member| member.section == section && member.name == name;
        let Some(member) = MEMBERS.iter().find(found) else {
            let path = match section {
                "" => name.to_owned(),
                _ => format!("{section}.{name}"),
            };
            if RETIRED.contains(&(section, name)) {
                let place = self.place;
                log::warn!("{path} in {place} is of an older version and has no effect any more");
                return;
            }
            return self.fault(&path, unknown(section, name));
        };
        if json.is_null() {
            return;
        }
        match value(member.kind, json) {
            Ok(value) => self.document.set(member, value),
            Err(problem) => self.faults.push(Fault {
                option: format!("{} in {}", member.path(), self.place),
                value: shown(member, json),
                problem,
            }),
        }
    }

    /// Unites the flags with those of today's place.
    fn old_logging(&mut self, json: &Json) {
        let today = |member: &&Member| matches!(member.kind, Kind::Words(_));
        let Some(member) = MEMBERS.iter().find(today) else {
            return;
        };
        if json.is_null() {
            return;
        }
        match value(member.kind, json) {
            Ok(Value::Words(mut words)) => {
                if let Some(Value::Words(others)) = self.document.get(member) {
                    words.extend(others);
                }
                self.document
                    .set(member, Value::Words(in_order(member.kind, &words)));
            }
            Ok(_) => {}
            Err(problem) => self.fault(OLD_LOGGING, problem),
        }
    }

    fn fault(&mut self, path: &str, problem: impl Into<String>) {
        let option = match path {
            "" => self.place.to_owned(),
            _ => format!("{} in {}", path.escape_debug(), self.place),
        };
        self.faults.push(Fault {
            option,
            value: None,
            problem: problem.into(),
        });
    }
}

fn is_section(name: &str) -> bool {
    !name.is_empty() && MEMBERS.iter().any(|member| member.section == name)
}

fn unknown(section: &str, name: &str) -> String {
    let known = MEMBERS.iter().filter(|member| member.section == section);
    let known = known.map(|member| member.name);
    let sections = MEMBERS.iter().map(|member| member.section);
    let near = match section {
        "" => nearest(name, known.chain(sections)),
        _ => nearest(name, known),
    };
    let elsewhere = MEMBERS.iter().find(|member| member.name == name);
    match (near, elsewhere) {
        (Some(near), _) => format!("no such setting; did you mean {near}?"),
        (None, Some(member)) => format!("no such setting here; did you mean {}?", member.path()),
        (None, None) => "no such setting; the page on settings lists all of them".to_owned(),
    }
}

/// What a fault may show of a value: never a secret, and no more than a little.
fn shown(member: &Member, json: &Json) -> Option<String> {
    if member.secret().is_some() {
        return None;
    }
    let text = match json {
        Json::String(text) => text.clone(),
        Json::Array(_) | Json::Object(_) => return None,
        other => other.to_string(),
    };
    Some(text.chars().take(60).collect())
}

fn value(kind: Kind, json: &Json) -> Result<Value, String> {
    match (kind, json) {
        (Kind::Text, Json::String(text)) => Ok(Value::Text(text.clone())),
        (Kind::Secret(_) | Kind::Connection(_), Json::String(text)) => {
            Ok(Value::Secret(text.as_str().into()))
        }
        (Kind::Flag { .. }, Json::Bool(truth)) => Ok(Value::Flag(*truth)),
        (Kind::Number { .. }, Json::Number(number)) => number
            .as_i64()
            .and_then(|number| i32::try_from(number).ok())
            .map(Value::Number)
            .ok_or_else(|| accepted(kind)),
        (Kind::Word(choices), json) => word(choices, json)
            .map(Value::Word)
            .ok_or_else(|| accepted(kind)),
        (Kind::Words(choices), Json::Array(list)) => {
            let found: Option<Vec<_>> = list.iter().map(|json| word(choices, json)).collect();
            found
                .map(|found| Value::Words(in_order(kind, &found)))
                .ok_or_else(|| accepted(kind))
        }
        _ => Err(accepted(kind)),
    }
}

/// A name in any case, or its number.
fn word(choices: &[Choice], json: &Json) -> Option<&'static str> {
    let found = |(number, word): &&Choice| match json {
        Json::String(text) => word.eq_ignore_ascii_case(text.trim()),
        Json::Number(given) => given.as_u64() == Some(u64::from(*number)),
        _ => false,
    };
    choices.iter().find(found).map(|(_, word)| *word)
}

/// The words in the order of the kind, each once.
pub(crate) fn in_order(kind: Kind, given: &[&str]) -> Vec<&'static str> {
    let Kind::Words(choices) = kind else {
        return Vec::new();
    };
    let mut words = words(choices);
    words.retain(|word| given.contains(word));
    words
}

fn accepted(kind: Kind) -> String {
    match kind {
        Kind::Text | Kind::Secret(_) | Kind::Connection(_) => "accepted is a text".to_owned(),
        Kind::Number { .. } => "accepted is a whole number".to_owned(),
        Kind::Flag { .. } => "accepted are true and false".to_owned(),
        Kind::Word(choices) => format!("accepted are {}", words(choices).join(", ")),
        Kind::Words(choices) => format!("accepted is an array of {}", words(choices).join(", ")),
    }
}
