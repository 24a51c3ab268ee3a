//! Cuts a script into the batches between its `GO` lines.

use std::ops::Range;

use super::{Dialect, Lexer, TokenKind, line};

/// Text that is sent to a server in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where it is in the script; blanks around it are left out, comments are not.
    pub range: Range<usize>,
    /// How often it is to run: 1, or the count of the `GO` line that ends it.
    pub repeat: u32,
}

/// The batches of `text` in their order, without those that have nothing to run.
///
/// `GO` lines are honoured on every platform, except in strings, comments and quoted names.
pub fn batches(text: &str, dialect: Dialect) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut open = Open::default();
    let mut lexer = Lexer::new(text, dialect);
    while let Some(token) = lexer.next() {
        match token.kind {
            TokenKind::Blank => {}
            TokenKind::BatchLine => {
                let repeat = line::batch(lexer.text_of(&token)).map_or(1, |(_, count)| count);
                batches.extend(std::mem::take(&mut open).close(repeat));
            }
            kind => {
                let runs = !matches!(kind, TokenKind::Separator | TokenKind::DelimiterLine);
                open.has_code |= runs && kind.is_code();
                open.add(token.range);
            }
        }
    }
    batches.extend(open.close(1));
    batches
}

/// The batch that is being read.
#[derive(Default)]
struct Open {
    range: Option<Range<usize>>,
    has_code: bool,
}

impl Open {
    fn add(&mut self, token: Range<usize>) {
        let start = self.range.as_ref().map_or(token.start, |range| range.start);
        self.range = Some(start..token.end);
    }

    fn close(self, repeat: u32) -> Option<Batch> {
        let range = self.range.filter(|_| self.has_code)?;
        Some(Batch { range, repeat })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::samples;

    fn split(text: &str, dialect: Dialect) -> Vec<(&str, u32)> {
        batches(text, dialect)
            .into_iter()
            .map(|batch| (text.get(batch.range).unwrap(), batch.repeat))
            .collect()
    }

    #[test]
    fn go_lines_split_on_every_platform() {
        let cases: &[(&str, &[(&str, u32)])] = &[
            ("", &[]),
            ("GO", &[]),
            ("GO\nGO\n", &[]),
            ("a\nGO\nb", &[("a", 1), ("b", 1)]),
            ("a\r\ngo\r\nb\r\nGo", &[("a", 1), ("b", 1)]),
            ("a\rGO\rb", &[("a", 1), ("b", 1)]),
            ("\n\n a \n\t GO \t\n b", &[("a", 1), ("b", 1)]),
            ("a\nGO 5\nb\nGO 2 -- twice", &[("a", 5), ("b", 2)]),
            ("a\nGO -- note\nb", &[("a", 1), ("b", 1)]),
            ("a\nGO /* x */ -- y\nb", &[("a", 1), ("b", 1)]),
            ("a\nGO;\nb\nGO 3 ;", &[("a", 1), ("b", 3)]),
            ("-- only\nGO\n/* comments */\nGO\n;\nGO\na", &[("a", 1)]),
            (
                "-- kept\na -- this too\nGO",
                &[("-- kept\na -- this too", 1)],
            ),
            ("\u{feff}a\nGO", &[("a", 1)]),
        ];
        for (text, expected) in cases {
            for dialect in Dialect::ALL {
                assert_eq!(split(text, dialect), *expected, "{text:?} {dialect:?}");
            }
        }
    }

    #[test]
    fn other_lines_with_go_are_text() {
        let lines = [
            "GOTO x",
            "GO5",
            "GO x",
            "x GO",
            "GO 0",
            "GO -1",
            "GO 1.5",
            "GO 4294967296",
            "GO 5 5",
            "GO ;;",
            "GO /* open",
            "GO. ",
            "/* */ GO",
        ];
        for line in lines {
            let text = format!("a\n{line}\nb");
            for dialect in Dialect::ALL {
                assert_eq!(
                    split(&text, dialect),
                    [(text.as_str(), 1)],
                    "{line} {dialect:?}"
                );
            }
        }
    }

    #[test]
    fn go_inside_strings_comments_and_names_is_text() {
        let every = ["'\nGO\n'", "'it''s\nGO\n'", "a /*\nGO\n*/ b", "\"\nGO\n\""];
        let of = |dialect, texts: &[&'static str]| -> Vec<(Dialect, &'static str)> {
            texts.iter().map(|&text| (dialect, text)).collect()
        };
        let cases = [
            of(
                Dialect::TSql,
                &[
                    "[\nGO\n]",
                    "[a]]\nGO\n]",
                    "[a'b\nGO\n]",
                    "N'it''s\nGO 2\n'",
                    "'-- \nGO\n/*' + x",
                    "a /* /*\n*/\nGO\n*/",
                    "a /* ' */ '\nGO\n'",
                ],
            ),
            of(
                Dialect::Postgres,
                &[
                    "$$\nGO\n$$",
                    "$f$\nGO\n$$\nGO\n$f$",
                    "E'\\'\nGO\n'",
                    "U&'\nGO\n'",
                ],
            ),
            of(
                Dialect::MySql,
                &["`\nGO\n`", "'\\'\nGO\n'", "\"\\\"\nGO\n\"", "/*! a\nGO\n*/"],
            ),
            of(Dialect::Sqlite, &["`\nGO\n`", "[\nGO\n]"]),
            Dialect::ALL
                .into_iter()
                .flat_map(|dialect| of(dialect, &every))
                .collect(),
        ];
        for (dialect, text) in cases.concat() {
            assert_eq!(split(text, dialect), [(text, 1)], "{text:?} {dialect:?}");
        }
    }

    proptest! {
        #[test]
        fn batches_are_in_order_and_cover_the_code(text in samples::texts(), dialect in samples::dialects()) {
            let found = batches(&text, dialect);
            prop_assert!(found.is_sorted_by(|one, next| one.range.end <= next.range.start));
            for token in Lexer::new(&text, dialect) {
                let covered = found.iter().any(|batch| {
                    batch.range.start <= token.range.start && token.range.end <= batch.range.end
                });
                let needed = token.kind.is_code() && !matches!(
                    token.kind,
                    TokenKind::Separator | TokenKind::BatchLine | TokenKind::DelimiterLine
                );
                prop_assert!(covered || !needed, "{token:?} in {text:?}");
                prop_assert!(!covered || token.kind != TokenKind::BatchLine);
            }
            for batch in found {
                prop_assert!(text.get(batch.range).is_some());
                prop_assert!(batch.repeat > 0);
            }
        }
    }
}
