//! Starts one worker.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    path::Path,
    process::Stdio,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use serde::ser::SerializeMap;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, ChildStdin, Command},
    time::timeout,
};

use super::{LocalOptions, environment::kept_back, others, slot::KILLED};
use crate::protocol::environment as names;

/// How long a worker may take to read secrets that are longer than what a pipe holds.
const TAKES: Duration = Duration::from_secs(10);

/// No slot has so many workers.
const GENERATIONS: u32 = 100_000;

/// A worker that was started.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) name: String,
    /// As long as it runs, and until it was waited for, the number belongs to it.
    pub(super) id: u32,
    pub(super) child: Child,
    /// The standard input of an attached worker, whose end it takes for the end of this process.
    pub(super) _stdin: Option<ChildStdin>,
}

/// Starts a worker in a slot, under a name that no worker of the run has had, and gives it its secrets.
///
/// Then this process may end without harm to one that is detached.
pub(super) async fn start(options: &LocalOptions, slot: usize) -> io::Result<Started> {
    let (name, log) = name(options, slot)?;
    let spawned = command(options, &name, log).spawn();
    let mut child = spawned.map_err(|error| not_started(options, &name, error))?;
    // Nobody has waited for it yet, so it has its number.
    let id = child.id().unwrap_or_default();
    log::info!("worker {name} is process {id}");
    let given = match child.stdin.take() {
        Some(stdin) => give_secrets(options, stdin).await,
        None => Ok(None),
    };
    let stdin = match given {
        Ok(stdin) => stdin,
        Err(error) => {
            end(&mut child).await;
            others::release(options, &name, id).await;
            return Err(error);
        }
    };
    Ok(Started {
        name,
        id,
        child,
        _stdin: stdin,
    })
}

/// Nobody looks after a child that could not be given its secrets.
async fn end(child: &mut Child) {
    child.start_kill().ok();
    if timeout(KILLED, child.wait()).await.is_err() {
        log::error!("process {:?} cannot be killed", child.id());
    }
}

/// Nothing was logged, and the name is free again.
fn not_started(options: &LocalOptions, name: &str, error: io::Error) -> io::Error {
    if let Some(log) = options.log(name) {
        fs::remove_file(log).ok();
    }
    let program = options.program.display();
    io::Error::new(error.kind(), format!("cannot run {program}: {error}"))
}

/// The first free name of a slot, with its log: whoever makes the log has the name.
fn name(options: &LocalOptions, slot: usize) -> io::Result<(String, File)> {
    let logs = options.logs();
    make_logs(options, &logs)?;
    for generation in 0..GENERATIONS {
        let name = format!("{}-{generation}", options.slot_name(slot));
        let log = File::options()
            .append(true)
            .create_new(true)
            .open(logs.join(format!("{name}.log")));
        match log {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(no_log(&logs, &error)),
            Ok(log) => return Ok((name, log)),
        }
    }
    Err(io::Error::other("the slot has had too many workers"))
}

/// Makes the folder of logs, but not that of a run that is gone.
fn make_logs(options: &LocalOptions, logs: &Path) -> io::Result<()> {
    let run = options.container().join(options.paths().folder());
    if !run.is_dir() {
        let text = format!("{} is no folder of a run", run.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    fs::create_dir_all(logs).map_err(|error| no_log(logs, &error))
}

fn no_log(folder: &Path, error: &io::Error) -> io::Error {
    let text = format!(
        "cannot write the logs of workers in {}: {error}",
        folder.display()
    );
    io::Error::new(error.kind(), text)
}

fn command(options: &LocalOptions, name: &str, log: File) -> Command {
    let mut command = Command::new(&options.program);
    command.args(&options.arguments);
    for kept in kept_back(std::env::vars_os(), &options.secrets) {
        command.env_remove(kept);
    }
    let attached = if options.detached { "0" } else { "1" };
    command
        .env(names::STORE, absolute(&options.store))
        .env(names::JOB, &options.job)
        .env(names::RUN, options.run_id.to_string())
        .env(names::WORKER, name)
        .env(names::ATTACHED, attached)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log);
    // Ctrl-C in the terminal reaches this process only, which then drains its workers.
    #[cfg(unix)]
    command.process_group(0);
    command
}

fn absolute(path: &Path) -> OsString {
    std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .into()
}

/// Gives a worker its secrets. A pipe takes them at once, unless they are longer than any that are known.
async fn give_secrets(
    options: &LocalOptions,
    mut stdin: ChildStdin,
) -> io::Result<Option<ChildStdin>> {
    let line = SecretString::from(line(&options.secrets));
    match timeout(TAKES, stdin.write_all(line.expose_secret().as_bytes())).await {
        Ok(Ok(())) => {}
        // One that has ended reads nothing, and whoever waits for it tells that.
        Ok(Err(error)) => log::debug!("a worker did not take its secrets: {error}"),
        // It has not got all of them.
        Err(_) => return Err(io::Error::other("the worker does not take its secrets")),
    }
    Ok((!options.detached).then_some(stdin))
}

/// The line in which a worker gets its secrets.
fn line(secrets: &[(String, SecretString)]) -> String {
    let mut line = Vec::new();
    let mut writer = serde_json::Serializer::new(&mut line);
    let written =
        serde::Serializer::serialize_map(&mut writer, Some(secrets.len())).and_then(|mut map| {
            for (name, secret) in secrets {
                map.serialize_entry(name, secret.expose_secret())?;
            }
            map.end()
        });
    // Texts cannot fail to become JSON, which is UTF-8.
    let mut line = match (written, String::from_utf8(line)) {
        (Ok(()), Ok(line)) => line,
        _ => String::new(),
    };
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_one_line_of_json() {
        let secrets = [("password".to_owned(), "a\"\nb".into())];
        assert_eq!(line(&secrets), "{\"password\":\"a\\\"\\nb\"}\n");
        assert_eq!(line(&[]), "{}\n");
    }
}
