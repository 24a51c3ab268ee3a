//! From offsets to the line and column that a user sees.

/// The line starts of a text.
#[derive(Clone, Debug)]
pub struct LineIndex<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> LineIndex<'a> {
    /// Reads `text` once; LF, CRLF and a lone CR end a line.
    pub fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        for (index, byte) in bytes.iter().enumerate() {
            let ends = *byte == b'\n' || *byte == b'\r' && bytes.get(index + 1) != Some(&b'\n');
            if ends {
                starts.push(index + 1);
            }
        }
        Self { text, starts }
    }

    /// Line and column of `offset`, both from 1, the column in characters. An offset past the end means the end, one
    /// inside a character its start.
    pub fn line_column(&self, offset: usize) -> (u32, u32) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let line = self.starts.partition_point(|&start| start <= offset);
        let start = self
            .starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        (saturated(line), saturated(before.chars().count() + 1))
    }

    /// The offset at which `line` (from 1) starts; the last line's for a line past the end.
    pub fn line_start(&self, line: u32) -> usize {
        let index = usize::try_from(line)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let index = index.min(self.starts.len() - 1);
        self.starts.get(index).copied().unwrap_or(0)
    }
}

/// The offset of the `number`th character of `text`, from 1, as PostgreSQL counts error positions; the end of the text for
/// a number past it.
pub fn offset_of_char(text: &str, number: usize) -> usize {
    text.char_indices()
        .nth(number.saturating_sub(1))
        .map_or(text.len(), |(offset, _)| offset)
}

/// The beginning of a statement for an error message: its first 200 characters.
pub fn excerpt(statement: &str) -> String {
    let start: String = statement.trim_start().chars().take(200).collect();
    start.trim_end().to_owned()
}

fn saturated(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let text = "aé\nb\r\n\rc漢d";
        let index = LineIndex::new(text);
        let cases = [
            (0, (1, 1)),
            (1, (1, 2)),
            (2, (1, 2)),
            (3, (1, 3)),
            (4, (2, 1)),
            (5, (2, 2)),
            (6, (2, 3)),
            (7, (3, 1)),
            (8, (4, 1)),
            (9, (4, 2)),
            (11, (4, 2)),
            (12, (4, 3)),
            (13, (4, 4)),
            (99, (4, 4)),
        ];
        for (offset, expected) in cases {
            assert_eq!(index.line_column(offset), expected, "{offset}");
        }
        assert_eq!(LineIndex::new("").line_column(0), (1, 1));
        assert_eq!(LineIndex::new("a\n").line_column(2), (2, 1));
    }

    #[test]
    fn lines_start_where_they_are_counted() {
        let index = LineIndex::new("a\r\nb\nc");
        assert_eq!(
            [0, 1, 2, 3, 4].map(|line| index.line_start(line)),
            [0, 0, 3, 5, 5]
        );
    }

    #[test]
    fn characters_are_found_by_their_number() {
        let text = "aé漢b";
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 99].map(|number| offset_of_char(text, number)),
            [0, 0, 1, 3, 6, 7, 7]
        );
        assert_eq!(offset_of_char("", 1), 0);
    }

    #[test]
    fn an_excerpt_has_two_hundred_characters_at_most() {
        assert_eq!(excerpt("  SELECT\n  1 \n"), "SELECT\n  1");
        assert_eq!(excerpt(&"é".repeat(300)), "é".repeat(200));
        assert_eq!(excerpt(&format!("a{}b", " ".repeat(300))), "a");
        assert_eq!(excerpt(" \n"), "");
    }

    proptest! {
        #[test]
        fn positions_grow_with_offsets(text in any::<String>()) {
            let index = LineIndex::new(&text);
            let positions: Vec<_> = (0..=text.len() + 1).map(|offset| index.line_column(offset)).collect();
            prop_assert!(positions.is_sorted());
            for (number, (offset, _)) in text.char_indices().enumerate() {
                prop_assert_eq!(offset_of_char(&text, number + 1), offset);
            }
        }
    }
}
