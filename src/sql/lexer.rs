//! Cuts a script into tokens, so that nothing else has to know where strings, comments and names end.

use std::ops::Range;

use super::{Dialect, line, scan, tokens};

/// A piece of a script that is never cut further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it is, in bytes.
    pub range: Range<usize>,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Blanks and line ends.
    Blank,
    /// A comment up to, but without, its line end.
    LineComment,
    /// A comment in `/* */`.
    BlockComment,
    /// MySQL's `/*! … */`, MariaDB's `/*M! … */`: the server runs what is in it.
    ExecutableComment,
    /// A string whose only escape is the doubled quote, with its prefix.
    String,
    /// A string in which a backslash escapes too, with its prefix.
    EscapeString,
    /// PostgreSQL's `$tag$ … $tag$`.
    DollarString,
    /// A name in double quotes, brackets or backticks.
    QuotedIdentifier,
    /// A keyword, a name or a variable.
    Word,
    /// A number.
    Number,
    /// Any other single character.
    Punctuation,
    /// What ends a statement: `;`, or what `DELIMITER` made of it.
    Separator,
    /// One of the build tokens such as `#BuildDescription#`, outside strings and comments.
    Marker,
    /// A line with nothing but `GO`, perhaps with a count and a comment; without its line end.
    BatchLine,
    /// A line for `psql` (`\i`) or `sqlite3` (`.mode`), which no server understands; without its line end.
    ClientLine,
    /// A `DELIMITER` line of the `mysql` client, without its line end.
    DelimiterLine,
}

impl TokenKind {
    /// Whether a server sees it: everything but blanks and comments.
    pub fn is_code(self) -> bool {
        !matches!(self, Self::Blank | Self::LineComment | Self::BlockComment)
    }

    /// Whether it is a line that only a client program understands; it ends a statement.
    pub(super) fn is_line(self) -> bool {
        matches!(
            self,
            Self::BatchLine | Self::ClientLine | Self::DelimiterLine
        )
    }
}

/// The tokens of a text in their order; together they are the whole text.
///
/// A string or comment that is not closed runs to the end of the text.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    dialect: Dialect,
    position: usize,
    /// Only blanks have come since the last line end.
    at_line_start: bool,
    /// No code has come since the last statement ended.
    at_statement_start: bool,
    delimiter: &'a str,
}

impl<'a> Lexer<'a> {
    /// Starts at the beginning of `text`.
    pub fn new(text: &'a str, dialect: Dialect) -> Self {
        Self {
            text,
            dialect,
            position: 0,
            at_line_start: true,
            at_statement_start: true,
            delimiter: ";",
        }
    }

