//! Removing what was made for a run, and taking its targets back.

use super::{Error, Keeper, Site, Standing, conduct::cancelled, ending, opening::still_current};
use crate::protocol::{Control, Early, EndedBy, Phase, RunPaths};

/// Removes workers and queue; what is left, in words for a user. Everything is tried.
pub(super) async fn remove(site: &Site) -> Vec<String> {
    let mut left = Vec::new();
    if let Err(error) = site.backend.remove().await {
        left.push(error.to_string());
    }
    match site.backend.leftovers().await {
        Ok(leftovers) => left.extend(leftovers),
        Err(error) => left.push(error.to_string()),
    }
    if let Err(error) = site.queue.remove().await {
        left.push(error.to_string());
    }
    left
}

/// What was removed.
#[derive(Debug)]
pub struct CleanedUp {
    /// What could not be removed, in words for a user.
    pub left_over: Vec<String>,
    /// How many stored objects of the run were deleted; none where they are kept.
    pub deleted: Option<u64>,
}

/// Ends a run that nobody conducts and removes what was made for it. With `delete_logs` everything that is stored of it goes,
/// too. Can be repeated.
pub async fn clean_up(site: &Site, delete_logs: bool) -> Result<CleanedUp, Error> {
    let standing = site.standing().await?;
    let Some(keeper) = Keeper::take(&site.storage, &site.paths).await? else {
        return Err(standing.conducted());
    };
    let ended = end(site, &standing, &keeper, delete_logs).await;
    keeper.release().await;
    let (left_over, deletes) = ended?;
    let deleted = match deletes {
        true => Some(site.storage.delete_all(site.paths.folder()).await?),
        false => None,
    };
    Ok(CleanedUp { left_over, deleted })
}

/// What is done while nobody else may conduct; what could not be removed, and whether what is stored goes, too.
async fn end(
    site: &Site,
    standing: &Standing,
    keeper: &Keeper,
    delete_logs: bool,
) -> Result<(Vec<String>, bool), Error> {
    still_current(site, standing).await?;
    close(keeper, cancelled("`cleanup`")).await?;
    let left_over = remove(site).await;
    let deletes = delete_logs && left_over.is_empty();
    if deletes {
        // While the lease is held nobody opens another run of the job.
        site.storage.delete(RunPaths::CURRENT, None).await?;
    }
    Ok((left_over, deletes))
}

/// Closes a run; one that was not closed has ended for the reason `early`.
async fn close(keeper: &Keeper, early: Early) -> Result<(), Error> {
    let change = |control: &mut Control| {
        if control.phase < Phase::Closed {
            control.early.get_or_insert(early);
        }
        control.phase = Phase::Closed;
    };
    keeper.change(change).await
}

/// Closes a run that could not be begun; what could not be removed.
pub async fn give_up(site: &Site, keeper: &Keeper, why: &str) -> Vec<String> {
    let early = Early {
        by: EndedBy::Service,
        why: why.to_owned(),
    };
    if let Err(error) = close(keeper, early).await {
        log::warn!("{error}");
    }
    remove(site).await
}

/// Takes all targets that no worker has begun out of the queue, for good; how many these are. What runs may end. A run that
/// nobody conducts drains from then on.
pub async fn dequeue(site: &Site, standing: &Standing) -> Result<usize, Error> {
    if !standing.is_open() {
        return Err(standing.in_use(&site.job_name));
    }
    let keeper = Keeper::take(&site.storage, &site.paths).await?;
    let taken = take_out(site, standing, keeper.as_ref()).await;
    if let Some(keeper) = keeper {
        keeper.release().await;
    }
    taken
}

async fn take_out(
    site: &Site,
    standing: &Standing,
    keeper: Option<&Keeper>,
) -> Result<usize, Error> {
    still_current(site, standing).await?;
    if let Some(keeper) = keeper {
        keeper.change(drain).await?;
    }
    let platform = standing.job.platform;
    let pending = site.queue.close().await?;
    let count = pending.len();
    let targets = pending
        .into_iter()
        .map(|target| (target.key(platform), target));
    // The others are looked into by whoever conducts the run.
    ending::skip(site, &standing.job, targets.collect()).await?;
    Ok(count)
}

fn drain(control: &mut Control) {
    if control.phase < Phase::Closed {
        control.phase = Phase::Draining;
        control.early.get_or_insert(cancelled("`dequeue`"));
    }
}
