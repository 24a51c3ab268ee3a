//! Small pieces of text: times, counts, places, and foreign text made harmless.

use std::time::Duration;

use crate::protocol::ErrorReport;

/// Foreign text on one line of at most `most` characters.
///
/// A database's message must neither break the layout nor control the terminal or the CI service that reads along, so
/// white space is folded, control characters are left out, and what would be a command is broken up.
pub(super) fn one_line(text: &str, most: usize) -> String {
    let folded = text.split_whitespace().flat_map(|word| [" ", word]).skip(1);
    let safe = folded.flat_map(str::chars).filter(|char| !is_unsafe(*char));
    // One more than is shown, to know whether something is left out.
    let line = without_commands(safe.take(most.saturating_add(1)).collect());
    if line.chars().count() <= most {
        return line;
    }
    line.chars()
        .take(most.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// GitHub acts on lines that begin with `::` and on `##[` anywhere, Azure DevOps on `##vso[` and `##[` anywhere.
fn without_commands(line: String) -> String {
    let lower = line.to_ascii_lowercase();
    if lower.contains("##vso[") || lower.contains("##[") {
        return without_commands(line.replace('#', "# "));
    }
    if line.trim_start().starts_with("::") {
        return line.replacen("::", ": :", 1);
    }
    line
}

/// Control characters, and those that turn the direction of what follows.
fn is_unsafe(char: char) -> bool {
    char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `script:line:column: `, as far as it is known; empty for an error without a script.
pub(super) fn place(error: &ErrorReport) -> String {
    let Some(script) = &error.script else {
        return String::new();
    };
    let line = error
        .line
        .map(|line| format!(":{line}"))
        .unwrap_or_default();
    let column = error
        .column
        .filter(|_| error.line.is_some())
        .map(|column| format!(":{column}"))
        .unwrap_or_default();
    format!("{script}{line}{column}: ")
}

/// A duration as a person says it.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds == 0 {
        return format!("{} ms", time.subsec_millis());
    }
    if seconds < 60 {
        // Cut, not rounded: 59.96 s must not become 60.0 s.
        return format!("{seconds}.{} s", time.subsec_millis() / 100);
    }
    let minutes = seconds / 60;
    if minutes < 60 {
        return format!("{minutes} min {:02} s", seconds % 60);
    }
    format!("{} h {:02} min", minutes / 60, minutes % 60)
}

/// A duration in which tenths of a second would only flicker.
pub(super) fn whole_seconds(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < 60 => format!("{seconds} s"),
        _ => duration(time),
    }
}

/// `1 target`, `2 targets`.
pub(super) fn plural(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn foreign_text_is_folded_and_cut() {
        assert_eq!(one_line(" a\r\n\t b ", 10), "a b");
        assert_eq!(one_line("abcdef", 6), "abcdef");
        assert_eq!(one_line("abcdefg", 6), "abcde…");
        assert_eq!(one_line("\u{1b}[31mred\u{202e}", 20), "[31mred");
        assert_eq!(one_line("a", 0), "…");
    }

    #[test]
    fn commands_to_ci_services_are_broken_up() {
        let cases = [
            ("::error::x", ": :error::x"),
            ("\u{1b} ::stop", " : :stop"),
            ("a::b", "a::b"),
            ("x ##vso[task.complete]", "x # # vso[task.complete]"),
            ("x #\u{7}##VSO[a]", "x # # # VSO[a]"),
            ("::##[error]", ": :# # [error]"),
            ("no table ##temp", "no table ##temp"),
        ];
        for (text, expected) in cases {
            assert_eq!(one_line(text, 100), expected, "{text}");
        }
    }

    #[test]
    fn a_place_is_told_as_far_as_it_is_known() {
        let mut error = ErrorReport {
            line: Some(3),
            column: Some(9),
            ..ErrorReport::default()
        };
        assert_eq!(place(&error), "");
        error.script = Some("a.sql".into());
        assert_eq!(place(&error), "a.sql:3:9: ");
        error.line = None;
        assert_eq!(place(&error), "a.sql: ");
    }

    #[test]
    fn durations_are_told_in_fitting_units() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (59_960, "59.9 s"),
            (60_000, "1 min 00 s"),
            (3_599_999, "59 min 59 s"),
            (3_600_000, "1 h 00 min"),
            (360_000_000, "100 h 00 min"),
        ];
        for (milliseconds, expected) in cases {
            assert_eq!(duration(Duration::from_millis(milliseconds)), expected);
        }
        let whole = |seconds: u64| whole_seconds(Duration::from_millis(seconds * 1_000 + 999));
        assert_eq!((whole(0), whole(59)), ("0 s".into(), "59 s".into()));
        assert_eq!(whole(60), "1 min 00 s");
    }

    proptest! {
        #[test]
        fn a_line_is_a_line(text in prop_oneof![any::<String>(), "[ :#vsoVSO\\[\n\u{7}]{0,20}"], most in 1_usize..50) {
            let line = one_line(&text, most);
            let lower = line.to_ascii_lowercase();
            prop_assert!(!lower.trim_start().starts_with("::") && !lower.contains("##vso[") && !lower.contains("##["));
            prop_assert!(line.chars().count() <= most);
            prop_assert!(!line.chars().any(is_unsafe));
        }
    }
}
