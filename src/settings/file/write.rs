//! Document → JSON, as the reference program writes it: its order, its indentation, its escapes.

use secrecy::ExposeSecret;

use super::{
    document::{Document, Value},
    member::MEMBERS,
};

/// The text of a settings file. It holds its secrets as they are in the document.
pub(crate) fn write(document: &Document) -> String {
    let mut parts = Vec::new();
    let mut sections: Vec<&str> = MEMBERS.iter().map(|member| member.section).collect();
    sections.dedup();
    for section in sections {
        let members: Vec<String> = document
            .entries()
            .filter(|(member, _)| member.section == section)
            .map(|(member, value)| format!("{}: {}", quoted(member.name), json(value, section)))
            .collect();
        if section.is_empty() {
            parts.extend(members);
        } else if !members.is_empty() {
            let members = indented(&members, "    ");
            parts.push(format!("{}: {{\n{members}\n  }}", quoted(section)));
        }
    }
    match parts.is_empty() {
        true => "{}\n".to_owned(),
        false => format!("{{\n{}\n}}\n", indented(&parts, "  ")),
    }
}

fn indented(parts: &[String], by: &str) -> String {
    let parts: Vec<String> = parts.iter().map(|part| format!("{by}{part}")).collect();
    parts.join(",\n")
}

fn json(value: &Value, section: &str) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Secret(secret) => quoted(secret.expose_secret()),
        Value::Number(number) => number.to_string(),
        Value::Flag(truth) => truth.to_string(),
        Value::Word(word) => quoted(word),
        Value::Words(words) if words.is_empty() => "[]".to_owned(),
        Value::Words(words) => {
            let (inner, outer) = match section {
                "" => ("    ", "  "),
                _ => ("      ", "    "),
            };
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            format!("[\n{}\n{outer}]", indented(&words, inner))
        }
    }
}

/// A JSON string in the escapes of the reference program: what HTML could mistake, and what is no ASCII, by number.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for unit in text.encode_utf16() {
        match char::from_u32(u32::from(unit)) {
            Some('\\') => quoted.push_str("\\\\"),
            Some('\u{8}') => quoted.push_str("\\b"),
            Some('\t') => quoted.push_str("\\t"),
            Some('\n') => quoted.push_str("\\n"),
            Some('\u{c}') => quoted.push_str("\\f"),
            Some('\r') => quoted.push_str("\\r"),
            Some(plain @ ' '..='~') if !"\"&'+<>`".contains(plain) => quoted.push(plain),
            _ => quoted.push_str(&format!("\\u{unit:04X}")),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_those_of_the_reference_program() {
        for (text, expected) in [
            ("a+b/c=", r#""a\u002Bb/c=""#),
            ("<&>'\"`", r#""\u003C\u0026\u003E\u0027\u0022\u0060""#),
            ("é😀\u{7f}\u{1}", r#""\u00E9\uD83D\uDE00\u007F\u0001""#),
            ("\\\t\r\n", r#""\\\t\r\n""#),
        ] {
            assert_eq!(quoted(text), expected);
            assert_eq!(serde_json::from_str::<String>(expected).unwrap(), text);
        }
    }
}
