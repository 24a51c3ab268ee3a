//! The command line program.

use std::{process::ExitCode, time::Duration};

use sbm::{cli::Invocation, telemetry};
use tokio::runtime::Runtime;

/// How long a thread that does not come back (a file system that hangs, say) may hold up the end of the program.
const LEFT_BEHIND: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let invocation = match Invocation::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(refusal) => {
            refusal.show();
            return refusal.exit_code().into();
        }
    };
    telemetry::init(invocation.log_level());
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::error!("cannot start: {error}");
            return ExitCode::from(3);
        }
    };
    let code = runtime.block_on(invocation.run());
    runtime.shutdown_timeout(LEFT_BEHIND);
    code.into()
}