    /// The text of one of its tokens.
    pub fn text_of(&self, token: &Token) -> &'a str {
        self.text.get(token.range.clone()).unwrap_or_default()
    }

    /// The next token that is code.
    pub(super) fn next_code(&mut self) -> Option<Token> {
        self.find(|token| token.kind.is_code())
    }

    /// Whether a `DELIMITER` line has replaced the semicolon.
    pub(super) fn has_custom_delimiter(&self) -> bool {
        self.delimiter != ";"
    }

    /// Kind and length of the token at the start of `rest`.
    fn measure(&self, rest: &str) -> (TokenKind, usize) {
        if self.has_custom_delimiter() && rest.starts_with(self.delimiter) {
            return (TokenKind::Separator, self.delimiter.len());
        }
        let blank = scan::blank(rest, self.dialect, self.position == 0);
        if blank > 0 {
            return (TokenKind::Blank, blank);
        }
        self.line(rest)
            .or_else(|| tokens::marker_at(rest).map(|(_, length)| (TokenKind::Marker, length)))
            .or_else(|| scan::comment(rest, self.dialect))
            .or_else(|| scan::quoted(rest, self.dialect))
            .unwrap_or_else(|| self.unquoted(rest))
    }

    /// A line for a client program, which is only taken for one where a line starts.
    fn line(&self, rest: &str) -> Option<(TokenKind, usize)> {
        if !self.at_line_start {
            return None;
        }
        if let Some((length, _)) = line::batch(rest) {
            return Some((TokenKind::BatchLine, length));
        }
        let between = self.at_statement_start;
        match self.dialect {
            Dialect::Postgres if rest.starts_with('\\') => {
                Some((TokenKind::ClientLine, line::length(rest)))
            }
            Dialect::Sqlite if between && self.at_column_one() && line::is_dot_command(rest) => {
                Some((TokenKind::ClientLine, line::length(rest)))
            }
            Dialect::MySql if between || self.has_custom_delimiter() => line::delimiter(rest)
                .is_some()
                .then(|| (TokenKind::DelimiterLine, line::length(rest))),
            _ => None,
        }
    }

    fn at_column_one(&self) -> bool {
        let before = self.text.get(..self.position).unwrap_or_default();
        before.is_empty() || before.ends_with(['\n', '\r'])
    }

    /// A word, number, separator or single character.
    fn unquoted(&self, rest: &str) -> (TokenKind, usize) {
        let Some(first) = rest.chars().next() else {
            return (TokenKind::Punctuation, 0);
        };
        if self.dialect.starts_word(first) {
            // The first characters may be such that only start a word, as in `@@version`.
            let tail = rest.trim_start_matches('@');
            let length = first.len_utf8().max(rest.len() - tail.len());
            let more = self.word(rest.get(length..).unwrap_or_default());
            return (TokenKind::Word, length + more);
        }
        if first.is_ascii_digit() {
            return self.number(rest);
        }
        let kind = if first == ';' && !self.has_custom_delimiter() {
            TokenKind::Separator
        } else {
            TokenKind::Punctuation
        };
        (kind, first.len_utf8())
    }

    /// How far a word goes on at the start of `rest`; a delimiter such as `$$` ends it although its characters could belong to a name.
    fn word(&self, rest: &str) -> usize {
        for (index, character) in rest.char_indices() {
            let ends = self.has_custom_delimiter()
                && rest
                    .get(index..)
                    .is_some_and(|tail| tail.starts_with(self.delimiter));
            if ends || !self.dialect.continues_word(character) {
                return index;
            }
        }
        rest.len()
    }

    /// A number, or in MySQL a name that starts with a digit.
    fn number(&self, rest: &str) -> (TokenKind, usize) {
        let length = scan::number(rest);
        if self.dialect == Dialect::MySql {
            let tail = rest.get(length..).unwrap_or_default();
            let more = self.word(tail);
            if more > 0 {
                return (TokenKind::Word, length + more);
            }
        }
        (TokenKind::Number, length)
    }

    fn note(&mut self, token: &Token) {
        let text = self.text_of(token);
        self.at_line_start =
            token.kind == TokenKind::Blank && (self.at_line_start || text.contains(['\n', '\r']));
        if token.kind.is_code() {
            self.at_statement_start = token.kind == TokenKind::Separator || token.kind.is_line();
        }
        match token.kind {
            // Batches are sent one by one, so a delimiter does not outlive its batch.
            TokenKind::BatchLine => self.delimiter = ";",
            TokenKind::DelimiterLine => {
                self.delimiter = line::delimiter(text).unwrap_or(self.delimiter);
            }
            _ => {}
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let rest = self.text.get(self.position..)?;
        if rest.is_empty() {
            return None;
        }
        let (kind, length) = self.measure(rest);
        debug_assert!(length > 0, "every token takes some text");
        let end = self.position + length;
        let token = Token {
            kind,
            range: self.position..end,
        };
        self.note(&token);
        self.position = end;
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::samples;
    use TokenKind::{
        BatchLine, Blank, BlockComment, ClientLine, DelimiterLine, DollarString, EscapeString,
        ExecutableComment, LineComment, Marker, Number, Punctuation, QuotedIdentifier, Separator,
        String, Word,
    };

    /// Kinds and texts, without single blanks.
    fn lex(text: &str, dialect: Dialect) -> Vec<(TokenKind, &str)> {
        let lexer = Lexer::new(text, dialect);
        lexer
            .map(|token| (token.kind, text.get(token.range).unwrap()))
            .filter(|(_, text)| *text != " ")
            .collect()
    }

    fn check(dialect: Dialect, cases: &[(&str, &[(TokenKind, &str)])]) {
        for (text, expected) in cases {
            assert_eq!(lex(text, dialect), *expected, "{dialect:?}: {text}");
        }
    }

    /// Each text is one token of this kind.
    fn check_whole(dialect: Dialect, kind: TokenKind, texts: &[&str]) {
        for text in texts {
            assert_eq!(lex(text, dialect), [(kind, *text)], "{dialect:?}");
        }
    }

    #[test]
    fn every_dialect_has_strings_comments_and_separators() {
        for dialect in Dialect::ALL {
            check(
                dialect,
                &[
                    ("a;b", &[(Word, "a"), (Separator, ";"), (Word, "b")]),
                    (
                        "'a''b' 'c",
                        if dialect == Dialect::MySql {
                            &[(EscapeString, "'a''b'"), (EscapeString, "'c")]
                        } else {
                            &[(String, "'a''b'"), (String, "'c")]
                        },
                    ),
                    (
                        "-- a\r\nb",
                        if dialect.return_ends_comment() {
                            &[(LineComment, "-- a"), (Blank, "\r\n"), (Word, "b")]
                        } else {
                            &[(LineComment, "-- a\r"), (Blank, "\n"), (Word, "b")]
                        },
                    ),
                    (
                        "/* ; */ /*/ x",
                        &[(BlockComment, "/* ; */"), (BlockComment, "/*/ x")],
                    ),
                    (
                        "1.5e-3 0x1Fg 1e",
                        if dialect == Dialect::MySql {
                            &[(Number, "1.5e-3"), (Word, "0x1Fg"), (Word, "1e")]
                        } else {
                            &[
                                (Number, "1.5e-3"),
                                (Number, "0x1F"),
                                (Word, "g"),
                                (Number, "1"),
                                (Word, "e"),
                            ]
                        },
                    ),
                    (
                        "x_1é漢 (\u{1})",
                        &[
                            (Word, "x_1é漢"),
                            (Punctuation, "("),
                            (Punctuation, "\u{1}"),
                            (Punctuation, ")"),
                        ],
                    ),
                    (
                        "go 5 -- x\nGO",
                        &[(BatchLine, "go 5 -- x"), (Blank, "\n"), (BatchLine, "GO")],
                    ),
                    (
                        "a #builddescription# b",
                        &[(Word, "a"), (Marker, "#builddescription#"), (Word, "b")],
                    ),
                ],
            );
            assert_eq!(lex("", dialect), []);
        }
    }

    #[test]
    fn tsql_tokens() {
        check_whole(
            Dialect::TSql,
            BlockComment,
            &["/* /* ; */ ; */", "/* /* */ ;"],
        );
        check_whole(
            Dialect::TSql,
            QuotedIdentifier,
            &["[a]]b;]", "\"a\"\"b;\"", "[open"],
        );
        check_whole(Dialect::TSql, String, &["N'a''b'", "'a\\'", "n'x"]);
        check_whole(Dialect::TSql, Word, &["@@ROWCOUNT", "##t", "#t", "a#b$c@d"]);
        check(
            Dialect::TSql,
            &[
                (
                    "a\u{a0}b `c",
                    &[
                        (Word, "a"),
                        (Blank, "\u{a0}"),
                        (Word, "b"),
                        (Punctuation, "`"),
                        (Word, "c"),
                    ],
                ),
                (
                    "DELIMITER //\n.mode",
                    &[
                        (Word, "DELIMITER"),
                        (Punctuation, "/"),
                        (Punctuation, "/"),
                        (Blank, "\n"),
                        (Punctuation, "."),
                        (Word, "mode"),
                    ],
                ),
            ],
        );
    }

    #[test]
    fn postgres_tokens() {
        let postgres = Dialect::Postgres;
        check_whole(
            postgres,
            DollarString,
            &["$$;$$", "$a_1$ $$ ; $a$ $a_1$", "$é$;$é$", "$a$ ;"],
        );
        check_whole(
            postgres,
            EscapeString,
            &["E'a\\'b'", "e'a''b'", "E'a'\n'b\\'c'", "E'a' -- x\n 'b\\''"],
        );
        check_whole(postgres, String, &["U&'\\'", "B'1'", "x'1F'", "'a\\'"]);
        check_whole(postgres, QuotedIdentifier, &["\"a\"\"b\"", "U&\"a\""]);
        check_whole(postgres, BlockComment, &["/* /* */ ; */"]);
        check_whole(postgres, Word, &["a$b$", "_$1"]);
        check_whole(postgres, ClientLine, &["\\i 'a' ; b", "\\."]);
        check(
            postgres,
            &[
                (
                    "$1$2",
                    &[
                        (Punctuation, "$"),
                        (Number, "1"),
                        (Punctuation, "$"),
                        (Number, "2"),
                    ],
                ),
                ("E'a' 'b'", &[(EscapeString, "E'a'"), (String, "'b'")]),
                ("a \\i", &[(Word, "a"), (Punctuation, "\\"), (Word, "i")]),
                (
                    "[1]",
                    &[(Punctuation, "["), (Number, "1"), (Punctuation, "]")],
                ),
                ("1END", &[(Number, "1"), (Word, "END")]),
                ("a#b", &[(Word, "a"), (Punctuation, "#"), (Word, "b")]),
            ],
        );
    }

    #[test]
    fn mysql_tokens() {
        let mysql = Dialect::MySql;
        check_whole(
            mysql,
            ExecutableComment,
            &[
                "/*!50003 a */",
                "/*M! a */",
                "/*! '*/' /* */ `*/` */",
                "/*! a",
            ],
        );
        check_whole(
            mysql,
            EscapeString,
            &["'a\\'b'", "\"a\\\"b\"", "\"a\"\"b\"", "N'a'"],
        );
        check_whole(mysql, LineComment, &["# a;", "-- a", "--", "--\t"]);
        check_whole(mysql, QuotedIdentifier, &["`a``b;`"]);
        check_whole(mysql, Word, &["@@a", "@a", "1a", "$a"]);
        check(
            mysql,
            &[
                (
                    "5--3",
                    &[
                        (Number, "5"),
                        (Punctuation, "-"),
                        (Punctuation, "-"),
                        (Number, "3"),
                    ],
                ),
                ("/* /* */ a", &[(BlockComment, "/* /* */"), (Word, "a")]),
                ("@'x'", &[(Word, "@"), (EscapeString, "'x'")]),
                (
                    "delimiter $$\na;b$$\nDELIMITER ;\nc;",
                    &[
                        (DelimiterLine, "delimiter $$"),
                        (Blank, "\n"),
                        (Word, "a"),
                        (Punctuation, ";"),
                        (Word, "b"),
                        (Separator, "$$"),
                        (Blank, "\n"),
                        (DelimiterLine, "DELIMITER ;"),
                        (Blank, "\n"),
                        (Word, "c"),
                        (Separator, ";"),
                    ],
                ),
                (
                    "a\ndelimiter x",
                    &[(Word, "a"), (Blank, "\n"), (Word, "delimiter"), (Word, "x")],
                ),
            ],
        );
    }

    #[test]
    fn sqlite_tokens() {
        let sqlite = Dialect::Sqlite;
        check_whole(sqlite, QuotedIdentifier, &["[a;b]", "`a``b`", "\"a\"\"b\""]);
        check_whole(sqlite, String, &["x'00'", "'a\\'"]);
        check_whole(sqlite, ClientLine, &[".mode csv ;"]);
        check_whole(sqlite, Word, &["@a", "$a"]);
        check(
            sqlite,
            &[
                (
                    "a;\n.read x\n .b",
                    &[
                        (Word, "a"),
                        (Separator, ";"),
                        (Blank, "\n"),
                        (ClientLine, ".read x"),
                        (Blank, "\n "),
                        (Punctuation, "."),
                        (Word, "b"),
                    ],
                ),
                (
                    "a\n.b",
                    &[(Word, "a"), (Blank, "\n"), (Punctuation, "."), (Word, "b")],
                ),
                ("/* /* */ a", &[(BlockComment, "/* /* */"), (Word, "a")]),
            ],
        );
    }

    proptest! {
        #[test]
        fn tokens_are_the_whole_text(text in samples::texts(), dialect in samples::dialects()) {
            let mut end = 0;
            for token in Lexer::new(&text, dialect) {
                prop_assert_eq!(token.range.start, end);
                prop_assert!(text.get(token.range.clone()).is_some_and(|text| !text.is_empty()));
                end = token.range.end;
            }
            prop_assert_eq!(end, text.len());
        }
    }
}
