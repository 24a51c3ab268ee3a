//! Opening a run: everything that its workers need is stored before anybody is told of it.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use futures::TryStreamExt;
use tokio::time::sleep;

use super::{Error, Keeper, Site, Standing, standing};
use crate::{
    clock::Moment,
    plan::Plan,
    protocol::{Control, JobSpec, Manifest, Phase, RunPaths, Wave},
    storage::{Condition, MAX_PIECE, Storage},
};

/// How much longer than a lease lasts the lease of a conductor that was killed is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is opened.
#[derive(Debug)]
pub struct Opening<'a> {
    /// The run as workers see it. Its run id is that of the run to go on with, or a new one.
    pub job: &'a JobSpec,
    /// All targets.
    pub plan: &'a Plan,
    /// The file of the package.
    pub package: &'a Path,
}

/// Opens a new run, or again the run of `before` when `job` has its id. A run that is closed makes room for a new one; nothing
/// is taken from one that is not. This process conducts the run from here on.
pub async fn open(
    site: &Site,
    opening: Opening<'_>,
    before: Option<&Standing>,
) -> Result<Keeper, Error> {
    match before {
        Some(before) if before.job.run_id == opening.job.run_id => {
            again(site, &opening, before).await
        }
        Some(before) if before.is_open() => Err(before.in_use(&site.job_name)),
        Some(before) => {
            // Its conductor may still remove the queue, which is the job's.
            let paths = RunPaths::new(before.job.run_id);
            let old = wait_for_lease(site, &paths, before).await?;
            let opened = anew(site, &opening, Some(before)).await;
            old.release().await;
            opened
        }
        None => anew(site, &opening, None).await,
    }
}

/// The run does not exist for anybody before its name is written at last.
async fn anew(
    site: &Site,
    opening: &Opening<'_>,
    before: Option<&Standing>,
) -> Result<Keeper, Error> {
    site.storage.create().await?;
    store(site, opening).await?;
    let mut control = Control::new(opening.job.run_id);
    control.waves = waves(opening.plan);
    put(site, &site.paths.control(), control.to_json()).await?;
    let keeper = Keeper::take(&site.storage, &site.paths).await?;
    let keeper = keeper.ok_or_else(|| outrun(site))?;
    keeper.change(|_| {}).await?;
    let condition = match before {
        Some(before) => Condition::Unchanged(before.current.clone()),
        None => Condition::Absent,
    };
    let current = standing::current(opening.job.run_id);
    let named = site
        .storage
        .put(RunPaths::CURRENT, current.into(), condition)
        .await;
    match named {
        // The queue is the job's, not the run's: it is touched only by whoever has won the name.
        Ok(_) => {
            site.queue.remove().await?;
            site.queue.create().await?;
            Ok(keeper)
        }
        Err(crate::storage::Error::Changed { .. }) => {
            keeper.release().await;
            site.storage.delete_all(site.paths.folder()).await?;
            Err(outrun(site))
        }
        Err(error) => Err(error.into()),
    }
}

fn outrun(site: &Site) -> Error {
    Error::Outrun {
        job: site.job_name.clone(),
    }
}

/// Goes on with a run. Nothing of the opening before decides anything any more but the ledgers: its workers end, its messages
/// are removed, its lines are put aside. Whatever happens meanwhile, the same can be done again.
async fn again(site: &Site, opening: &Opening<'_>, before: &Standing) -> Result<Keeper, Error> {
    let keeper = take(site, before).await?;
    keeper
        .change(|control| control.phase = control.phase.max(Phase::Draining))
        .await?;
    site.backend.remove().await?;
    site.queue.remove().await?;
    let number = keeper.control().await.opening;
    put_aside(site, number).await?;
    store(site, opening).await?;
    site.queue.create().await?;
    keeper
        .change(|control| {
            *control = Control {
                conductor: control.conductor.clone(),
                opening: control.opening.saturating_add(1),
                resumed: true,
                waves: waves(opening.plan),
                sequence: control.sequence,
                ..Control::new(control.run_id)
            };
        })
        .await?;
    Ok(keeper)
}

/// Makes this process the conductor. The lease of a conductor that was killed lapses, and is waited for; that of one that lives
/// does not.
pub async fn take(site: &Site, before: &Standing) -> Result<Keeper, Error> {
    let keeper = wait_for_lease(site, &site.paths, before).await?;
    match still_current(site, before).await {
        Ok(()) => Ok(keeper),
        Err(error) => {
            keeper.release().await;
            Err(error)
        }
    }
}

