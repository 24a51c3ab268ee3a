//! Watching a run that another process conducts, and taking it over when that one is gone.

use std::time::Duration;

use tokio::time::sleep;
use uuid::Uuid;

use super::{Ended, Error, Keeper, Site, Standing, conduct::Conductor, evidence::Evidence};
use crate::{
    clock::Moment,
    protocol::{Early, JobSpec, Phase, Target, TargetKey},
    report::Reporter,
    worker::Signals,
};

/// How often a follower looks at the lines.
const TICK: Duration = Duration::from_millis(200);

/// How often it looks at the control document, and whether the lease is free.
const LOOK: Duration = Duration::from_secs(2);

/// How long the storage may fail.
const PATIENCE: Duration = Duration::from_secs(600);

/// What came of watching.
#[derive(Debug)]
pub enum Watched {
    /// The run has ended.
    Ended(Box<Ended>),
    /// Whoever watches was told to stop by this signal; the run goes on.
    Left(&'static str),
}

/// Watches the run to its end: as its conductor with `keeper`, else as a follower who takes over when nobody conducts any more.
pub async fn watch(
    site: &Site,
    keeper: Option<Keeper>,
    (mut job, mut targets): (JobSpec, Vec<(TargetKey, Target)>),
    signals: &mut Signals,
    reporter: &mut dyn Reporter,
) -> Result<Watched, Error> {
    let mut keeper = keeper;
    let mut evidence = Evidence::new(site, &job, targets.clone()).await;
    loop {
        if let Some(lease) = keeper.take() {
            let conductor = Conductor::new(
                site,
                &lease,
                (&job, &targets),
                &mut evidence,
                (&mut *signals, &mut *reporter),
            );
            let ended = match conductor.await {
                Ok(conductor) => conductor.run().await,
                Err(error) => Err(error),
            };
            match ended {
                Ok(left_over) => {
                    let early = lease.control().await.early;
                    lease.release().await;
                    return Ok(ended_with(evidence, early, Some(left_over)).await);
                }
                Err(Error::Lost) => {
                    reporter.message(
                        "another process may conduct the run by now; this one only watches",
                    );
                }
                Err(error) => {
                    lease.release().await;
                    return Err(error);
                }
            }
        }
        let follower = Follower {
            site,
            run_id: job.run_id,
            signals: &mut *signals,
            reporter: &mut *reporter,
            evidence: &mut evidence,
        };
        match follower.run().await? {
            Followed::Free(free) => {
                reporter.message("nobody conducts the run any more; this process takes over");
                keeper = Some(free);
            }
            Followed::Reopened(standing) => {
                targets = standing.targets(&*site.storage).await?;
                job = standing.job;
                evidence = Evidence::new(site, &job, targets.clone()).await;
            }
            Followed::Closed(early) => return Ok(ended_with(evidence, early, None).await),
            Followed::Left(signal) => return Ok(Watched::Left(signal)),
        }
    }
}

/// `left_over` is known to whoever has conducted the run.
async fn ended_with(
    mut evidence: Evidence,
    early: Option<Early>,
    left_over: Option<Vec<String>>,
) -> Watched {
    // Lines that came while everything ended.
    if let Err(error) = evidence.read().await {
        log::warn!("the last result lines cannot be read: {error}");
    }
    Watched::Ended(Box::new(Ended {
        verdict: evidence.verdict(),
        early,
        conducted: left_over.is_some(),
        left_over: left_over.unwrap_or_default(),
    }))
}

/// What ends following.
enum Followed {
    /// Nobody has the lease: this process has it now.
    Free(Keeper),
    /// The run was opened again.
    Reopened(Box<Standing>),
    /// The run is closed, and its conductor still lives.
    Closed(Option<Early>),
    /// A signal.
    Left(&'static str),
}

struct Follower<'a> {
    site: &'a Site,
    run_id: Uuid,
    signals: &'a mut Signals,
    reporter: &'a mut dyn Reporter,
    evidence: &'a mut Evidence,
}

impl Follower<'_> {
    async fn run(mut self) -> Result<Followed, Error> {
        let mut opening = None;
        let mut next = Moment::now();
        let mut failing: Option<Moment> = None;
        loop {
            tokio::select! {
                signal = self.signals.next() => return Ok(Followed::Left(signal)),
                () = sleep(TICK) => {}
            }
            let looked = self.look(&mut opening, &mut next).await;
            match looked {
                Ok(Some(followed)) => return Ok(followed),
                Ok(None) => failing = None,
                Err(Error::Storage(error)) => {
                    let since = *failing.get_or_insert_with(Moment::now);
                    if since.elapsed() > PATIENCE {
                        return Err(error.into());
                    }
                    log::warn!("the run cannot be watched at the moment: {error}");
                }
                Err(error) => return Err(error),
            }
            self.reporter.progress(&self.evidence.progress());
        }
    }

    async fn look(
        &mut self,
        opening: &mut Option<u32>,
        next: &mut Moment,
    ) -> Result<Option<Followed>, Error> {
        self.evidence.read().await?;
        if !next.has_passed() {
            return Ok(None);
        }
        *next = Moment::now() + LOOK;
        let standing = self.site.standing().await?;
        let found = standing.control.opening;
        let is_ours = standing.job.run_id == self.run_id;
        if is_ours && opening.replace(found).is_some_and(|known| known != found) {
            return Ok(Some(Followed::Reopened(Box::new(standing))));
        }
        if is_ours && let Some(free) = Keeper::take(&self.site.storage, &self.site.paths).await? {
            return Ok(Some(Followed::Free(free)));
        }
        // Another run takes the place of one that is closed only.
        let is_closed = !is_ours || standing.control.phase == Phase::Closed;
        let early = standing.control.early.filter(|_| is_ours);
        Ok(is_closed.then_some(Followed::Closed(early)))
    }
}
