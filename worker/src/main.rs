//! The worker: builds the databases of one run.

use std::{
    io::{self, BufRead, IsTerminal},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use sbm::{telemetry, worker};
use tokio::runtime::Runtime;

/// Told when it is called in any other way.
const USAGE: &str = "usage: sbm-worker RUN_FOLDER   (a folder `runs/<run id>` of sbm; secrets come on standard input)";

/// How long a thread that does not come back may hold up the end of the program.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
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
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::error!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let served = runtime.block_on(worker::serve(&folder, &mut *secrets));
    runtime.shutdown_timeout(LEFT_BEHIND);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
