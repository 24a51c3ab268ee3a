//! Puts values in the place of build tokens, by the rules of the place.

use std::{borrow::Cow, collections::HashSet, ops::Range};

use super::{
    Dialect, Lexer, Token, TokenKind, TokenValues,
    nesting::Nesting,
    scan,
    tokens::{Marker, find},
    words::{Code, executable_inside},
};

/// A script with values in it, and the way back to the script as it was written.
#[derive(Clone, Debug)]
pub struct Rendered<'a> {
    /// What is sent to the server.
    pub text: Cow<'a, str>,
    segments: Vec<Segment>,
    original_length: usize,
}

/// A part of the rendered text, up to the next segment.
#[derive(Clone, Copy, Debug)]
struct Segment {
    rendered: usize,
    original: usize,
    /// Whether it is a copy of the original, so that offsets in it move along.
    is_copy: bool,
}

impl<'a> Rendered<'a> {
    pub(super) fn unchanged(text: Cow<'a, str>) -> Self {
        Self {
            original_length: text.len(),
            text,
            segments: Vec::new(),
        }
    }

    /// Where `offset` of the rendered text is in the original; the build token's start for an offset in a value. It never
    /// lies past the original's end, and grows with `offset`.
    pub fn original_offset(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        let index = self
            .segments
            .partition_point(|segment| segment.rendered <= offset);
        let original = match index.checked_sub(1).and_then(|at| self.segments.get(at)) {
            Some(segment) if segment.is_copy => segment.original + (offset - segment.rendered),
            Some(segment) => segment.original,
            None => offset,
        };
        original.min(self.original_length)
    }
}

/// Writes the rendered text from left to right.
#[derive(Debug)]
pub(super) struct Renderer<'a, 'v> {
    text: &'a str,
    dialect: Dialect,
    values: &'v TokenValues,
    rendered: String,
    segments: Vec<Segment>,
    /// How much of the original has been written.
    done: usize,
}

/// How often code is looked for in a string or comment inside other code. Each level reads its text once more.
const DEPTH: usize = 3;

impl<'a, 'v> Renderer<'a, 'v> {
    pub(super) fn new(text: &'a str, dialect: Dialect, values: &'v TokenValues) -> Self {
        let start = Segment {
            rendered: 0,
            original: 0,
            is_copy: true,
        };
        Self {
            text,
            dialect,
            values,
            rendered: String::with_capacity(text.len()),
            segments: vec![start],
            done: 0,
        }
    }

