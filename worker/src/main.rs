//! The worker: builds the databases of one run.

use std::{
    io::{self, BufRead, IsTerminal},
    path::PathBuf,
    process::ExitCode,
};

use sbm::{telemetry, worker};

/// Told when it is called in any other way.
const USAGE: &str = "usage: sbm-worker RUN_FOLDER   (a folder `runs/<run id>` of sbm; secrets come on standard input)";

#[tokio::main]
async fn main() -> ExitCode {
    telemetry::init(None);
    let mut words = std::env::args_os().skip(1);
    let (Some(folder), None) = (words.next().map(PathBuf::from), words.next()) else {
        log::error!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let stdin = io::stdin();
    // A terminal has no secrets to give, and nobody shall have to press a key.
    let mut secrets: Box<dyn BufRead> = if stdin.is_terminal() {
        Box::new(io::empty())
    } else {
        Box::new(stdin.lock())
    };
    match worker::serve(&folder, &mut *secrets).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
