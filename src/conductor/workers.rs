//! The workers of a run: noted down before they are started, started again when they vanish.

use std::time::Duration;

use super::{Error, Site};
use crate::{
    backend::{WorkerState, WorkerStatus},
    clock::Moment,
    protocol::{MadeObject, Manifest},
    storage::Condition,
};

/// How often workers are asked for.
const LOOK: Duration = Duration::from_secs(1);

/// The pause between two deployments of workers that have vanished.
const PAUSE: Duration = Duration::from_secs(5);

/// How often workers that have vanished are started again.
const TRIES: u32 = 10;

/// Starts `workers` workers, after they are entered in the manifest.
pub async fn deploy(site: &Site, workers: usize) -> Result<(), Error> {
    note_made(site, site.backend.objects(workers)).await?;
    Ok(site.backend.deploy(workers).await?)
}

/// Enters objects in the manifest of the run.
async fn note_made(site: &Site, objects: Vec<MadeObject>) -> Result<(), Error> {
    let mut manifest = manifest(site).await?;
    if manifest.enter(objects) {
        let name = site.paths.manifest();
        let bytes = manifest.to_json();
        site.storage
            .put(&name, bytes.into(), Condition::Any)
            .await?;
    }
    Ok(())
}

pub(super) async fn manifest(site: &Site) -> Result<Manifest, Error> {
    let name = site.paths.manifest();
    let object = site.storage.get(&name).await?;
    let object = object.ok_or_else(|| crate::storage::Error::NoObject {
        place: site.storage.to_string(),
        name,
    })?;
    Ok(Manifest::read(&object.bytes)?)
}

/// Whether anybody has started workers for this opening; not when that cannot be read at the moment.
async fn is_deployed(site: &Site) -> bool {
    let queue = &site.queue_object;
    match manifest(site).await {
        Ok(manifest) => manifest.objects.iter().any(|object| object != queue),
        Err(error) => {
            log::warn!("it is not known whether there are workers: {error}");
            false
        }
    }
}

/// Keeps an eye on the workers.
#[derive(Debug)]
pub(super) struct Watch {
    wanted: usize,
    /// Whether anybody has started workers for this opening.
    deployed: bool,
    next: Moment,
    not_before: Moment,
    tries: u32,
    told: Vec<String>,
    /// Why workers could not be started the last time.
    reason: Option<String>,
}

/// What can be said of the workers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Workers {
    /// Some work, or none is expected to.
    Fine,
    /// There will be none any more, for this reason.
    None(String),
}

impl Watch {
    pub(super) async fn new(site: &Site, wanted: usize) -> Self {
        Self {
            wanted,
            deployed: is_deployed(site).await,
            next: Moment::now(),
            // Workers that were started just now have yet to show themselves.
            not_before: Moment::now() + PAUSE,
            tries: 0,
            told: Vec::new(),
            reason: None,
        }
    }

    /// Looks when it is time to; starts workers again that have vanished. What is worth telling is handed to `tell`.
    pub(super) async fn look(
        &mut self,
        site: &Site,
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Workers, Error> {
        if !self.next.has_passed() {
            return Ok(Workers::Fine);
        }
        self.next = Moment::now() + LOOK;
        if !self.deployed {
            // Another process may do it in the meantime.
            self.deployed = is_deployed(site).await;
            self.not_before = Moment::now() + PAUSE;
            return Ok(Workers::Fine);
        }
        let status = site.backend.status().await?;
        self.tell_failures(&status, tell);
        let alive = status.iter().filter(|worker| worker.state.is_alive());
        let alive = alive.count();
        let failed = failures(&status).count();
        if alive > 0 || self.wanted == 0 {
            return Ok(Workers::Fine);
        }
        if failed > 0 || self.tries == TRIES {
            return Ok(Workers::None(self.verdict(&status)));
        }
        self.start_again(site, tell).await
    }

    async fn start_again(
        &mut self,
        site: &Site,
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Workers, Error> {
        // Workers that somebody has started just now have yet to show themselves.
        if !self.not_before.has_passed() {
            return Ok(Workers::Fine);
        }
        if !site.can_deploy {
            let why =
                "all workers are gone, and none can be started without the secrets of the job";
            return Ok(Workers::None(why.to_owned()));
        }
        self.not_before = Moment::now() + PAUSE;
        self.tries += 1;
        tell("no worker runs any more; new ones are started");
        let deployed = deploy(site, self.wanted).await;
        self.reason = deployed.as_ref().err().map(ToString::to_string);
        deployed.map(|()| Workers::Fine)
    }

    /// Each failed worker is told of once.
    fn tell_failures(&mut self, status: &[WorkerStatus], tell: &mut (dyn FnMut(&str) + Send)) {
        for (name, reason) in failures(status) {
            if !self.told.iter().any(|known| known == name) {
                self.told.push(name.to_owned());
                tell(&format!("worker {name} is given up: {reason}"));
            }
        }
    }

    fn verdict(&self, status: &[WorkerStatus]) -> String {
        match (failures(status).next(), &self.reason) {
            (Some((name, reason)), _) => format!("no worker can work; {name}: {reason}"),
            (None, Some(reason)) => reason.clone(),
            (None, None) => format!(
                "workers were started {} times, and none stayed",
                self.tries + 1
            ),
        }
    }
}

fn failures(status: &[WorkerStatus]) -> impl Iterator<Item = (&str, &str)> {
    status.iter().filter_map(|worker| match &worker.state {
        WorkerState::Failed { reason } => Some((worker.name.as_str(), reason.as_str())),
        _ => None,
    })
}
