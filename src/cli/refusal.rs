//! A command line that is not run: it asks for help, or the parser does not understand it.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};

use super::normalise::SECRETS;
use crate::ExitCode;

/// A command line that is not run.
#[derive(Debug)]
pub struct Refusal(clap::Error);

impl Refusal {
    pub(super) fn new(mut error: clap::Error, words: &[OsString]) -> Self {
        hide_parts_of_passwords(&mut error, words);
        Self(error)
    }

    /// Tells the user: help on standard output, errors on standard error.
    pub fn show(&self) {
        // Nobody is left to be told when the stream is closed.
        drop(self.0.print());
    }

    /// Success for help and version, bad input for everything else.
    pub fn exit_code(&self) -> ExitCode {
        match self.0.exit_code() {
            0 => ExitCode::Succeeded,
            _ => ExitCode::Refused,
        }
    }
}

/// A password with blanks and without quotes falls into words, of which the parser names the second as unexpected.
fn hide_parts_of_passwords(error: &mut clap::Error, words: &[OsString]) {
    let mut words = words.iter().filter_map(|word| word.to_str());
    let has_password = words.any(|word| SECRETS.iter().any(|option| word.starts_with(option)));
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else {
        return;
    };
    if !has_password || word.starts_with('-') {
        return;
    }
    let hidden =
        "(not shown: it could be a part of the password; a password with blanks needs quotes)";
    error.insert(
        ContextKind::InvalidArg,
        ContextValue::String(hidden.to_owned()),
    );
    for kind in [
        ContextKind::SuggestedArg,
        ContextKind::Suggested,
        ContextKind::TrailingArg,
    ] {
        error.remove(kind);
    }
}
