//! The command line program.

use std::process::ExitCode;

use sbm::{cli::Invocation, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let invocation = match Invocation::parse(std::env::args_os()) {
        Ok(invocation) => invocation,
        Err(refusal) => {
            refusal.show();
            return refusal.exit_code().into();
        }
    };
    telemetry::init(invocation.log_level());
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        log::debug!("a TLS provider was installed before");
    }
    invocation.run().await.into()
}