    pub(super) fn render(mut self) -> Rendered<'a> {
        self.code(0..self.text.len(), 0);
        self.copy_to(self.text.len());
        Rendered {
            text: Cow::Owned(self.rendered),
            segments: self.segments,
            original_length: self.text.len(),
        }
    }

    fn code(&mut self, range: Range<usize>, depth: usize) {
        let inside = self.slice(range.clone());
        let mut nesting = Nesting::new(self.dialect);
        let mut in_do = false;
        let mut lexer = Lexer::new(inside, self.dialect);
        while let Some(token) = lexer.next() {
            let place = range.start + token.range.start..range.start + token.range.end;
            let holds_code = depth < DEPTH && (nesting.in_module() || in_do);
            self.token(&token, place, holds_code, depth);
            let code = Code {
                kind: token.kind,
                text: lexer.text_of(&token),
                end: token.range.end,
            };
            let ends = token.kind == TokenKind::Separator && !nesting.holds();
            if ends || token.kind.is_line() {
                nesting = Nesting::new(self.dialect);
                in_do = false;
            } else if token.kind.is_code() {
                in_do |= nesting.last().is_none() && code.is("DO");
                nesting.observe(code);
            }
        }
    }

    /// Replaces the build tokens of one token at `place`; `holds_code` says whether a dollar-quoted string is a body.
    fn token(&mut self, token: &Token, place: Range<usize>, holds_code: bool, depth: usize) {
        match token.kind {
            TokenKind::String | TokenKind::EscapeString | TokenKind::QuotedIdentifier => {
                self.quoted(token.kind, place);
            }
            TokenKind::DollarString => self.dollar_string(place, holds_code, depth),
            TokenKind::ExecutableComment if depth < DEPTH => {
                let inside = executable_inside(self.slice(place.clone()));
                self.code(
                    place.start + inside.start..place.start + inside.end,
                    depth + 1,
                );
            }
            TokenKind::BlockComment | TokenKind::ExecutableComment => self.block_comment(place),
            TokenKind::LineComment
            | TokenKind::BatchLine
            | TokenKind::ClientLine
            | TokenKind::DelimiterLine => self.replace_all(place, on_one_line),
            _ => self.replace_all(place, str::to_owned),
        }
    }

    fn replace_all(&mut self, place: Range<usize>, escape: impl Fn(&str) -> String) {
        for (marker, range) in markers(self.slice(place.clone()), place.start) {
            let value = escape(marker.value(self.values));
            self.put(range, &value);
        }
    }

    /// A string or quoted name, in which the closing character is doubled.
    fn quoted(&mut self, kind: TokenKind, place: Range<usize>) {
        let token = self.slice(place.clone());
        let opening = token
            .chars()
            .find(|character| !character.is_alphanumeric() && *character != '&');
        let close = match opening {
            Some('[') => ']',
            Some(other) => other,
            None => return,
        };
        let unicode = self.dialect == Dialect::Postgres && token.starts_with(['u', 'U']);
        let backslashes = kind == TokenKind::EscapeString || unicode;
        let doubles = !(close == ']' && self.dialect == Dialect::Sqlite);
        for (marker, range) in markers(token, place.start) {
            if backslashes && is_escaped(self.slice(place.start..range.start)) {
                continue;
            }
            let mut value = String::new();
            for character in marker.value(self.values).chars() {
                let special = character == close || backslashes && character == '\\';
                match (special, doubles) {
                    (true, true) => value.extend([character, character]),
                    (true, false) => value.push('_'),
                    (false, _) => value.push(character),
                }
            }
            self.put(range, &value);
        }
    }

    /// A comment in which neither `*/` nor, because comments nest, `/*` may come into being.
    fn block_comment(&mut self, place: Range<usize>) {
        let joins = |last: Option<char>, next: Option<char>| {
            matches!(
                (last, next),
                (Some('*'), Some('/')) | (Some('/'), Some('*'))
            )
        };
        for (marker, range) in markers(self.slice(place.clone()), place.start) {
            self.copy_to(range.start);
            let mut value = String::new();
            let mut last = self.rendered.chars().next_back();
            // Right behind the opening, `!`, `M!` and `+` would make the comment something else to MySQL.
            if matches!(self.slice(place.start..range.start), "/*" | "/*M") {
                value.push(' ');
                last = Some(' ');
            }
            for character in on_one_line(marker.value(self.values)).chars() {
                if joins(last, Some(character)) {
                    value.push(' ');
                }
                value.push(character);
                last = Some(character);
            }
            if joins(last, self.slice(range.end..place.end).chars().next()) {
                value.push(' ');
            }
            self.put(range, &value);
        }
    }

    /// A dollar-quoted string. When a value brings its tag into it, the tag is replaced.
    fn dollar_string(&mut self, place: Range<usize>, holds_code: bool, depth: usize) {
        let token = self.slice(place.clone());
        if find(token, 0).is_none() {
            return;
        }
        let tag = scan::dollar_tag(token).unwrap_or_default();
        let closed = token.len() >= 2 * tag.len() && token.ends_with(tag);
        let body = place.start + tag.len()..place.end - if closed { tag.len() } else { 0 };
        self.copy_to(body.start);
        let (start, segment) = (self.rendered.len(), self.segments.len());
        if holds_code {
            self.code(body.clone(), depth + 1);
        } else {
            self.replace_all(body.clone(), str::to_owned);
        }
        self.copy_to(body.end);
        let rendered = self.rendered.get(start..).unwrap_or_default();
        // A `$` at the end of the value may also make the tag begin earlier: `$$` and `x$` give `$$x$$$`.
        let clashes = format!("{rendered}{tag}").find(tag) != Some(rendered.len());
        if !closed || !clashes {
            return;
        }
        let fresh = fresh_tag(rendered);
        self.replace_opening(place.start..body.start, start, segment, &fresh);
        self.put(body.end..place.end, &fresh);
    }

    /// Replaces the opening tag before `start` of what has been rendered; segments from `segment` on lie behind it.
    fn replace_opening(&mut self, tag: Range<usize>, start: usize, segment: usize, fresh: &str) {
        let opening = start - tag.len();
        self.rendered.replace_range(opening..start, fresh);
        let behind = self.segments.split_off(segment);
        self.segments.push(Segment {
            rendered: opening,
            original: tag.start,
            is_copy: false,
        });
        self.segments.push(Segment {
            rendered: opening + fresh.len(),
            original: tag.end,
            is_copy: true,
        });
        self.segments.extend(behind.into_iter().map(|mut segment| {
            segment.rendered = segment.rendered - start + opening + fresh.len();
            segment
        }));
    }

    fn copy_to(&mut self, end: usize) {
        let text = self.slice(self.done..end);
        self.rendered.push_str(text);
        self.done = end;
    }

    /// Writes `value` for the original's `range`.
    fn put(&mut self, range: Range<usize>, value: &str) {
        self.copy_to(range.start);
        self.segments.push(Segment {
            rendered: self.rendered.len(),
            original: range.start,
            is_copy: false,
        });
        self.rendered.push_str(value);
        self.segments.push(Segment {
            rendered: self.rendered.len(),
            original: range.end,
            is_copy: true,
        });
        self.done = range.end;
    }

    fn slice(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or_default()
    }
}

