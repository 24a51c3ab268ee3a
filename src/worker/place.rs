//! Where a worker finds its run.

use std::path::PathBuf;

use uuid::Uuid;

use crate::protocol::{RunPaths, environment};

/// The names of a job's place and of what it has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder of all jobs.
    pub store: PathBuf,
    /// The name of the job.
    pub job: String,
    /// The run.
    pub run_id: Uuid,
    /// The name of the worker; none for one that it makes up.
    pub worker: Option<String>,
    /// Whether the worker drains when its standard input ends, because who started it is gone then.
    pub attached: bool,
}

/// What is wrong with the variables.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct PlaceFaults(pub Vec<String>);

impl Place {
    /// Reads the variables of [`environment`]; all faults are found.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, PlaceFaults> {
        let mut faults = Vec::new();
        let mut needed = |name: &str, meaning: &str| {
            let value = variable(name).filter(|value| !value.is_empty());
            if value.is_none() {
                faults.push(format!("the variable {name} is needed: {meaning}"));
            }
            value.unwrap_or_default()
        };
        let store = needed(environment::STORE, "the folder of all jobs");
        let job = needed(environment::JOB, "the name of the job");
        let run = needed(environment::RUN, "the id of the run");
        let run_id = run.parse();
        if run_id.is_err() && !run.is_empty() {
            faults.push(format!(
                "{}: `{run}` is no run id; accepted is a UUID",
                environment::RUN
            ));
        }
        if !job.is_empty() && !is_name(&job) {
            faults.push(format!(
                "{}: `{job}` is no name of a job; accepted are letters, digits, `-` and `_`",
                environment::JOB
            ));
        }
        let attached = variable(environment::ATTACHED).unwrap_or_default();
        if !matches!(attached.as_str(), "" | "0" | "1") {
            faults.push(format!(
                "{}: `{attached}` is not accepted; accepted are 0 and 1",
                environment::ATTACHED
            ));
        }
        if !faults.is_empty() {
            return Err(PlaceFaults(faults));
        }
        Ok(Self {
            store: store.into(),
            job,
            run_id: run_id.unwrap_or_default(),
            worker: variable(environment::WORKER).filter(|name| !name.is_empty()),
            attached: attached == "1",
        })
    }

    /// The folder of the job.
    pub fn container(&self) -> PathBuf {
        self.store.join(&self.job)
    }

    /// The file of the job's queue.
    pub fn queue(&self) -> PathBuf {
        self.store
            .join("queues")
            .join(format!("{}.queue", self.job))
    }

    /// The names of the run's objects.
    pub fn paths(&self) -> RunPaths {
        RunPaths::new(self.run_id)
    }
}

/// A name that cannot lead out of its folder.
fn is_name(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

    fn read(values: &[(&str, &str)]) -> Result<Place, PlaceFaults> {
        Place::from_variables(|name| {
            let found = values.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_say_where_the_run_is() {
        let needed = [
            ("SBM_STORE", "s"),
            ("SBM_JOB", "nightly-1"),
            ("SBM_RUN", RUN),
        ];
        let place = read(&needed).unwrap();
        assert_eq!(place.container(), PathBuf::from("s/nightly-1"));
        assert_eq!(place.queue(), PathBuf::from("s/queues/nightly-1.queue"));
        assert_eq!((place.worker.as_deref(), place.attached), (None, false));
        let more = [("SBM_WORKER", "w7"), ("SBM_ATTACHED", "1")];
        let place = read(&[&needed[..], &more[..]].concat()).unwrap();
        assert_eq!(
            (place.worker.as_deref(), place.attached),
            (Some("w7"), true)
        );
    }

    #[test]
    fn all_faults_are_told_together() {
        let error = read(&[
            ("SBM_JOB", "../other"),
            ("SBM_RUN", "7"),
            ("SBM_ATTACHED", "yes"),
        ])
        .unwrap_err();
        assert_eq!(error.0.len(), 4, "{error}");
        for part in ["SBM_STORE", "`../other`", "`7`", "`yes`"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(read(&[]).unwrap_err().0.len(), 3);
    }
}
