//! Shows a run to its user: progress while it lasts, a report and files at its end.
//!
//! A [`Report`] is data made from the verdict; the text, JSON and file writers only render it. This is one of the few
//! places that write to standard output.

mod document;
mod exit_code;
mod files;
mod json;
mod junit;
mod lists;
mod logs;
mod next_steps;
mod plain;
mod progress_line;
mod shell;
mod terminal;
mod text;
mod text_format;
mod text_sections;

use std::{
    fmt,
    io::{self, IsTerminal},
    str::FromStr,
    time::Duration,
};

pub use document::{Listing, Report, Run, TargetReport};
pub use exit_code::{ExitCode, Situation, decide, holding, reference_code};
pub use files::{paths, temporary_in, write_all, write_whole};
pub use json::Json;
pub use junit::write_junit;
pub use lists::{List, write_list};
pub use logs::{Log, write_log};
pub use next_steps::{Command, next_steps};
pub use plain::Plain;
pub use progress_line::{progress_line, running_lines};
pub use shell::shell_word;
pub use terminal::Terminal;
pub use text::{Style, render};

use crate::monitor::Progress;

/// Shows one run, in the order: progress and messages, then the end, once.
pub trait Reporter: fmt::Debug + Send {
    /// Shows how the run stands. May be called often; the reporter decides what a user can follow.
    fn progress(&mut self, progress: &Progress);

    /// Shows a line that the user should not miss. It never goes to standard output.
    fn message(&mut self, line: &str);

    /// Ends the progress and writes the report to standard output.
    fn finish(&mut self, report: &Report) -> io::Result<()>;
}

/// `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// The text is no form of output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no output form; accepted are text and json, in any case")]
pub struct UnknownOutput(String);

impl FromStr for Output {
    type Err = UnknownOutput;

    fn from_str(text: &str) -> Result<Self, UnknownOutput> {
        match text.trim().to_ascii_lowercase().as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(UnknownOutput(text.to_owned())),
        }
    }
}

/// How often progress is shown where it cannot be drawn over.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// The reporter for this process: a bar where standard error is a terminal, else lines; or JSON.
pub fn reporter(output: Output) -> Box<dyn Reporter> {
    let style = Style::for_stdout();
    match output {
        Output::Json => Box::new(Json::new(io::stdout(), io::stderr())),
        Output::Text if io::stderr().is_terminal() => Box::new(Terminal::new(style)),
        Output::Text => Box::new(Plain::new(
            PLAIN_INTERVAL,
            io::stderr(),
            io::stdout(),
            style,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_forms_are_read_in_any_case() {
        assert_eq!(" JSON ".parse(), Ok(Output::Json));
        assert_eq!("Text".parse(), Ok(Output::Text));
        let error = "xml".parse::<Output>().unwrap_err().to_string();
        assert_eq!(
            error,
            "`xml` is no output form; accepted are text and json, in any case"
        );
    }
}
