//! Typed text → value of a member.

use secrecy::{ExposeSecret, SecretString};

use crate::settings::file::{
    document::Value,
    in_order,
    member::{Kind, Member},
};

/// The value that a text means; the error says what would be accepted.
pub(super) fn value(member: &Member, text: &SecretString) -> Result<Value, String> {
    let given = text.expose_secret().trim();
    match member.kind {
        Kind::Text => Ok(Value::Text(given.to_owned())),
        Kind::Secret(_) | Kind::Connection(_) => Ok(Value::Secret(text.clone())),
        Kind::Number { least, .. } => match given.parse() {
            Ok(number) if number >= least => Ok(Value::Number(number)),
            _ => Err(format!(
                "accepted is a whole number from {least} to {}",
                i32::MAX
            )),
        },
        Kind::Flag { .. } => match given.to_ascii_lowercase().as_str() {
            "true" => Ok(Value::Flag(true)),
            "false" => Ok(Value::Flag(false)),
            _ => Err("accepted are true and false".to_owned()),
        },
        Kind::Word(words) => word(words, given).map(Value::Word),
        Kind::Words(words) => {
            let found: Result<Vec<_>, _> = given.split(',').map(|text| word(words, text)).collect();
            Ok(Value::Words(in_order(member.kind, &found?)))
        }
    }
}

fn word(words: &[&'static str], text: &str) -> Result<&'static str, String> {
    let text = text.trim();
    let found = words.iter().find(|word| word.eq_ignore_ascii_case(text));
    found
        .copied()
        .ok_or_else(|| format!("accepted are {}", words.join(", ")))
}
