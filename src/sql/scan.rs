//! How long the token at the start of a text is.

use super::{Dialect, TokenKind};

/// The length of the blanks at the start of `rest`; a byte order mark counts where the text itself starts.
pub(super) fn blank(rest: &str, dialect: Dialect, at_text_start: bool) -> usize {
    let unmarked = match rest.strip_prefix('\u{feff}') {
        Some(unmarked) if at_text_start => unmarked,
        _ => rest,
    };
    let code = unmarked.trim_start_matches(|character| dialect.is_blank(character));
    rest.len() - code.len()
}

/// The comment at the start of `rest`.
pub(super) fn comment(rest: &str, dialect: Dialect) -> Option<(TokenKind, usize)> {
    let mysql = dialect == Dialect::MySql;
    if mysql && (rest.starts_with("/*!") || rest.starts_with("/*M!")) {
        return Some((TokenKind::ExecutableComment, executable_comment(rest)));
    }
    if rest.starts_with("/*") {
        let length = block_comment(rest.as_bytes(), dialect.nests_comments());
        return Some((TokenKind::BlockComment, length));
    }
    let starts_line_comment = match rest.strip_prefix("--") {
        // In MySQL `5--3` is arithmetic.
        Some(after) if mysql => after
            .chars()
            .next()
            .is_none_or(|next| dialect.is_blank(next) || next.is_control()),
        Some(_) => true,
        None => mysql && rest.starts_with('#'),
    };
    starts_line_comment.then(|| (TokenKind::LineComment, line_comment(rest, dialect)))
}

/// The string or quoted name at the start of `rest`, with its prefix.
pub(super) fn quoted(rest: &str, dialect: Dialect) -> Option<(TokenKind, usize)> {
    if dialect == Dialect::Postgres && rest.starts_with('$') {
        return dollar_string(rest).map(|length| (TokenKind::DollarString, length));
    }
    let prefix = prefix(rest, dialect);
    let tail = rest.get(prefix.len()..)?;
    let bytes = tail.as_bytes();
    let (kind, length) = match (bytes.first()?, dialect) {
        (b'\'', Dialect::Postgres) if prefix.eq_ignore_ascii_case("E") => {
            (TokenKind::EscapeString, continued_string(tail))
        }
        (quote @ (b'\'' | b'"'), Dialect::MySql) => {
            (TokenKind::EscapeString, escaped(bytes, *quote))
        }
        (b'\'', _) => (TokenKind::String, doubled(bytes, b'\'')),
        (b'"', _) => (TokenKind::QuotedIdentifier, doubled(bytes, b'"')),
        (b'`', Dialect::MySql | Dialect::Sqlite) => {
            (TokenKind::QuotedIdentifier, doubled(bytes, b'`'))
        }
        (b'[', Dialect::TSql) => (TokenKind::QuotedIdentifier, doubled(bytes, b']')),
        // SQLite has no escape for the bracket.
        (b'[', Dialect::Sqlite) => (
            TokenKind::QuotedIdentifier,
            tail.find(']').map_or(tail.len(), |index| index + 1),
        ),
        _ => return None,
    };
    Some((kind, prefix.len() + length))
}

/// The length of the number at the start of `rest`: hexadecimal, or decimal with fraction and exponent.
pub(super) fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    if bytes.first() == Some(&b'0') && matches!(bytes.get(1), Some(b'x' | b'X')) {
        return 2 + count(bytes, 2, |byte| byte.is_ascii_hexdigit());
    }
    let mut end = count(bytes, 0, |byte| byte.is_ascii_digit());
    if bytes.get(end) == Some(&b'.') {
        end += 1;
        end += count(bytes, end, |byte| byte.is_ascii_digit());
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let digits = count(bytes, end + 1 + sign, |byte| byte.is_ascii_digit());
        if digits > 0 {
            end += 1 + sign + digits;
        }
    }
    end
}

