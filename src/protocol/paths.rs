//! The names of everything that is stored for a run.

use uuid::Uuid;

/// The names below `runs/<run id>/`, in whatever storage the run has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPaths {
    folder: String,
}

impl RunPaths {
    /// Which run of the job is the present one, whether it is open or not.
    pub const CURRENT: &str = "current.json";

    /// The names of a run.
    pub fn new(run_id: Uuid) -> Self {
        Self {
            folder: format!("runs/{run_id}/"),
        }
    }

    /// What all names of the run, and of no other, begin with.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// The [`JobSpec`](super::JobSpec).
    pub fn job(&self) -> String {
        self.name("job.json")
    }

    /// The plan: all targets, in order.
    pub fn plan(&self) -> String {
        self.name("plan.json")
    }

    /// The package.
    pub fn package(&self) -> String {
        self.name("package.sbm")
    }

    /// What workers are told while they work.
    pub fn control(&self) -> String {
        self.name("control.json")
    }

    /// What was made for the run and has to be removed.
    pub fn manifest(&self) -> String {
        self.name("manifest.json")
    }

    /// What the result lines of earlier openings of the run begin with: they are kept, and decide nothing.
    pub fn earlier(&self) -> String {
        self.name("earlier/")
    }

    /// The folder in which workers on this machine show that they live.
    pub fn workers(&self) -> String {
        self.name("workers/")
    }

    /// The file by which one worker on this machine shows that it lives.
    pub fn worker(&self, name: &str) -> String {
        self.name(&format!("workers/{}", part(name)))
    }

    /// What the result lines of all workers begin with.
    pub fn results(&self) -> String {
        self.name("results/")
    }

    /// What the result lines of one worker begin with; a number and `.jsonl` follow.
    pub fn results_of(&self, worker: &str) -> String {
        self.name(&format!("results/{}.", part(worker)))
    }

    /// What the events of all workers begin with.
    pub fn events(&self) -> String {
        self.name("events/")
    }

    /// What the events of one worker begin with; a number and `.jsonl` follow.
    pub fn events_of(&self, worker: &str) -> String {
        self.name(&format!("events/{}.", part(worker)))
    }

    /// What the logs begin with.
    pub fn logs(&self) -> String {
        self.name("logs/")
    }

    fn name(&self, rest: &str) -> String {
        format!("{}{rest}", self.folder)
    }
}

/// The name of a worker as a part of names: only letters, digits and `-`, and no more than storages take.
fn part(worker: &str) -> String {
    let plain = |char: char| {
        if char.is_ascii_alphanumeric() {
            char
        } else {
            '-'
        }
    };
    let name: String = worker.chars().map(plain).take(100).collect();
    if name.is_empty() {
        "worker".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_in_the_folder_of_the_run() {
        let paths = RunPaths::new(Uuid::from_u128(7));
        let folder = "runs/00000000-0000-0000-0000-000000000007/";
        assert_eq!(paths.folder(), folder);
        for (name, end) in [
            (paths.job(), "job.json"),
            (paths.plan(), "plan.json"),
            (paths.package(), "package.sbm"),
            (paths.control(), "control.json"),
            (paths.manifest(), "manifest.json"),
            (paths.earlier(), "earlier/"),
            (paths.workers(), "workers/"),
            (paths.worker("a/b"), "workers/a-b"),
            (paths.results(), "results/"),
            (paths.results_of("vm.1/../x"), "results/vm-1----x."),
            (paths.events(), "events/"),
            (paths.events_of(""), "events/worker."),
            (paths.logs(), "logs/"),
        ] {
            assert_eq!(name, format!("{folder}{end}"));
        }
    }
}
