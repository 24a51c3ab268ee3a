//! A worker process.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, ExitStatus},
};

use super::eventually;

/// A worker process. A test that failed leaves none behind.
pub(crate) struct Worker {
    pub(super) child: Child,
    pub(super) log: PathBuf,
}

impl Worker {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn says(&self, part: &str) {
        eventually(part, || self.said().contains(part));
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success(), "{name}");
    }

    /// Stops it, and returns when nothing in it runs any more.
    pub(crate) fn stop(&self) {
        self.signal("STOP");
        let tasks = format!("/proc/{}/task", self.child.id());
        let is_stopped = |task: fs::DirEntry| {
            // A thread that has ended meanwhile does not run either.
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(')')
                .next()
                .is_none_or(|rest| rest.trim_start().starts_with(['T', 'Z']) || rest.is_empty())
        };
        // Elsewhere than on Linux it is taken on trust.
        eventually("the worker has stopped", || match fs::read_dir(&tasks) {
            Ok(tasks) => tasks.filter_map(Result::ok).all(is_stopped),
            Err(_) => true,
        });
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> ExitStatus {
        eventually("the worker ends", || {
            self.child.try_wait().unwrap().is_some()
        });
        self.child.wait().unwrap()
    }

    /// Waits for its end, which is a good one; what it has said.
    pub(crate) fn end_well(self) -> String {
        let log = self.log.clone();
        let status = self.end();
        let said = fs::read_to_string(log).unwrap();
        assert!(status.success(), "{status}: {said}");
        said
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
