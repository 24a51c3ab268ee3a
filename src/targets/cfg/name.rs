//! Names in a `.cfg` line: plain, or quoted when they hold what would end them.
//!
//! A quoted name stands between double quotes, and a double quote in it is doubled. A name with line breaks has the form
//! `E"…"`, in which `\n`, `\r` and `\\` stand for line feed, carriage return and backslash; in any other name a backslash
//! is a backslash, as instance names and folders need it.

use std::borrow::Cow;

/// What ends a plain name.
pub(super) const SEPARATORS: [char; 4] = [',', ';', '#', ':'];

/// A name and what follows it.
#[derive(Debug, PartialEq)]
pub(super) struct Name<'a> {
    /// The name, without quotes and surrounding blanks.
    pub(super) text: Cow<'a, str>,
    /// Whether it stood in quotes, so that every character is meant.
    pub(super) quoted: bool,
    /// Empty, or the text from the separator that ended the name.
    pub(super) rest: &'a str,
}

/// Why a quoted name cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::targets) enum NameFault {
    #[error("the quote is not closed; a `\"` inside of a quoted name is written twice")]
    Open,
    #[error(
        "text follows the closing quote; accepted is a separator, and a `\"` inside of a quoted name is written twice"
    )]
    Trailing,
    #[error("in a name of the form E\"…\" a backslash stands before n, r or another backslash")]
    Escape,
}

/// Reads a name up to one of `ends`, the end of the text, or the closing quote.
pub(super) fn read_name<'a>(text: &'a str, ends: &[char]) -> Result<Name<'a>, NameFault> {
    let text = text.trim_start();
    if is_quoted(text) {
        return read_quoted(text, ends);
    }
    let (name, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    Ok(Name {
        text: Cow::Borrowed(name.trim_end()),
        quoted: false,
        rest,
    })
}

/// Whether a text begins with a quoted name.
pub(super) fn is_quoted(text: &str) -> bool {
    text.starts_with('"') || text.starts_with("E\"")
}

/// The name between quotes.
pub(super) fn quote(name: &str) -> String {
    let doubled = name.replace('"', "\"\"");
    if !doubled.contains(['\n', '\r']) {
        return format!("\"{doubled}\"");
    }
    let escaped = doubled
        .replace('\\', "\\\\")
        .replace('\n', "\\n")
        .replace('\r', "\\r");
    format!("E\"{escaped}\"")
}

/// Whether a name between two separators must stand in quotes to be read as it is.
pub(super) fn needs_quotes(name: &str, separators: &[char]) -> bool {
    name.trim() != name
        || name.is_empty()
        || is_quoted(name)
        || name.contains(separators)
        || name.contains(['\n', '\r'])
}

fn read_quoted<'a>(text: &'a str, ends: &[char]) -> Result<Name<'a>, NameFault> {
    let (escapes, body) = match text.strip_prefix('E') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let body = body.strip_prefix('"').ok_or(NameFault::Open)?;
    let (inside, rest) = split_at_closing_quote(body).ok_or(NameFault::Open)?;
    let rest = rest.trim_start();
    if !rest.is_empty() && !rest.starts_with(ends) {
        return Err(NameFault::Trailing);
    }
    let mut name = Cow::Borrowed(inside);
    if inside.contains('"') {
        name = Cow::Owned(inside.replace("\"\"", "\""));
    }
    if escapes {
        name = Cow::Owned(resolve_escapes(&name)?);
    }
    Ok(Name {
        text: name,
        quoted: true,
        rest,
    })
}

/// What stands before the first quote that is not doubled, and what follows it.
fn split_at_closing_quote(body: &str) -> Option<(&str, &str)> {
    let mut quotes = body.match_indices('"').map(|(at, _)| at).peekable();
    while let Some(at) = quotes.next() {
        if quotes.next_if_eq(&(at + 1)).is_none() {
            let (inside, rest) = body.split_at(at);
            return Some((inside, rest.strip_prefix('"')?));
        }
    }
    None
}

fn resolve_escapes(text: &str) -> Result<String, NameFault> {
    let mut name = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        name.push(match character {
            '\\' => match characters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('\\') => '\\',
                _ => return Err(NameFault::Escape),
            },
            character => character,
        });
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, bool, &str), NameFault> {
        read_name(text, &SEPARATORS).map(|name| (name.text.into_owned(), name.quoted, name.rest))
    }

    #[test]
    fn plain_names_end_at_a_separator() {
        assert_eq!(read(" a b ,c"), Ok(("a b".into(), false, ",c")));
        assert_eq!(read("a\"b\\n;"), Ok(("a\"b\\n".into(), false, ";")));
        assert_eq!(read(""), Ok((String::new(), false, "")));
    }

    #[test]
    fn quoted_names_hold_anything() {
        assert_eq!(read(" \"a;b\"\"c\" ,d"), Ok(("a;b\"c".into(), true, ",d")));
        assert_eq!(read("\" a \""), Ok((" a ".into(), true, "")));
        assert_eq!(read("\"\""), Ok((String::new(), true, "")));
        assert_eq!(read("\"\"\"\""), Ok(("\"".into(), true, "")));
        assert_eq!(read("\"C:\\new\""), Ok(("C:\\new".into(), true, "")));
        assert_eq!(read("E\"a\\n\\\\b\"#t"), Ok(("a\n\\b".into(), true, "#t")));
    }

    #[test]
    fn broken_quotes_are_faults() {
        assert_eq!(read("\"a"), Err(NameFault::Open));
        assert_eq!(read("\"a\"\""), Err(NameFault::Open));
        assert_eq!(read("E\""), Err(NameFault::Open));
        assert_eq!(read("\"a\"b,c"), Err(NameFault::Trailing));
        assert_eq!(read("E\"a\\t\""), Err(NameFault::Escape));
        assert_eq!(read("E\"a\\\""), Err(NameFault::Escape));
    }
}
