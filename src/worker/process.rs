//! A worker as a program: what it is told comes by variables and standard input.

use std::io::{self, BufRead, BufReader, IsTerminal};

use super::{Place, PlaceFaults, ServeError, serve};

/// Why a worker process ends with 1.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The variables do not say what it needs.
    #[error(transparent)]
    Place(#[from] PlaceFaults),
    /// It could not do its work.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Works for the run that the variables of this process name, until it is closed.
pub async fn process() -> Result<(), Failed> {
    let place = Place::from_variables(|name| std::env::var(name).ok())?;
    let stdin = io::stdin();
    // A terminal has no secrets to give, and nobody shall have to press a key.
    let secrets: Box<dyn BufRead + Send> = if stdin.is_terminal() {
        Box::new(io::empty())
    } else {
        Box::new(BufReader::new(stdin))
    };
    Ok(serve(place, secrets).await?)
}