/// The tag with both its `$` at the start of `rest`.
pub(super) fn dollar_tag(rest: &str) -> Option<&str> {
    let after = rest.strip_prefix('$')?;
    let length = after
        .char_indices()
        .find(|&(index, character)| {
            let digit_inside = index > 0 && character.is_ascii_digit();
            !(digit_inside || Dialect::Postgres.starts_word(character))
        })
        .map(|(index, _)| index)?;
    after.get(length..)?.strip_prefix('$')?;
    rest.get(..length + 2)
}

fn count(bytes: &[u8], from: usize, accepts: impl Fn(&u8) -> bool) -> usize {
    bytes
        .get(from..)
        .unwrap_or_default()
        .iter()
        .take_while(|byte| accepts(byte))
        .count()
}

/// The letters that belong to a string or quoted name, when a quote follows them.
fn prefix(rest: &str, dialect: Dialect) -> &str {
    let prefixes: &[&str] = match dialect {
        Dialect::TSql => &["N'"],
        Dialect::Postgres => &["E'", "B'", "X'", "N'", "U&'", "U&\""],
        Dialect::MySql => &["N'", "B'", "X'"],
        Dialect::Sqlite => &["X'"],
    };
    prefixes
        .iter()
        .find_map(|prefix| {
            let start = rest.get(..prefix.len())?;
            start.eq_ignore_ascii_case(prefix).then_some(())?;
            rest.get(..prefix.len() - 1)
        })
        .unwrap_or_default()
}

fn line_comment(rest: &str, dialect: Dialect) -> usize {
    rest.find(|character| character == '\n' || character == '\r' && dialect.return_ends_comment())
        .unwrap_or(rest.len())
}

fn block_comment(bytes: &[u8], nests: bool) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match (bytes.get(at), bytes.get(at + 1)) {
            (Some(b'/'), Some(b'*')) if nests || depth == 0 => {
                depth += 1;
                at += 2;
            }
            (Some(b'*'), Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The server reads the inside as code, so that a `*/` in a string or in an inner comment does not end it.
fn executable_comment(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 3;
    while at < bytes.len() {
        let tail = bytes.get(at..).unwrap_or_default();
        at += match tail {
            [b'*', b'/', ..] => return at + 2,
            [b'/', b'*', ..] => block_comment(tail, false),
            [quote @ (b'\'' | b'"'), ..] => escaped(tail, *quote),
            [b'`', ..] => doubled(tail, b'`'),
            _ => 1,
        };
    }
    bytes.len()
}

/// The length of what starts with one character and ends with `close`, which stands for itself when doubled.
fn doubled(bytes: &[u8], close: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        if bytes.get(at) != Some(&close) {
            at += 1;
        } else if bytes.get(at + 1) == Some(&close) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    bytes.len()
}

/// As [`doubled`], but a backslash takes its meaning from what follows it.
fn escaped(bytes: &[u8], close: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(byte) if *byte == close => {
                if bytes.get(at + 1) != Some(&close) {
                    return at + 1;
                }
                at += 2;
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// PostgreSQL goes on with a string whose next part stands on a later line, by the escape rules of its first part.
fn continued_string(rest: &str) -> usize {
    let mut length = escaped(rest.as_bytes(), b'\'');
    while let Some(gap) = gap_before_part(rest.get(length..).unwrap_or_default()) {
        let part = rest.get(length + gap..).unwrap_or_default();
        length += gap + escaped(part.as_bytes(), b'\'');
    }
    length
}

/// The blanks and line comments before the next part of a string; none when there is no part.
fn gap_before_part(rest: &str) -> Option<usize> {
    let mut at = 0;
    let mut line_ends = false;
    loop {
        let tail = rest.get(at..)?;
        let blank = blank(tail, Dialect::Postgres, false);
        line_ends |= tail.get(..blank)?.contains(['\n', '\r']);
        at += blank;
        let tail = rest.get(at..)?;
        if tail.starts_with("--") {
            at += line_comment(tail, Dialect::Postgres);
        } else {
            return (line_ends && tail.starts_with('\'')).then_some(at);
        }
    }
}

fn dollar_string(rest: &str) -> Option<usize> {
    let tag = dollar_tag(rest)?;
    let body = rest.get(tag.len()..)?;
    Some(
        body.find(tag)
            .map_or(rest.len(), |index| tag.len() + index + tag.len()),
    )
}
