//! Watching a run that another process conducts, and taking it over when that one is gone.

use std::time::Duration;

use tokio::time::sleep;
use uuid::Uuid;

use super::{
    Ended, Error, Keeper, Site, Standing, conduct::Conductor, evidence::Evidence,
    opening::take_if_free,
};
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
    mut keeper: Option<Keeper>,
    (mut opening, mut job, mut targets): (u32, JobSpec, Vec<(TargetKey, Target)>),
    signals: &mut Signals,
    reporter: &mut dyn Reporter,
) -> Result<Watched, Error> {
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
            match conductor.await.run().await {
                Ok(left_over) => {
                    let early = lease.control().await.early;
                    let ended = ended_with(evidence, early, left_over).await;
                    return Ok(Watched::Ended(Box::new(Ended {
                        keeper: Some(lease),
                        ..ended
                    })));
                }
                Err(Error::Lost) => {
                    // Whoever conducts now looks after the workers.
                    site.backend.let_go();
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
            opening,
            signals: &mut *signals,
            reporter: &mut *reporter,
            evidence: &mut evidence,
        };
        match follower.run().await? {
            Followed::Free(free) => {
                reporter.message("nobody conducts the run any more; this process takes over");
                site.backend.take_up();
                keeper = Some(free);
            }
            Followed::Reopened(standing) => {
                opening = standing.control.opening;
                targets = standing.targets(&*site.storage).await?;
                job = standing.job;
                evidence = Evidence::new(site, &job, targets.clone()).await;
            }
            Followed::Closed(early) => {
                let ended = ended_with(evidence, early, Vec::new()).await;
                return Ok(Watched::Ended(Box::new(ended)));
            }
            Followed::Left(signal) => return Ok(Watched::Left(signal)),
        }
    }
}

async fn ended_with(mut evidence: Evidence, early: Option<Early>, left_over: Vec<String>) -> Ended {
    // Lines that came while everything ended.
    if let Err(error) = evidence.read().await {
        log::warn!("the last result lines cannot be read: {error}");
    }
    Ended {
        verdict: evidence.verdict(),
        early,
        left_over,
        keeper: None,
    }
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
    opening: u32,
    signals: &'a mut Signals,
    reporter: &'a mut dyn Reporter,
    evidence: &'a mut Evidence,
}

impl Follower<'_> {
    async fn run(mut self) -> Result<Followed, Error> {
        let mut next = Moment::now();
        let mut failing: Option<Moment> = None;
        loop {
            tokio::select! {
                signal = self.signals.next() => return Ok(Followed::Left(signal)),
                () = sleep(TICK) => {}
            }
            let looked = self.look(&mut next).await;
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

    async fn look(&mut self, next: &mut Moment) -> Result<Option<Followed>, Error> {
        self.evidence.read().await?;
        if !next.has_passed() {
            return Ok(None);
        }
        *next = Moment::now() + LOOK;
        let standing = self.site.standing().await?;
        let found = standing.control.opening;
        let is_ours = standing.job.run_id == self.run_id;
        if is_ours && found != self.opening {
            return Ok(Some(Followed::Reopened(Box::new(standing))));
        }
        if is_ours && let Some(free) = take_if_free(self.site, &standing).await? {
            return Ok(Some(Followed::Free(free)));
        }
        // Another run takes the place of one that is closed only.
        let is_closed = !is_ours || standing.control.phase == Phase::Closed;
        let early = standing.control.early.filter(|_| is_ours);
        Ok(is_closed.then_some(Followed::Closed(early)))
    }
}
