//! The body of a message, byte for byte as the reference program writes it, and in any form that it reads.

use std::fmt::Write;

use serde::Deserialize;

use crate::protocol::{Pair, Target};

/// Writes the body: JSON indented by two spaces, with the escapes of .NET's serialiser.
pub(super) fn write(target: &Target) -> Vec<u8> {
    let tag = escaped(target.tag.as_deref().unwrap_or_default());
    let server = escaped(&target.server);
    let mut text = format!("{{\n  \"ServerName\": {server},\n  \"DbOverrideSequence\": [\n");
    for (number, pair) in target.pairs.iter().enumerate() {
        let comma = if number + 1 < target.pairs.len() {
            ","
        } else {
            ""
        };
        let (default, database) = (escaped(&pair.default), escaped(&pair.database));
        text.push_str(&format!(
            "    {{\n      \"ConcurrencyTag\": {tag},\n      \"Server\": {server},\n      \"DefaultDbTarget\": {default},\n      \
             \"OverrideDbTarget\": {database}\n    }}{comma}\n"
        ));
    }
    text.push_str(&format!("  ],\n  \"ConcurrencyTag\": {tag}\n}}"));
    text.into_bytes()
}

/// A JSON string as .NET writes it: everything but plain ASCII is escaped, and so is what means something in HTML.
fn escaped(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '<' | '>' | '&' | '\'' | '"' | '+' | '`' | '\u{7f}' => escape(&mut quoted, char),
            ' '..='~' => quoted.push(char),
            _ => escape(&mut quoted, char),
        }
    }
    quoted.push('"');
    quoted
}

fn escape(quoted: &mut String, char: char) {
    for unit in char.encode_utf16(&mut [0; 2]) {
        // Writing to a text cannot fail.
        write!(quoted, "\\u{unit:04X}").ok();
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    server_name: Option<String>,
    #[serde(default)]
    db_override_sequence: Vec<Override>,
    concurrency_tag: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Override {
    concurrency_tag: Option<String>,
    server: Option<String>,
    default_db_target: Option<String>,
    override_db_target: Option<String>,
}

/// Reads a body; why it names no target when it does not.
pub(super) fn read(body: &[u8]) -> Result<Target, String> {
    let stored: Stored = serde_json::from_slice(body)
        .map_err(|error| format!("its body is not what it should be: {error}"))?;
    let first = stored.db_override_sequence.first();
    let first = first.ok_or("its body names no database")?;
    let server = match &stored.server_name {
        // The reference program groups by tags like this.
        Some(name) if !name.trim().is_empty() && !name.starts_with('#') => Some(name),
        _ => first.server.as_ref(),
    };
    let server = server.map(|server| server.trim()).unwrap_or_default();
    if server.is_empty() {
        return Err("its body names no server".to_owned());
    }
    let tag = given(&stored.concurrency_tag).or_else(|| given(&first.concurrency_tag));
    let pairs = stored.db_override_sequence.iter().map(pair);
    Ok(Target {
        server: server.to_owned(),
        pairs: pairs
            .collect::<Option<_>>()
            .ok_or("its body names no database")?,
        tag,
    })
}

fn given(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

fn pair(stored: &Override) -> Option<Pair> {
    let default = stored.default_db_target.clone().unwrap_or_default();
    let named = stored.override_db_target.clone();
    let database = named.filter(|name| !name.trim().is_empty());
    let database = database.unwrap_or_else(|| default.clone());
    (!database.trim().is_empty()).then_some(Pair { default, database })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target {
            server: "srv-a.database.windows.net".into(),
            pairs: vec![Pair {
                default: "client".into(),
                database: "Tenant0001".into(),
            }],
            tag: None,
        }
    }

    #[test]
    fn a_body_is_that_of_the_reference_program() {
        let expected = r#"{
  "ServerName": "srv-a.database.windows.net",
  "DbOverrideSequence": [
    {
      "ConcurrencyTag": "",
      "Server": "srv-a.database.windows.net",
      "DefaultDbTarget": "client",
      "OverrideDbTarget": "Tenant0001"
    }
  ],
  "ConcurrencyTag": ""
}"#;
        assert_eq!(String::from_utf8(write(&target())).unwrap(), expected);
        assert_eq!(read(expected.as_bytes()), Ok(target()));
    }

    #[test]
    fn what_dot_net_escapes_is_escaped() {
        assert_eq!(
            escaped("é<>&'\"+`\\/\n\u{1}\u{7f}😀"),
            r#""\u00E9\u003C\u003E\u0026\u0027\u0022\u002B\u0060\\/\n\u0001\u007F\uD83D\uDE00""#
        );
    }

    #[test]
    fn every_target_comes_back_as_it_was() {
        let pair = |default: &str, database: &str| Pair {
            default: default.into(),
            database: database.into(),
        };
        let other = Target {
            server: "tcp:Höst\\\"x\",1433".into(),
            pairs: vec![pair("client", "Tenant 1"), pair("", "ünï'cödé 😀")],
            tag: Some("Pool <1>".into()),
        };
        assert_eq!(read(&write(&other)), Ok(other));
    }

    #[test]
    fn what_the_reference_program_reads_is_read() {
        let text = r##"{"ConcurrencyTag":null,"DbOverrideSequence":[{"Server":"s ","ConcurrencyTag":"t",
            "DefaultDbTarget":"d","OverrideDbTarget":" ","QueryRowData":[]}],"ServerName":"#t"}"##;
        let read = read(text.as_bytes()).unwrap();
        assert_eq!(
            (read.to_string(), read.tag.as_deref()),
            ("s:d".into(), Some("t"))
        );
    }

    #[test]
    fn what_names_no_target_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "not what it should be"),
            ("[]", "not what it should be"),
            ("{}", "no database"),
            (
                r#"{"ServerName":"s","DbOverrideSequence":[]}"#,
                "no database",
            ),
            (
                r#"{"ServerName":"s","DbOverrideSequence":[{}]}"#,
                "no database",
            ),
            (
                r#"{"DbOverrideSequence":[{"OverrideDbTarget":"d"}]}"#,
                "no server",
            ),
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
