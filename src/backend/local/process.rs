//! Signals to processes.

use std::io;

use tokio::process::Child;

/// Tells a child that has not been waited for to end.
pub(super) fn terminate_child(child: &mut Child, id: u32) {
    if let Err(error) = terminate(id) {
        log::debug!("process {id} gets no signal: {error}");
        child.start_kill().ok();
    }
}

/// Tells a process to end.
#[cfg(unix)]
pub(super) fn terminate(id: u32) -> io::Result<()> {
    signal(id, rustix::process::Signal::TERM)
}

/// Ends a process.
#[cfg(unix)]
pub(super) fn kill(id: u32) -> io::Result<()> {
    signal(id, rustix::process::Signal::KILL)
}

#[cfg(unix)]
fn signal(id: u32, signal: rustix::process::Signal) -> io::Result<()> {
    let process = pid(id).ok_or(io::ErrorKind::InvalidInput)?;
    match rustix::process::kill_process(process, signal) {
        // It has ended.
        Err(rustix::io::Errno::SRCH) => Ok(()),
        sent => Ok(sent?),
    }
}

/// Only numbers of one process: others mean groups, or all.
#[cfg(unix)]
fn pid(id: u32) -> Option<rustix::process::Pid> {
    let id = i32::try_from(id).ok().filter(|id| *id > 0)?;
    rustix::process::Pid::from_raw(id)
}

#[cfg(not(unix))]
pub(super) fn terminate(_: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(unix))]
pub(super) fn kill(_: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether no process has this number, or only one that nobody has waited for yet.
pub(super) fn has_ended(id: u32) -> bool {
    if cfg!(target_os = "linux") {
        let Ok(text) = std::fs::read_to_string(format!("/proc/{id}/stat")) else {
            return true;
        };
        // The name of the program is in parentheses and may hold anything.
        let state = text.rsplit_once(')').map(|(_, rest)| rest.trim_start());
        return state.is_some_and(|state| state.starts_with(['Z', 'X', 'x']));
    }
    #[cfg(unix)]
    {
        pid(id).is_none_or(|pid| rustix::process::test_kill_process(pid).is_err())
    }
    #[cfg(not(unix))]
    {
        true
    }
}
