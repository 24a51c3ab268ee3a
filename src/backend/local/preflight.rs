//! What stands in the way of workers on this machine.

use std::path::Path;

use super::LocalOptions;

/// More processes of one run do not make sense on one machine; each builds many targets at once.
const MOST: usize = 64;

/// Everything that stands in the way, each with what mends it.
pub(super) fn faults(options: &LocalOptions, workers: usize) -> Vec<String> {
    let count = (!(1..=MOST).contains(&workers)).then(|| {
        format!("{workers} workers cannot be started on this machine; accepted are 1 to {MOST}")
    });
    let program = program(&options.program);
    let store = store(&options.store);
    [count, program, store].into_iter().flatten().collect()
}

fn program(path: &Path) -> Option<String> {
    let shown = path.display();
    match path.metadata() {
        Err(error) => Some(format!(
            "the program {shown} of the workers cannot be used: {error}; install it there"
        )),
        Ok(metadata) if !metadata.is_file() || !is_executable(path) => Some(format!(
            "{shown} is to be the program of the workers and cannot be run; make it an executable file"
        )),
        Ok(_) => None,
    }
}

/// The store, or the folder in which it is going to be made.
fn store(store: &Path) -> Option<String> {
    let absolute = std::path::absolute(store).unwrap_or_else(|_| store.to_owned());
    let there = absolute.ancestors().find(|path| path.exists());
    let is_usable = there.is_some_and(|path| path.is_dir() && is_writable(path));
    (!is_usable).then(|| {
        format!(
            "nothing can be written to the store {}; make it a folder in which this user may write",
            store.display()
        )
    })
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(unix)]
fn is_writable(path: &Path) -> bool {
    use rustix::fs::Access;

    rustix::fs::access(path, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

#[cfg(not(unix))]
fn is_executable(_: &Path) -> bool {
    true
}

#[cfg(not(unix))]
fn is_writable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| !metadata.permissions().readonly())
}
