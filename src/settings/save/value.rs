//! Typed text → value of a member.

use secrecy::{ExposeSecret, SecretString};

use crate::settings::file::{
    document::Value,
    in_order,
    member::{Choice, Kind, Member, words},
};

/// The value that a text means; the error says what would be accepted.
pub(super) fn value(member: &Member, text: &SecretString) -> Result<Value, String> {
    let given = text.expose_secret().trim();
    match member.kind {
        Kind::Text => Ok(Value::Text(given.to_owned())),
        Kind::Secret(_) | Kind::Connection(_) => Ok(Value::Secret(text.clone())),
        Kind::Number { least, most, .. } => match given.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Value::Number(number)),
            _ => Err(format!("accepted is a whole number from {least} to {most}")),
        },
        Kind::Flag { .. } => match given.to_ascii_lowercase().as_str() {
            "true" => Ok(Value::Flag(true)),
            "false" => Ok(Value::Flag(false)),
            _ => Err("accepted are true and false".to_owned()),
        },
        Kind::Word(choices) => word(choices, given).map(Value::Word),
        Kind::Words(choices) => {
            let texts = given.split(',');
            let found: Result<Vec<_>, _> = texts.map(|text| word(choices, text)).collect();
            Ok(Value::Words(in_order(member.kind, &found?)))
        }
    }
}

fn word(choices: &[Choice], text: &str) -> Result<&'static str, String> {
    let text = text.trim();
    let words = words(choices);
    let found = words.iter().find(|word| word.eq_ignore_ascii_case(text));
    found
        .copied()
        .ok_or_else(|| format!("accepted are {}", words.join(", ")))
}
