//! The report as text, for people.

use std::{
    env, fmt,
    io::{self, IsTerminal},
};

use super::{ExitCode, Report, text_format::plural, text_sections};
use crate::{monitor::Totals, protocol::State};

/// Whether the text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Letters alone.
    Plain,
    /// With the colours and weights of a terminal.
    Coloured,
}

/// What a piece of text stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Paint {
    Heading,
    Good,
    Bad,
    Warning,
    Faint,
}

impl Style {
    /// Coloured when standard output is a terminal and nobody asked for none by `NO_COLOR`.
    pub fn for_stdout() -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if unwanted || !io::stdout().is_terminal() {
            return Self::Plain;
        }
        Self::Coloured
    }

    /// `text` in the colour of what it stands for.
    pub(super) fn paint(self, paint: Paint, text: impl fmt::Display) -> String {
        let code = match (self, paint) {
            (Self::Plain, _) => return text.to_string(),
            (Self::Coloured, Paint::Heading) => "1",
            (Self::Coloured, Paint::Good) => "1;32",
            (Self::Coloured, Paint::Bad) => "1;31",
            (Self::Coloured, Paint::Warning) => "1;33",
            (Self::Coloured, Paint::Faint) => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// The whole report: the verdict first, then what it rests on, then what to do next.
pub fn render(report: &Report, style: Style) -> String {
    let mut text = verdict(report, style);
    let sections = [
        text_sections::run(report),
        text_sections::servers(report),
        text_sections::clusters(report, style),
        text_sections::targets("Failed targets", &report.failed),
        text_sections::targets("Unresolved targets", &report.unresolved),
        text_sections::targets("Warnings", &report.warnings),
        text_sections::left_over(report),
        text_sections::files(report),
        text_sections::next_steps(report),
    ];
    for section in sections.into_iter().flatten() {
        text.push('\n');
        if let Some(heading) = section.heading {
            text.push_str(&style.paint(Paint::Heading, heading));
            text.push('\n');
        }
        for line in section.lines {
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

/// The verdict in one line, and a line for each reason.
fn verdict(report: &Report, style: Style) -> String {
    let (paint, headline) = headline(report);
    let totals = &report.totals;
    let trial = match report.trial {
        true if may_have_changed(totals) => "; a trial",
        true => "; a trial, nothing was changed",
        false => "",
    };
    let mut text = format!(
        "{}: {} of {} succeeded{}{trial}\n",
        style.paint(paint, headline),
        totals.succeeded(),
        plural(totals.targets, "target"),
        breakdown(totals),
    );
    let reasons = [
        ("refused", &report.refused),
        ("cancelled", &report.cancelled),
        ("service failed", &report.service_failed),
        ("halted", &report.halted),
    ];
    for (name, reason) in reasons {
        if let Some(reason) = reason {
            text.push_str(&format!(
                "  {name}: {}\n",
                super::text_format::one_line(reason, 500)
            ));
        }
    }
    text
}

/// Even a trial cannot promise what it has no transaction or no evidence for.
fn may_have_changed(totals: &Totals) -> bool {
    let undone = totals.trial_rolled_back + totals.rolled_back + totals.busy + totals.skipped;
    undone < totals.targets
}

fn headline(report: &Report) -> (Paint, &'static str) {
    let code = ExitCode::ALL
        .into_iter()
        .find(|code| code.code() == report.exit_code)
        .unwrap_or(ExitCode::ServiceFailed);
    match code {
        ExitCode::Refused => (Paint::Bad, "Refused"),
        ExitCode::Cancelled => (Paint::Warning, "Cancelled"),
        ExitCode::ServiceFailed => (Paint::Bad, "Service failed"),
        ExitCode::Unknown => (Paint::Bad, "Unknown"),
        ExitCode::Halted => (Paint::Bad, "Halted"),
        ExitCode::Failed => (Paint::Bad, "Failed"),
        ExitCode::LeftOver => (Paint::Warning, "Not cleaned up"),
        ExitCode::Succeeded => (Paint::Good, "Succeeded"),
    }
}

/// ` (3 committed, 1 rolled back)`: every state that occurs.
fn breakdown(totals: &Totals) -> String {
    let parts: Vec<String> = State::ALL
        .into_iter()
        .filter(|state| totals.of(*state) > 0)
        .map(|state| format!("{} {}", totals.of(state), words(state)))
        .collect();
    if parts.is_empty() {
        return String::new();
    }
    format!(" ({})", parts.join(", "))
}

fn words(state: State) -> &'static str {
    match state {
        State::Committed => "committed",
        State::AlreadyCommitted => "already committed",
        State::TrialRolledBack => "rolled back after success",
        State::RolledBack => "rolled back",
        State::Failed => "failed, perhaps in part applied",
        State::PartlyCommitted => "partly committed",
        State::Interrupted => "interrupted",
        State::Busy => "busy",
        State::Crashed => "crashed",
        State::Skipped => "not run",
        State::Unknown => "unknown",
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