/// Makes this process the conductor of the opening that `before` tells of, if nobody conducts it.
pub async fn take_if_free(site: &Site, before: &Standing) -> Result<Option<Keeper>, Error> {
    let Some(keeper) = Keeper::take(&site.storage, &site.paths).await? else {
        return Ok(None);
    };
    // Between the reading and the taking it may have been opened again, or another run may have taken its place.
    let same = match still_current(site, before).await {
        Ok(()) => Ok(keeper.control().await.opening == before.control.opening),
        Err(Error::Outrun { .. }) => Ok(false),
        Err(error) => Err(error),
    };
    if let Ok(true) = same {
        return Ok(Some(keeper));
    }
    keeper.release().await;
    same.map(|_| None)
}

/// Refuses to go on when the job has another run by now.
pub(super) async fn still_current(site: &Site, before: &Standing) -> Result<(), Error> {
    let now = site.standing().await?;
    if now.job.run_id == before.job.run_id {
        Ok(())
    } else {
        Err(outrun(site))
    }
}

async fn wait_for_lease(site: &Site, paths: &RunPaths, before: &Standing) -> Result<Keeper, Error> {
    let until = Moment::now() + Control::LEASE + PATIENCE;
    let mut told = false;
    loop {
        match Keeper::take(&site.storage, paths).await {
            Ok(Some(keeper)) => return Ok(keeper),
            Ok(None) => {}
            // `cleanup` has deleted the run meanwhile.
            Err(Error::Storage(crate::storage::Error::NoObject { .. })) => {
                return Err(outrun(site));
            }
            Err(error) => return Err(error),
        }
        if until.has_passed() {
            return Err(before.conducted());
        }
        if !std::mem::replace(&mut told, true) {
            log::warn!(
                "{} conducts the run or was killed lately; for at most {} s its end is waited for",
                before.control.conductor,
                until.remaining().as_secs()
            );
        }
        sleep(Duration::from_secs(1)).await;
    }
}

async fn store(site: &Site, opening: &Opening<'_>) -> Result<(), Error> {
    let package = site.paths.package();
    site.storage
        .put_file(&package, opening.package, Condition::Any)
        .await?;
    put(site, &site.paths.plan(), opening.plan.to_json()).await?;
    put(site, &site.paths.job(), opening.job.to_json()).await?;
    let mut manifest = Manifest::new(opening.job.run_id);
    manifest.enter([site.queue_object.clone()]);
    put(site, &site.paths.manifest(), manifest.to_json()).await
}

async fn put(site: &Site, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
    site.storage.put(name, bytes.into(), Condition::Any).await?;
    Ok(())
}

/// One for each wave of the plan; a plan without waves is one.
fn waves(plan: &Plan) -> Vec<Wave> {
    let sizes = if plan.waves.is_empty() {
        vec![plan.targets.len()]
    } else {
        plan.waves.clone()
    };
    let wave = |targets| Wave {
        targets,
        ..Wave::default()
    };
    sizes.into_iter().map(wave).collect()
}

/// Moves the lines of all openings before out of the sight of workers and conductor.
async fn put_aside(site: &Site, opening: u32) -> Result<(), Error> {
    let prefix = site.paths.results();
    let listed: Vec<_> = site.storage.list(&prefix).try_collect().await?;
    for object in listed {
        let name = object.name.trim_start_matches(&prefix);
        let to = format!("{}{opening}-{name}", site.paths.earlier());
        copy(&*site.storage, &object.name, &to).await?;
        site.storage.delete(&object.name, None).await?;
    }
    Ok(())
}

async fn copy(storage: &dyn Storage, from: &str, to: &str) -> Result<(), Error> {
    storage.begin(to).await?;
    let mut offset = 0;
    loop {
        let read = storage.get_range(from, offset, MAX_PIECE).await?;
        let piece = read.unwrap_or_else(Bytes::new);
        if piece.is_empty() {
            return Ok(());
        }
        offset += piece.len() as u64;
        storage.append(to, piece).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::LocalFolder;

    #[tokio::test]
    async fn an_object_is_copied_whole_whatever_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let storage = LocalFolder::new(&folder.path().join("job"));
        storage.create().await.unwrap();
        let piece = Bytes::from(vec![b'x'; MAX_PIECE]);
        for _ in 0..2 {
            storage.append("from", piece.clone()).await.unwrap();
        }
        storage
            .append("from", Bytes::from_static(b"end"))
            .await
            .unwrap();
        copy(&storage, "from", "to").await.unwrap();
        let [from, to] = ["from", "to"].map(|name| storage.get(name));
        let (from, to) = (from.await.unwrap().unwrap(), to.await.unwrap().unwrap());
        assert_eq!(from.bytes.len(), 2 * MAX_PIECE + 3);
        assert!(from.bytes == to.bytes);
    }
}
