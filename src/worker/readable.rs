//! Scripts whose bytes do not say what their author meant.

use crate::{
    package::Script,
    sql::{Dialect, Lexer, LineIndex},
};

/// What stands for bytes that are no text.
const REPLACEMENT: char = '\u{fffd}';

/// Why `script` cannot be run as it is: a database would get other characters than the file has, or fewer.
///
/// Damage in comments does no harm. The hash takes every text, as the reference program does.
pub(super) fn fault(script: &Script, text: &str, dialect: Dialect) -> Option<String> {
    let place = |offset| {
        let (line, column) = LineIndex::new(text).line_column(offset);
        format!("{}:{line}:{column}", script.file)
    };
    if let Some(offset) = text.find('\0') {
        return Some(format!(
            "{}: a NUL character, at which servers stop reading; save the script in UTF-8, or in UTF-16 with a byte \
             order mark",
            place(offset)
        ));
    }
    let offset = damage(script, text, dialect)?;
    Some(format!(
        "{}: bytes that are no UTF-8; save the script in UTF-8, or in UTF-16 with a byte order mark",
        place(offset)
    ))
}

/// Where decoding has put a replacement into code.
fn damage(script: &Script, text: &str, dialect: Dialect) -> Option<usize> {
    if !text.contains(REPLACEMENT) || is_whole(&script.bytes, text) {
        return None;
    }
    let mut lexer = Lexer::new(text, dialect);
    while let Some(token) = lexer.next() {
        if token.kind.is_code()
            && let Some(within) = lexer.text_of(&token).find(REPLACEMENT)
        {
            return Some(token.range.start + within);
        }
    }
    None
}

/// Whether the file itself holds the character, in valid UTF-8.
fn is_whole(bytes: &[u8], text: &str) -> bool {
    bytes.ends_with(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8]) -> Option<String> {
        let script = Script::new("a.sql", bytes.to_vec());
        fault(&script, &script.text(), Dialect::Postgres)
    }

    #[test]
    fn damaged_code_is_a_fault_and_a_damaged_comment_is_none() {
        let fault = check(b"SELECT 1;\nSELECT 'caf\xe9';").unwrap();
        assert!(fault.starts_with("a.sql:2:12: bytes"), "{fault}");
        assert_eq!(check(b"-- caf\xe9\nSELECT 1; /* \xe9 */"), None);
        assert_eq!(check("SELECT 'caf\u{e9} \u{fffd}';".as_bytes()), None);
        assert_eq!(check(b"\xef\xbb\xbfSELECT '\xef\xbf\xbd'"), None);
        assert_eq!(check(b"\xff\xfe'\0\xe9\0'\0"), None);
        // Half a surrogate pair.
        assert!(check(b"\xff\xfe'\0\x3d\xd8'\0").is_some());
    }

    #[test]
    fn a_nul_is_a_fault_everywhere() {
        let fault = check(b"S\0E\0L\0").unwrap();
        assert!(fault.starts_with("a.sql:1:2: a NUL"), "{fault}");
        assert!(check(b"-- \0").is_some());
    }
}
