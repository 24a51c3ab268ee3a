//! The report as one JSON document, for programs.

use std::{
    fmt,
    io::{self, Write},
};

use super::{Report, Reporter};
use crate::monitor::Progress;

/// Shows no progress; its standard output is exactly one document, so that it can be piped.
#[derive(Debug)]
pub struct Json<R, M> {
    report: R,
    messages: M,
}

impl<R: Write, M: Write> Json<R, M> {
    /// The document goes to `report`, lines for the user go to `messages`.
    pub fn new(report: R, messages: M) -> Self {
        Self { report, messages }
    }
}

impl<R, M> Reporter for Json<R, M>
where
    R: Write + fmt::Debug + Send,
    M: Write + fmt::Debug + Send,
{
    fn progress(&mut self, _: &Progress) {}

    fn message(&mut self, line: &str) {
        if let Err(error) = writeln!(self.messages, "{line}") {
            log::debug!("cannot write a message: {error}");
        }
    }

    fn finish(&mut self, report: &Report) -> io::Result<()> {
        write_json(&mut self.report, report)?;
        self.report.flush()
    }
}

/// Writes the document and a line end; also the content of `result.json`.
pub(super) fn write_json(to: &mut dyn Write, report: &Report) -> io::Result<()> {
    // The pretty writer makes many tiny writes.
    let mut to = io::BufWriter::new(to);
    serde_json::to_writer_pretty(&mut to, report)?;
    writeln!(to)?;
    to.flush()
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
