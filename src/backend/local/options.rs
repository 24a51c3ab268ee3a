//! What local workers are told, and how patient this machine is with them.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use secrecy::SecretString;
use uuid::Uuid;

use crate::{protocol::RunPaths, queue::LocalQueue, worker::presence::Shown};

/// The workers of a run on this machine.
#[derive(Debug)]
pub struct LocalOptions {
    /// The program that works.
    pub program: PathBuf,
    /// Its arguments. All users of the machine can see them.
    pub arguments: Vec<String>,
    /// The folder of all jobs.
    pub store: PathBuf,
    /// The name of the job.
    pub job: String,
    /// The run.
    pub run_id: Uuid,
    /// How often the run has been opened: a part of the workers' names, which no other opening has.
    pub opening: u32,
    /// What the job names as secrets. Workers get them on standard input.
    pub secrets: Vec<(String, SecretString)>,
    /// Whether the workers outlive this process. Others drain when it ends.
    pub detached: bool,
    /// The queue of the job, which is told when a worker has ended.
    pub queue: Arc<LocalQueue>,
    /// What happens when workers die.
    pub replacement: Replacement,
    /// How long a worker that is removed may take to end before it is killed.
    pub grace: Duration,
}

/// How workers that have died are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The pause before the first; each further one is twice as long.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
    /// A slot whose workers have ended so often gets no further one.
    pub ends: u32,
}

impl Default for Replacement {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(10),
            ends: 10,
        }
    }
}

impl Replacement {
    /// The pause after so many ends.
    pub(super) fn pause(&self, ends: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(ends.saturating_sub(1));
        self.first_pause
            .saturating_mul(doubled)
            .min(self.longest_pause)
    }
}

impl LocalOptions {
    /// How long a worker that is removed may take to end, unless somebody says otherwise. One that builds nothing ends at once; any
    /// other needs 3 s to see that the run is closed, 10 s to roll back, and 60 s for a COMMIT that it has sent.
    pub const GRACE: Duration = Duration::from_secs(75);

    pub(super) fn paths(&self) -> RunPaths {
        RunPaths::new(self.run_id)
    }

    /// The folder of the job.
    pub(super) fn container(&self) -> PathBuf {
        self.store.join(&self.job)
    }

    /// What the names of all workers of a slot begin with.
    pub(super) fn slot_name(&self, slot: usize) -> String {
        format!("w{slot}-o{}", self.opening)
    }

    /// The folder of the workers' logs.
    pub(super) fn logs(&self) -> PathBuf {
        self.container().join(self.paths().logs()).join("workers")
    }

    /// The log of a worker; none for what is no name of one.
    pub(super) fn log(&self, worker: &str) -> Option<PathBuf> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_name = !worker.is_empty() && worker.bytes().all(plain);
        is_name.then(|| self.logs().join(format!("{worker}.log")))
    }

    /// All workers of the run that have shown that they live or lived.
    pub(super) fn shown(&self) -> io::Result<Vec<Shown>> {
        Shown::all(&self.container(), &self.paths())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let replacement = Replacement::default();
        let pauses = [1, 2, 3, 7, 8, 40].map(|ends| replacement.pause(ends).as_millis());
        assert_eq!(pauses, [100, 200, 400, 6400, 10_000, 10_000]);
    }
}
