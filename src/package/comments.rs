//! Where the reference program sees comments in a script.

const LF: u16 = 0x0A;
const DASH: u16 = 0x2D;
const SLASH: u16 = 0x2F;
const STAR: u16 = 0x2A;

/// The comments of a text. Line and block comments are found independently and may overlap; string literals are not
/// known, so a comment may start in one.
pub(super) struct Comments {
    /// From `--` to behind the line feed; a comment without line feed is none.
    lines: Vec<(usize, usize)>,
    /// From `/*` to behind the nearest `*/` that leaves at least one unit between them.
    blocks: Vec<(usize, usize)>,
}

impl Comments {
    /// Finds the comments of `text`.
    pub(super) fn of(text: &[u16]) -> Self {
        Self {
            lines: lines(text),
            blocks: blocks(text),
        }
    }

    /// Whether `position` lies behind the first unit of a comment. A block comment holds the position behind it, too.
    pub(super) fn contain(&self, position: usize) -> bool {
        let ends_at = |spans: &[(usize, usize)]| {
            let started = spans.partition_point(|(start, _)| *start < position);
            started
                .checked_sub(1)
                .and_then(|last| spans.get(last))
                .map(|(_, end)| *end)
        };
        ends_at(&self.lines).is_some_and(|end| position < end)
            || ends_at(&self.blocks).is_some_and(|end| position <= end)
    }
}

fn lines(text: &[u16]) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let mut from = 0;
    while let Some(start) = find(text, from, &[DASH, DASH])
        && let Some(line_feed) = find(text, start, &[LF])
    {
        from = line_feed + 1;
        spans.push((start, from));
    }
    spans
}

fn blocks(text: &[u16]) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let mut from = 0;
    while let Some(start) = find(text, from, &[SLASH, STAR])
        && let Some(close) = find(text, start + 3, &[STAR, SLASH])
    {
        from = close + 2;
        spans.push((start, from));
    }
    spans
}

fn find(text: &[u16], from: usize, what: &[u16]) -> Option<usize> {
    text.get(from..)?
        .windows(what.len())
        .position(|window| window == what)
        .map(|offset| from + offset)
}
