//! The Azure services that `sbm` uses, on one machine.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a program of its own, whose output belongs to main"
)]

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use sbm_sandbox::document::Document;
use sbm_sandbox::everything::{Options, Sandbox};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or("warn,sbm_sandbox=info"),
    )
    .init();
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<()> {
    // The clients of the sandbox itself need one when several are compiled in.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        log::debug!("there is a provider of cryptography already");
    }
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let started = tokio::select! {
        started = Sandbox::start(options) => started,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    let mut sandbox = started?;
    explain(&sandbox.document);
    let ended = tokio::select! {
        error = sandbox.failed() => Err(error),
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    sandbox.stop().await;
    ended
}

/// What somebody needs to use it. Everything in it is made up and ends with the sandbox, the keys as well.
fn explain(document: &Document) {
    println!("The sandbox is ready; Ctrl-C ends it.\n");
    println!("export SSL_CERT_FILE='{}'", document.certificate.display());
    println!("export AZURE_AUTHORITY_HOST='{}/'", document.entra);
    println!("export AZURE_TENANT_ID='{}'", document.tenant);
    println!("export AZURE_CLIENT_ID='{}'", document.client);
    println!("export AZURE_CLIENT_SECRET='{}'", document.client_secret);
    println!();
    println!("Service Bus  {}", document.service_bus.connection);
    println!("Event Hubs   {}", document.event_hubs.connection);
    println!("Key Vault    {}", document.key_vault);
    match &document.blob {
        Some(blob) => println!("Blob         {} key {}", blob.endpoint, blob.key),
        None => println!("Blob         none: started with --without-blob"),
    }
    println!("Faults       {}", document.faults);
}