/// The build tokens of `part`, which starts at `offset`.
fn markers(part: &str, offset: usize) -> impl Iterator<Item = (Marker, Range<usize>)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let (at, marker, length) = find(part, from)?;
        from = at + length;
        Some((marker, offset + at..offset + at + length))
    })
}

/// Whether a backslash takes the meaning of what comes after `before`.
fn is_escaped(before: &str) -> bool {
    let backslashes = before.bytes().rev().take_while(|byte| *byte == b'\\');
    backslashes.count() % 2 == 1
}

fn on_one_line(value: &str) -> String {
    let ends_line =
        |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    value.replace(ends_line, " ")
}

/// A tag that neither occurs in `body` nor starts at its very end: as many candidates are tried as there are occurrences
/// of their beginning, and one.
fn fresh_tag(body: &str) -> String {
    let used: HashSet<u64> = body
        .match_indices("$sbm")
        .filter_map(|(index, found)| {
            let tail = body.get(index + found.len()..)?;
            let digits = tail
                .find(|character: char| !character.is_ascii_digit())
                .unwrap_or(tail.len());
            tail.get(..digits)?.parse().ok()
        })
        .collect();
    let number = (0..).find(|number| !used.contains(number)).unwrap_or(0);
    format!("$sbm{number}$")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::{replace_tokens, samples};

    fn values(description: &str) -> TokenValues {
        TokenValues {
            description: description.to_owned(),
            package_hash: "H4SH".to_owned(),
            file_name: "p.sbm".to_owned(),
        }
    }

    fn check(dialect: Dialect, description: &str, cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            let rendered = replace_tokens(text, dialect, &values(description));
            assert_eq!(rendered.text, *expected, "{dialect:?}: {text}");
        }
    }

    #[test]
    fn tokens_are_replaced_in_any_case_and_values_are_not_read_again() {
        for dialect in Dialect::ALL {
            check(
                dialect,
                "$1 #BuildFileName# $$",
                &[
                    (
                        "SELECT '#BUILDdescription#'",
                        "SELECT '$1 #BuildFileName# $$'",
                    ),
                    ("'#BuildPackageHash##buildfilename#'", "'H4SHp.sbm'"),
                    (
                        "SELECT #BuildFileName#, '#BuildFileName#'",
                        "SELECT p.sbm, 'p.sbm'",
                    ),
                    ("'#Build#BuildFileName#BuildX#'", "'#Buildp.sbmBuildX#'"),
                    ("'#BuildDescription'", "'#BuildDescription'"),
                ],
            );
        }
        let rendered = replace_tokens("SELECT 1", Dialect::TSql, &values("x"));
        assert!(matches!(rendered.text, Cow::Borrowed("SELECT 1")));
    }

    #[test]
    fn a_value_does_not_end_its_string_or_name() {
        let value = "it's \\ \"x\" ] `y`";
        check(
            Dialect::TSql,
            value,
            &[
                ("N'#BuildDescription#'", "N'it''s \\ \"x\" ] `y`'"),
                ("\"#BuildDescription#\"", "\"it's \\ \"\"x\"\" ] `y`\""),
                ("[#BuildDescription#]", "[it's \\ \"x\" ]] `y`]"),
            ],
        );
        check(
            Dialect::Postgres,
            value,
            &[
                ("'#BuildDescription#'", "'it''s \\ \"x\" ] `y`'"),
                ("e'#BuildDescription#'", "e'it''s \\\\ \"x\" ] `y`'"),
                ("U&'#BuildDescription#'", "U&'it''s \\\\ \"x\" ] `y`'"),
                (
                    "E'\\\\#BuildFileName# \\#BuildFileName#'",
                    "E'\\\\p.sbm \\#BuildFileName#'",
                ),
            ],
        );
        check(
            Dialect::MySql,
            value,
            &[
                ("'#BuildDescription#'", "'it''s \\\\ \"x\" ] `y`'"),
                ("\"#BuildDescription#\"", "\"it's \\\\ \"\"x\"\" ] `y`\""),
                ("`#BuildDescription#`", "`it's \\ \"x\" ] ``y```"),
                (
                    "/*!50000 SELECT '#BuildDescription#' */",
                    "/*!50000 SELECT 'it''s \\\\ \"x\" ] `y`' */",
                ),
            ],
        );
        check(
            Dialect::Sqlite,
            value,
            &[
                ("'#BuildDescription#'", "'it''s \\ \"x\" ] `y`'"),
                ("[#BuildDescription#]", "[it's \\ \"x\" _ `y`]"),
            ],
        );
    }

    #[test]
    fn a_value_does_not_end_its_comment() {
        for dialect in Dialect::ALL {
            check(
                dialect,
                "a\r\n*/ /* b",
                &[
                    ("-- #BuildDescription#\nx", "-- a  */ /* b\nx"),
                    ("/* #BuildDescription# */", "/* a  * / / * b */"),
                ],
            );
            check(
                dialect,
                "/",
                &[
                    ("/* *#BuildDescription#*/", "/* * / */"),
                    ("/*#BuildDescription#*/", "/* / */"),
                ],
            );
            check(dialect, "", &[("/* *#BuildDescription#/ */", "/* * / */")]);
            check(
                dialect,
                "! DROP",
                &[("/*#BuildDescription#*/", "/* ! DROP*/")],
            );
        }
        check(Dialect::MySql, "a\nb", &[("# #BuildDescription#", "# a b")]);
    }

    #[test]
    fn a_value_does_not_end_its_dollar_string() {
        check(
            Dialect::Postgres,
            "it's $$ $sbm0$",
            &[
                (
                    "SELECT $$#BuildDescription#$$;",
                    "SELECT $sbm1$it's $$ $sbm0$$sbm1$;",
                ),
                (
                    "SELECT $a$#BuildDescription#$a$;",
                    "SELECT $a$it's $$ $sbm0$$a$;",
                ),
                (
                    "DO $a$ 'x #BuildDescription#' $a$",
                    "DO $a$ 'x it''s $$ $sbm0$' $a$",
                ),
                (
                    "CREATE FUNCTION f() AS $$ SELECT '#BuildDescription#' $$ LANGUAGE sql",
                    "CREATE FUNCTION f() AS $sbm1$ SELECT 'it''s $$ $sbm0$' $sbm1$ LANGUAGE sql",
                ),
                ("SELECT $$ open #BuildFileName#", "SELECT $$ open p.sbm"),
            ],
        );
        check(
            Dialect::Postgres,
            "a",
            &[("$a$ $#BuildDescription#$ $a$", "$sbm0$ $a$ $sbm0$")],
        );
        check(
            Dialect::Postgres,
            "x$",
            &[("$$#BuildDescription#$$", "$sbm0$x$$sbm0$")],
        );
        check(
            Dialect::Postgres,
            "$$ $sbm0",
            &[("$$#BuildDescription#$$", "$sbm1$$$ $sbm0$sbm1$")],
        );
    }

    #[test]
    fn offsets_lead_back_to_the_script() {
        let text = "DO $$ '#BuildDescription#' $$; x";
        let rendered = replace_tokens(text, Dialect::Postgres, &values("a $$ b"));
        assert_eq!(rendered.text, "DO $sbm0$ 'a $$ b' $sbm0$; x");
        let back = |part: &str| rendered.original_offset(rendered.text.find(part).unwrap());
        assert_eq!(back("DO"), 0);
        assert_eq!(back("sbm0"), 3);
        assert_eq!(back("'a"), 6);
        assert_eq!(back("a $$"), 7);
        assert_eq!(back("b' "), 7);
        assert_eq!(back("' $sbm"), 25);
        assert_eq!(back("; x"), 29);
        assert_eq!(rendered.original_offset(usize::MAX), text.len());
    }

    /// Kinds and number of tokens, without those that a value may add to code.
    fn shape(text: &str, dialect: Dialect) -> Vec<TokenKind> {
        Lexer::new(text, dialect).map(|token| token.kind).collect()
    }

    proptest! {
        #[test]
        fn offsets_grow_and_stay_in_range(
            text in samples::texts(),
            dialect in samples::dialects(),
            value in samples::texts(),
        ) {
            let rendered = replace_tokens(&text, dialect, &values(&value));
            let offsets: Vec<_> = (0..=rendered.text.len() + 1)
                .map(|offset| rendered.original_offset(offset))
                .collect();
            prop_assert!(offsets.is_sorted());
            prop_assert!(offsets.iter().all(|&offset| offset <= text.len()));
            prop_assert_eq!(offsets.last(), Some(&text.len()));
        }

        #[test]
        fn values_stay_in_their_quotes(
            before in "[a-z \\\\/*$!]{0,4}",
            value in samples::texts(),
            after in "[a-z /*$]{0,4}",
            quote in prop::sample::select(vec![
                ("'", "'"), ("\"", "\""), ("[", "]"), ("`", "`"), ("N'", "'"), ("E'", "'"), ("U&'", "'"),
                ("/*", "*/"), ("-- ", "\n"), ("$$", "$$"), ("$a$", "$a$"),
            ]),
            dialect in samples::dialects(),
        ) {
            let text = format!("x {}{before}#BuildDescription#{after}{} y", quote.0, quote.1);
            let filled = replace_tokens(&text, dialect, &values(&value));
            let shaped = shape(&text, dialect);
            let quoted = |kind| !matches!(
                kind,
                TokenKind::Word | TokenKind::Punctuation | TokenKind::ExecutableComment
            );
            let is_plain = matches!(
                shaped.as_slice(),
                [TokenKind::Word, TokenKind::Blank, kind, TokenKind::Blank, TokenKind::Word] if quoted(*kind)
            );
            prop_assume!(is_plain);
            prop_assert_eq!(shaped, shape(&filled.text, dialect), "{} became {}", text, filled.text);
        }
    }
}
