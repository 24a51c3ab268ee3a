//! Writes targets as `.multiDb` files that read back as they are.

use serde::Serialize;

use crate::{
    protocol::Pair,
    targets::{Listed, xml::is_legal},
};

/// The two forms of a `.multiDb` file that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MultiDbForm {
    /// XML with the root `ArrayOfServerData`, as the reference program's editor makes it.
    Xml,
    /// A JSON array, indented by two spaces.
    Json,
}

/// A name that XML cannot hold; JSON and `.cfg` can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: the text {text:?} holds a character that XML cannot; accepted are a JSON or .cfg list, or another name"
)]
pub struct Unwritable {
    /// The line from which the target came.
    pub line: u32,
    /// The text.
    pub text: String,
}

/// All targets with their row data; [`parse_multi_db`](super::parse_multi_db) reads the same targets from it.
pub fn format_multi_db(targets: &[Listed], form: MultiDbForm) -> Result<String, Unwritable> {
    match form {
        MultiDbForm::Json => Ok(json(targets)),
        MultiDbForm::Xml => xml(targets),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Server<'a> {
    server_name: &'a str,
    overrides: Vec<Override<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Override<'a> {
    concurrency_tag: &'a str,
    server: &'a str,
    default_db_target: &'a str,
    override_db_target: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    query_row_data: Vec<Item<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item<'a> {
    column_name: &'a str,
    value: &'a str,
}

fn json(targets: &[Listed]) -> String {
    let servers: Vec<Server<'_>> = targets.iter().map(server).collect();
    let mut text =
        serde_json::to_string_pretty(&servers).expect("texts and lists of them are always JSON");
    text.push('\n');
    text
}

fn server(listed: &Listed) -> Server<'_> {
    let pairs = listed.target.pairs.iter().enumerate();
    Server {
        server_name: &listed.target.server,
        overrides: pairs
            .map(|(at, pair)| database_override(listed, pair, at))
            .collect(),
    }
}

fn database_override<'a>(listed: &'a Listed, pair: &'a Pair, at: usize) -> Override<'a> {
    let row = listed.row_data.of_pair(at).iter();
    Override {
        concurrency_tag: listed.target.tag.as_deref().unwrap_or_default(),
        server: &listed.target.server,
        default_db_target: &pair.default,
        override_db_target: &pair.database,
        query_row_data: row
            .map(|item| Item {
                column_name: &item.column,
                value: &item.value,
            })
            .collect(),
    }
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<ArrayOfServerData \
                    xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
                    xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\n";

fn xml(targets: &[Listed]) -> Result<String, Unwritable> {
    let mut text = HEAD.to_owned();
    for listed in targets {
        push_server(&mut text, &server(listed)).map_err(|unwritable| Unwritable {
            line: listed.line,
            text: unwritable.to_owned(),
        })?;
    }
    text.push_str("</ArrayOfServerData>\n");
    Ok(text)
}

/// Fails with the text that XML cannot hold.
fn push_server<'a>(text: &mut String, server: &Server<'a>) -> Result<(), &'a str> {
    text.push_str("  <ServerData>\n");
    push_element(text, 4, "ServerName", server.server_name)?;
    text.push_str("    <Overrides>\n");
    for each in &server.overrides {
        text.push_str("      <DatabaseOverride>\n");
        push_element(text, 8, "ConcurrencyTag", each.concurrency_tag)?;
        push_element(text, 8, "Server", each.server)?;
        push_element(text, 8, "DefaultDbTarget", each.default_db_target)?;
        push_element(text, 8, "OverrideDbTarget", each.override_db_target)?;
        push_row(text, &each.query_row_data)?;
        text.push_str("      </DatabaseOverride>\n");
    }
    text.push_str("    </Overrides>\n  </ServerData>\n");
    Ok(())
}

fn push_row<'a>(text: &mut String, row: &[Item<'a>]) -> Result<(), &'a str> {
    if row.is_empty() {
        return Ok(());
    }
    text.push_str("        <QueryRowData>\n");
    for item in row {
        text.push_str("          <QueryRowItem ColumnName=\"");
        push_escaped(text, item.column_name)?;
        text.push_str("\" Value=\"");
        push_escaped(text, item.value)?;
        text.push_str("\" />\n");
    }
    text.push_str("        </QueryRowData>\n");
    Ok(())
}

fn push_element<'a>(
    text: &mut String,
    indent: usize,
    name: &str,
    value: &'a str,
) -> Result<(), &'a str> {
    text.extend(std::iter::repeat_n(' ', indent));
    if value.is_empty() {
        text.push_str(&format!("<{name} />\n"));
        return Ok(());
    }
    text.push_str(&format!("<{name}>"));
    push_escaped(text, value)?;
    text.push_str(&format!("</{name}>\n"));
    Ok(())
}

/// Blanks at either end are written as references, because readers drop plain ones; so are line ends and tabs.
fn push_escaped<'a>(text: &mut String, value: &'a str) -> Result<(), &'a str> {
    let inner = value.trim();
    let start = value.len() - value.trim_start().len();
    let inner = start..start + inner.len();
    for (at, character) in value.char_indices() {
        match character {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\t' | '\n' | '\r' => text.push_str(&format!("&#{};", u32::from(character))),
            illegal if !is_legal(illegal) => return Err(value),
            blank if blank.is_whitespace() && !inner.contains(&at) => {
                text.push_str(&format!("&#{};", u32::from(blank)));
            }
            other => text.push(other),
        }
    }
    Ok(())
}
