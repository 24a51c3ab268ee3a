//! The worker: builds databases of one run, together with others.

use std::{process::ExitCode, time::Duration};

use sbm::{telemetry, worker};
use tokio::runtime::Runtime;

/// How long a thread that does not come back may hold up the end of the program.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    telemetry::init(None);
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::error!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let worked = runtime.block_on(worker::process());
    runtime.shutdown_timeout(LEFT_BEHIND);
    match worked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
