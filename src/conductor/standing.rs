//! How a job stands, as its storage tells.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Error, Site};
use crate::{
    plan::Plan,
    protocol::{Control, DocumentError, JobSpec, Phase, RunPaths, Target, TargetKey},
    storage::{Storage, Version},
};

/// Which run of a job is the present one. Stored as `current.json`, written by whoever opens a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Current {
    version: u32,
    run_id: Uuid,
}

/// How a job stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its present run.
    pub job: JobSpec,
    /// What the workers of that run are told.
    pub control: Control,
    /// How long ago its conductor has shown that it lives.
    pub heartbeat: Duration,
    /// The version of the document that names the run.
    pub(super) current: Version,
}

impl Standing {
    /// Reads how the job of `storage` stands; `None` when it has no run.
    pub async fn read(storage: &dyn Storage) -> Result<Option<Self>, Error> {
        if !storage.exists().await? {
            return Ok(None);
        }
        let Some(object) = storage.get(RunPaths::CURRENT).await? else {
            return Ok(None);
        };
        let current: Current =
            serde_json::from_slice(&object.bytes).map_err(|error| DocumentError::Form {
                what: "the name of the present run",
                why: error.to_string(),
            })?;
        let paths = RunPaths::new(current.run_id);
        let (Some(job), Some(control)) = (
            storage.get(&paths.job()).await?,
            storage.get(&paths.control()).await?,
        ) else {
            return Ok(None);
        };
        Ok(Some(Self {
            job: JobSpec::read(&job.bytes)?,
            control: Control::read(&control.bytes)?,
            heartbeat: control.age,
            current: object.version,
        }))
    }

    /// The same of a job that must have a run.
    pub async fn of(storage: &dyn Storage, job: &str) -> Result<Self, Error> {
        let found = Self::read(storage).await?;
        found.ok_or_else(|| Error::NoRun {
            job: job.to_owned(),
            place: storage.to_string(),
        })
    }

    /// The targets of the present run, in order.
    pub async fn targets(&self, storage: &dyn Storage) -> Result<Vec<(TargetKey, Target)>, Error> {
        Ok(self.plan(storage).await?.into_targets())
    }

    /// The plan of the present run.
    pub async fn plan(&self, storage: &dyn Storage) -> Result<Plan, Error> {
        let name = RunPaths::new(self.job.run_id).plan();
        let object = storage.get(&name).await?;
        let object = object.ok_or_else(|| crate::storage::Error::NoObject {
            place: storage.to_string(),
            name,
        })?;
        Ok(Plan::from_json(&object.bytes)?)
    }

    /// Whether a new run must not take its place.
    pub fn is_open(&self) -> bool {
        self.control.phase < Phase::Closed
    }

    /// The name is taken.
    pub fn in_use(&self, job: &str) -> Error {
        Error::InUse {
            job: job.to_owned(),
            run_id: self.job.run_id,
            phase: self.control.phase,
            conductor: self.control.conductor.clone(),
            heartbeat: self.heartbeat,
        }
    }

    /// Somebody else holds the lease.
    pub(super) fn conducted(&self) -> Error {
        Error::Conducted {
            run_id: self.job.run_id,
            conductor: self.control.conductor.clone(),
            heartbeat: self.heartbeat,
        }
    }
}

/// The document that makes `run_id` the present run of a site's job.
pub(super) fn current(run_id: Uuid) -> Vec<u8> {
    let current = Current { version: 1, run_id };
    // A number and a text cannot fail to become JSON.
    serde_json::to_vec(&current).unwrap_or_default()
}

impl Site {
    /// How the job of this site stands; it must have a run.
    pub async fn standing(&self) -> Result<Standing, Error> {
        Standing::of(&*self.storage, &self.job_name).await
    }
}
