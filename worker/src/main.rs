//! The worker: builds databases of one run, together with others.

use std::{
    io::{self, BufRead, BufReader, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use sbm::{
    telemetry,
    worker::{self, Place},
};
use tokio::runtime::Runtime;

/// How long a thread that does not come back may hold up the end of the program.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    telemetry::init(None);
    let place = match Place::from_variables(|name| std::env::var(name).ok()) {
        Ok(place) => place,
        Err(faults) => {
            log::error!("{faults}");
            return ExitCode::FAILURE;
        }
    };
    let stdin = io::stdin();
    // A terminal has no secrets to give, and nobody shall have to press a key.
    let secrets: Box<dyn BufRead + Send> = if stdin.is_terminal() {
        Box::new(io::empty())
    } else {
        Box::new(BufReader::new(stdin))
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::error!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let served = runtime.block_on(worker::serve(place, secrets));
    runtime.shutdown_timeout(LEFT_BEHIND);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
