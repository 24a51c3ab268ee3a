//! Faults of a target list, gathered so that a user can mend them all at once.

use std::fmt;

/// As many faults of a list are shown; the rest is counted.
const SHOWN_FAULTS: usize = 100;
/// As many characters of an offending text are shown.
const SHOWN_CHARS: usize = 120;

/// One thing that is wrong with a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The lines that are at fault, ascending; none when the whole list is.
    pub lines: Vec<u32>,
    /// The offending text, as it is written in the list.
    pub text: Option<String>,
    /// What is wrong, and what would be accepted.
    pub problem: String,
    /// How many ranges of lines are shown before the rest is counted.
    shown_ranges: usize,
}

impl Fault {
    /// A fault of a piece of one line.
    pub(crate) fn at(line: u32, text: &str, problem: impl Into<String>) -> Self {
        Self {
            text: Some(text.trim().to_owned()),
            ..Self::in_lines(vec![line], problem)
        }
    }

    /// A fault that some lines share, all of which are shown.
    pub(crate) fn in_lines(lines: Vec<u32>, problem: impl Into<String>) -> Self {
        Self {
            lines,
            text: None,
            problem: problem.into(),
            shown_ranges: usize::MAX,
        }
    }

    /// The same fault, showing no more than `ranges` ranges of lines.
    pub(crate) fn showing(self, ranges: usize) -> Self {
        Self {
            shown_ranges: ranges,
            ..self
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lines.as_slice() {
            [] => {}
            [line] => write!(f, "line {line}: ")?,
            lines => write!(f, "lines {}: ", ranges(lines, self.shown_ranges))?,
        }
        if let Some(text) = &self.text {
            write!(f, "`{}`: ", shortened(text))?;
        }
        f.write_str(&self.problem)
    }
}

/// Everything that is wrong with a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// The file or option that holds the list.
    pub list: String,
    /// The faults in the order of their lines; never empty.
    pub faults: Vec<Fault>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len();
        let noun = if count == 1 { "fault" } else { "faults" };
        write!(f, "{count} {noun} in {}", self.list)?;
        for fault in self.faults.iter().take(SHOWN_FAULTS) {
            write!(f, "\n  {fault}")?;
        }
        match count.saturating_sub(SHOWN_FAULTS) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl std::error::Error for Faults {}

/// `1-3, 7`: ascending numbers, runs of neighbours joined.
fn ranges(lines: &[u32], shown: usize) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &line in lines {
        match runs.last_mut() {
            Some((_, last)) if line <= last.saturating_add(1) => *last = line,
            _ => runs.push((line, line)),
        }
    }
    let texts: Vec<String> = runs
        .iter()
        .take(shown)
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    let text = texts.join(", ");
    match runs.iter().skip(shown).map(|(a, b)| b - a + 1).sum::<u32>() {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// The text, cut where it would fill the screen, without control characters.
fn shortened(text: &str) -> String {
    let clean = |character: char| match character.is_control() {
        true => ' ',
        false => character,
    };
    let mut short: String = text.chars().take(SHOWN_CHARS).map(clean).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        short.push('…');
    }
    short
}

/// The first `shown` of `items`, joined, and how many more there are.
pub(super) fn some_of<T: AsRef<str>>(items: &[T], shown: usize) -> String {
    let text = items
        .iter()
        .take(shown)
        .map(AsRef::as_ref)
        .collect::<Vec<_>>()
        .join(", ");
    match items.len().saturating_sub(shown) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shown_as_ranges() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10], usize::MAX), "1-3, 7, 9-10");
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10], 1), "1-3 and 3 more");
        assert_eq!(ranges(&[u32::MAX, u32::MAX], 5), u32::MAX.to_string());
    }

    #[test]
    fn faults_beyond_the_first_hundred_are_counted() {
        let faults = Faults {
            list: "all.cfg".into(),
            faults: (1..=103).map(|line| Fault::at(line, "x", "odd")).collect(),
        };
        let text = faults.to_string();
        assert!(text.starts_with("103 faults in all.cfg\n  line 1: `x`: odd\n"));
        assert!(text.ends_with("line 100: `x`: odd\n  and 3 more"), "{text}");
    }

    #[test]
    fn long_text_is_cut_and_cleaned() {
        let fault = Fault::at(2, &format!("a\u{1b}{}", "x".repeat(500)), "odd");
        let text = fault.to_string();
        assert!(text.starts_with("line 2: `a xxx"), "{text}");
        assert!(text.ends_with("x…`: odd"), "{text}");
    }
}
