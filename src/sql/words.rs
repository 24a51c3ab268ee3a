//! The code of a statement, word by word, and the patterns that are looked for in it.

use std::ops::Range;

use super::{Dialect, Lexer, TokenKind};

/// A piece of code and what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Code<'a> {
    pub(super) kind: TokenKind,
    pub(super) text: &'a str,
    /// Where it ends in the text that was read.
    pub(super) end: usize,
}

impl Code<'_> {
    /// Whether it is this keyword, in any case.
    pub(super) fn is(self, keyword: &str) -> bool {
        self.kind == TokenKind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    /// Whether it is one of these keywords, in any case.
    pub(super) fn is_one_of(self, keywords: &[&str]) -> bool {
        self.kind == TokenKind::Word
            && keywords
                .iter()
                .any(|keyword| self.text.eq_ignore_ascii_case(keyword))
    }

    /// Whether it is this punctuation character.
    pub(super) fn is_mark(self, mark: &str) -> bool {
        self.kind == TokenKind::Punctuation && self.text == mark
    }
}

/// How many words decide what a statement is; `CREATE OR REPLACE DEFINER = … PROCEDURE` is the longest beginning.
pub(super) const HEAD: usize = 24;

/// The first words of a statement.
pub(super) fn head(statement: &str, dialect: Dialect) -> Vec<Code<'_>> {
    code(statement, dialect).take(HEAD).collect()
}

/// All code of a statement; the inside of MySQL's executable comments is part of it.
pub(super) fn code(statement: &str, dialect: Dialect) -> impl Iterator<Item = Code<'_>> {
    plain_code(statement, dialect).flat_map(move |outer| {
        let inside = (outer.kind == TokenKind::ExecutableComment)
            .then(|| outer.text.get(executable_inside(outer.text)))
            .flatten()
            .map(|inside| plain_code(inside, dialect));
        let itself = inside.is_none().then_some(outer);
        itself.into_iter().chain(inside.into_iter().flatten())
    })
}

/// Where in an executable comment the code is that the server runs.
pub(super) fn executable_inside(comment: &str) -> Range<usize> {
    let start = comment.find('!').map_or(0, |index| index + 1);
    let digits = comment
        .get(start..)
        .unwrap_or_default()
        .chars()
        .take_while(char::is_ascii_digit)
        .count();
    let start = start + digits;
    let end = comment.strip_suffix("*/").map_or(comment.len(), str::len);
    start..end.max(start)
}

/// How many of `words` match `pattern`, which is a list of alternatives (`A|B`), of which those that end in `?` may be
/// missing; `*` is any one word.
pub(super) fn matches(words: &[Code<'_>], pattern: &str) -> Option<usize> {
    let mut at = 0;
    for element in pattern.split_ascii_whitespace() {
        let (element, optional) = match element.strip_suffix('?') {
            Some(element) => (element, true),
            None => (element, false),
        };
        let fits = words.get(at).is_some_and(|word| {
            element == "*"
                || element
                    .split('|')
                    .any(|one| word.is(one) || word.is_mark(one))
        });
        match (fits, optional) {
            (true, _) => at += 1,
            (false, true) => {}
            (false, false) => return None,
        }
    }
    Some(at)
}

/// Whether `words` start with `pattern`.
pub(super) fn starts(words: &[Code<'_>], pattern: &str) -> bool {
    matches(words, pattern).is_some()
}

/// As [`code`], with executable comments left whole.
pub(super) fn plain_code(text: &str, dialect: Dialect) -> impl Iterator<Item = Code<'_>> {
    let mut lexer = Lexer::new(text, dialect);
    std::iter::from_fn(move || {
        let token = lexer.next_code()?;
        Some(Code {
            kind: token.kind,
            text: lexer.text_of(&token),
            end: token.range.end,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_know_alternatives_and_optional_words() {
        let words = head(
            "create Unique index /* c */ concurrently i",
            Dialect::Postgres,
        );
        assert_eq!(
            matches(&words, "CREATE UNIQUE? INDEX CONCURRENTLY"),
            Some(4)
        );
        assert_eq!(matches(&words, "CREATE TEMP? UNIQUE TABLE|INDEX"), Some(3));
        assert_eq!(matches(&words, "CREATE * INDEX"), Some(3));
        assert_eq!(matches(&words, "CREATE INDEX"), None);
        assert_eq!(
            matches(&words, "CREATE UNIQUE INDEX CONCURRENTLY i x"),
            None
        );
        assert!(!starts(&head("'CREATE' x", Dialect::Postgres), "CREATE"));
    }

    #[test]
    fn executable_comments_are_read_once() {
        let texts =
            |text| -> Vec<&str> { code(text, Dialect::MySql).map(|code| code.text).collect() };
        assert_eq!(texts("/*!50003 CREATE*/ /*M! b */ c"), ["CREATE", "b", "c"]);
        assert_eq!(texts("/*!*/ /*! a"), ["a"]);
        assert_eq!(texts("/*! /*! x */ */"), ["/*! x */"]);
    }
}
