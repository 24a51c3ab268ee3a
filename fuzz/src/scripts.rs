//! What holds for the text of every script.

use std::ops::Range;

use sbm::{
    package::{batching, digest},
    sql::{
        Dialect, Lexer, Token, TokenKind, TokenValues, batches, blank_use, hazards, replace_tokens,
        statements, strip_transactions,
    },
};

/// Nothing of a script gets lost, is cut in two or runs twice.
pub(crate) fn check(text: &str, dialect: Dialect) {
    let tokens: Vec<Token> = Lexer::new(text, dialect).collect();
    check_tokens(text, &tokens);
    check_batches(text, dialect, &tokens);
    check_statements(text, dialect, &tokens);
    for blanked in [strip_transactions(text, dialect), blank_use(text, dialect)] {
        assert_eq!(blanked.len(), text.len(), "the length stays");
        assert_eq!(line_ends(&blanked), line_ends(text), "line ends stay");
    }
    for hazard in hazards(text, dialect) {
        assert!(text.get(hazard.range).is_some(), "hazards are in the text");
    }
    check_values(text, dialect);
}

/// The same text with other line ends has the same hash, with and without transaction statements.
pub(crate) fn check_reference(text: &str) {
    let line_feeds = text.replace('\r', "");
    let windows = line_feeds.replace('\n', "\r\n");
    for strip in [false, true] {
        let hash = digest::script_hash(&line_feeds, strip);
        assert_eq!(digest::script_hash(&windows, strip), hash);
        assert_eq!(
            batching::split(&windows, strip),
            batching::split(&line_feeds, strip)
        );
        assert_eq!(hash.len(), 40);
        drop(batching::split(text, strip));
    }
}

fn check_tokens(text: &str, tokens: &[Token]) {
    let mut end = 0;
    for token in tokens {
        assert_eq!(token.range.start, end, "tokens leave no gap");
        assert!(token.range.end > end, "no token is empty");
        assert!(text.get(token.range.clone()).is_some(), "tokens are texts");
        end = token.range.end;
    }
    assert_eq!(end, text.len(), "tokens are the whole text");
}

fn check_batches(text: &str, dialect: Dialect, tokens: &[Token]) {
    let found = batches(text, dialect);
    let ranges: Vec<Range<usize>> = found.iter().map(|batch| batch.range.clone()).collect();
    check_cover(tokens, &ranges, |kind| {
        kind != TokenKind::BatchLine && kind != TokenKind::Separator
    });
    // A batch may stand in the reach of an earlier DELIMITER line, which it does not know by itself.
    if tokens
        .iter()
        .any(|token| token.kind == TokenKind::DelimiterLine)
    {
        return;
    }
    for batch in &found {
        assert!(batch.repeat > 0, "a batch runs at least once");
        let alone = slice(text, &batch.range);
        let again = batches(alone, dialect);
        // What is a byte order mark at the start of a text is none further on.
        if batch.range.start == 0 || !alone.starts_with('\u{feff}') {
            assert_eq!(again.len(), 1, "a batch is one batch: {alone:?}");
            assert_eq!(again[0].range, 0..alone.len());
            assert_eq!(again[0].repeat, 1);
        }
    }
}

fn check_statements(text: &str, dialect: Dialect, tokens: &[Token]) {
    let found = statements(text, dialect);
    check_cover(tokens, &found, |kind| {
        kind != TokenKind::BatchLine && kind != TokenKind::Separator
    });
    // A separator before them, so that none is taken for what only the start of a text or line can be.
    let pieces: Vec<&str> = found.iter().map(|range| slice(text, range)).collect();
    let joined = format!(";{}", pieces.join(";"));
    // Lines such as `GO` are known by what stands around them, which is not there any more.
    if has_lines(tokens) || has_lines(&Lexer::new(&joined, dialect).collect::<Vec<_>>()) {
        return;
    }
    for alone in &pieces {
        let text = format!(";{alone}");
        let again = statements(&text, dialect);
        let again: Vec<&str> = again.iter().map(|range| slice(&text, range)).collect();
        assert_eq!(again, [*alone], "a statement is one");
    }
    let again = statements(&joined, dialect);
    let again: Vec<&str> = again.iter().map(|range| slice(&joined, range)).collect();
    assert_eq!(
        again, pieces,
        "statements that are joined again are the same"
    );
}

fn has_lines(tokens: &[Token]) -> bool {
    tokens.iter().any(|token| {
        matches!(
            token.kind,
            TokenKind::BatchLine | TokenKind::ClientLine | TokenKind::DelimiterLine
        )
    })
}

/// Pieces are in order, and every token that a server must see is in exactly one of them.
fn check_cover(tokens: &[Token], pieces: &[Range<usize>], needed: impl Fn(TokenKind) -> bool) {
    for (one, next) in pieces.iter().zip(pieces.iter().skip(1)) {
        assert!(one.end <= next.start, "pieces do not overlap");
    }
    for token in tokens {
        let covers = pieces
            .iter()
            .filter(|piece| piece.start <= token.range.start && token.range.end <= piece.end)
            .count();
        let touches = pieces
            .iter()
            .filter(|piece| piece.start < token.range.end && token.range.start < piece.end)
            .count();
        assert_eq!(covers, touches, "no token is cut: {token:?}");
        let client = matches!(token.kind, TokenKind::DelimiterLine | TokenKind::ClientLine);
        if token.kind.is_code() && !client && needed(token.kind) {
            assert_eq!(covers, 1, "{token:?} is in one piece of {pieces:?}");
        }
    }
}

fn check_values(text: &str, dialect: Dialect) {
    for value in ["", "x", "a'b\"c]`*/\n--$$\\"] {
        let values = TokenValues {
            description: value.to_owned(),
            package_hash: value.to_owned(),
            file_name: value.to_owned(),
        };
        let rendered = replace_tokens(text, dialect, &values);
        let mut last = 0;
        for (offset, _) in rendered.text.char_indices() {
            let original = rendered.original_offset(offset);
            assert!(
                original >= last && original <= text.len(),
                "offsets lead back"
            );
            last = original;
        }
    }
}

fn slice<'a>(text: &'a str, range: &Range<usize>) -> &'a str {
    text.get(range.clone()).expect("pieces are texts")
}

/// Where the line ends are.
fn line_ends(text: &str) -> Vec<usize> {
    let found = text.match_indices(['\r', '\n']);
    found.map(|(at, _)| at).collect()
}
