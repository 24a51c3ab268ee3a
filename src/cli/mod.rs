//! The command line, with the command and option names of the reference program.
//!
//! One file per command group. Each turns its arguments into settings, calls the part of the library that does the
//! work, and prints what that answers. Nothing here ever asks the user anything.

mod add;
mod build;
mod create;
mod demo;
mod gethash;
mod ledger;
mod list;
mod local;
mod normalise;
mod package;
mod print;
mod refusal;
mod rerun;
mod savesettings;
mod settings;
mod threaded;
mod tree;
mod unpack;
mod vault;

use std::ffi::OsString;

use log::LevelFilter;

pub use normalise::normalise;
pub use print::{print, show_error};
pub use refusal::Refusal;

use crate::{Error, ExitCode};
use tree::Command;

/// A command line that is understood.
#[derive(Debug)]
pub struct Invocation {
    log_level: Option<LevelFilter>,
    command: Command,
}

impl Invocation {
    /// Understands the words of a command line, the program's name first. A request for help is a [`Refusal`], too.
    pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, Refusal> {
        let words = normalise(words);
        let cli = tree::parse(&words).map_err(|error| Refusal::new(error, &words))?;
        Ok(Self {
            log_level: cli.loglevel,
            command: cli.command,
        })
    }

    /// The log level that the user asked for.
    pub fn log_level(&self) -> Option<LevelFilter> {
        self.log_level
    }

    /// Does what was asked. An error is told on standard error, once.
    pub async fn run(self) -> ExitCode {
        match self.dispatch().await {
            Ok(code) => code,
            Err(error) => {
                show_error(&error);
                error.exit_code()
            }
        }
    }

    async fn dispatch(self) -> Result<ExitCode, Error> {
        match self.command {
            Command::Build(typed) => build::run(&typed).await,
            Command::Threaded { command } => threaded::run(command).await,
            Command::Local { command } => local::run(command).await,
            Command::Create { command } => create::run(command),
            Command::Add(typed) => add::run(&typed),
            Command::Package(typed) => package::run(&typed),
            Command::List(typed) => list::run(&typed),
            Command::Gethash(typed) => gethash::run(&typed),
            Command::Unpack(typed) => unpack::run(&typed),
            Command::Ledger { command } => ledger::run(command),
            Command::Demo(typed) => demo::run(&typed).await,
            Command::Settings { command } => settings::run(command),
            Command::Containerapp { command } => savesettings::run(command).await,
            Command::K8s { command } => savesettings::run(command).await,
            Command::Aci { command } => savesettings::run(command).await,
            Command::Batch { command } => savesettings::run(command).await,
        }
    }
}
