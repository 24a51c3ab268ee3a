//! The conductor's work, from the first target to the last.

use std::{io::IsTerminal, time::Duration};

use tokio::time::sleep;

use super::{
    Error, Keeper, Site,
    evidence::{self, Evidence},
    reconcile::{Reconciling, is_idle},
    send::{double, send},
    waves::{self, Step, Waves},
    workers::{Watch, Workers},
};
use crate::{
    clock::Moment,
    monitor::Verdict,
    protocol::{Early, EndedBy, JobSpec, Phase, Target, TargetKey},
    queue::{self, Counts, Purpose},
    report::Reporter,
    worker::Signals,
};

/// How often everything is looked at: so late a run ends after its last target, at most.
const TICK: Duration = Duration::from_millis(50);

/// How often the queue is asked how much it holds.
const COUNT: Duration = Duration::from_secs(2);

/// How often targets of which nothing is heard any more are sent or looked into again.
const ROUNDS: u32 = 2;

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// One line per target.
    pub verdict: Verdict,
    /// Why it ended before its last target.
    pub early: Option<Early>,
    /// What could not be removed.
    pub left_over: Vec<String>,
    /// The lease, when this process has conducted it to its end: whoever has it writes the report.
    pub keeper: Option<Keeper>,
}

/// Somebody who watches a run, and what he watches it by.
pub(super) struct Conductor<'a> {
    pub(super) site: &'a Site,
    pub(super) keeper: &'a Keeper,
    pub(super) job: &'a JobSpec,
    pub(super) targets: &'a [(TargetKey, Target)],
    pub(super) evidence: &'a mut Evidence,
    pub(super) signals: &'a mut Signals,
    pub(super) reporter: &'a mut dyn Reporter,
    pub(super) workers: Watch,
    waves: Waves,
    orphans: Orphans,
    /// The deadline of the run, on a clock that nobody sets.
    deadline: Option<Moment>,
}

/// Targets of which nothing is heard although the queue holds nothing.
#[derive(Default)]
struct Orphans {
    next: Option<Moment>,
    idle: bool,
    rounds: u32,
    reconciling: Option<Reconciling>,
    /// Whether the queue was made anew.
    made_anew: bool,
}

impl<'a> Conductor<'a> {
    pub(super) async fn new(
        site: &'a Site,
        keeper: &'a Keeper,
        (job, targets): (&'a JobSpec, &'a [(TargetKey, Target)]),
        evidence: &'a mut Evidence,
        (signals, reporter): (&'a mut Signals, &'a mut dyn Reporter),
    ) -> Self {
        Self {
            site,
            keeper,
            job,
            targets,
            evidence,
            signals,
            reporter,
            workers: Watch::new(site, job.conduct.workers).await,
            waves: Waves::new(&job.conduct),
            orphans: Orphans::default(),
            deadline: job.conduct.deadline.map(Moment::of),
        }
    }

    /// Brings the run to its end; fails with [`Error::Lost`] when another process may conduct it.
    pub(super) async fn run(mut self) -> Result<Vec<String>, Error> {
        // Whoever watches learns at once who conducts from here on.
        self.keeper.change(|_| {}).await?;
        let control = self.keeper.control().await;
        let early = match control.phase {
            Phase::Open => match self.build().await {
                Err(Error::Lost) => return Err(Error::Lost),
                // Whatever failed: every target gets its state.
                Err(error) => Some(failed(&error)),
                Ok(early) => early,
            },
            Phase::Draining => Some(control.early.unwrap_or_else(|| cancelled("somebody"))),
            Phase::Closed => None,
        };
        if let Some(early) = early {
            self.end_early(early).await?;
        }
        self.close().await
    }

    /// Waits for every target to have a final line; or why the run has to end before.
    async fn build(&mut self) -> Result<Option<Early>, Error> {
        loop {
            if let Some(signal) = self.tick().await? {
                return Ok(Some(cancelled(signal)));
            }
            // A run that was done before anybody watched it needs no workers any more.
            let workers = if self.evidence.is_complete() {
                Workers::Fine
            } else {
                self.look_at_workers().await
            };
            if let Some(early) = self.must_end(&workers).await {
                return Ok(Some(early));
            }
            let reporter = &mut *self.reporter;
            let mut tell = |line: &str| reporter.message(line);
            let step = self
                .waves
                .step(
                    self.site,
                    self.keeper,
                    self.targets,
                    self.evidence,
                    &mut tell,
                )
                .await?;
            match step {
                Step::Halt(early) => return Ok(Some(early)),
                Step::All if self.evidence.is_complete() => {
                    // A `dequeue` that came when every target had been begun has taken nothing away.
                    let skipped = self.evidence.progress().skipped > 0;
                    let counts = self.site.queue.counts().await;
                    let by_dequeue = skipped && is_closed(&counts);
                    return Ok(by_dequeue.then(|| cancelled("`dequeue`")));
                }
                Step::Sent => {
                    self.evidence.stir();
                    self.orphans = Orphans::default();
                }
                Step::Wait | Step::All => match self.look_for_orphans(&workers).await {
                    Ok(false) => {}
                    // All that could be found out is.
                    Ok(true) if step == Step::All => return Ok(None),
                    Ok(true) => return Ok(Some(waves::halted(self.unknown()))),
                    Err(Error::Queue(queue::Error::Closed { .. })) => {
                        return Ok(Some(cancelled("`dequeue`")));
                    }
                    Err(error) => return Err(error),
                },
            }
        }
    }

    fn unknown(&self) -> String {
        "what became of some targets of the first waves is not known".to_owned()
    }

    /// Waits a moment, and takes in what is new. The signal that came meanwhile.
    pub(super) async fn tick(&mut self) -> Result<Option<&'static str>, Error> {
        let signal = tokio::select! {
            biased;
            () = self.keeper.lost() => return Err(Error::Lost),
            signal = self.signals.next() => Some(signal),
            () = sleep(TICK) => None,
        };
        if let Err(error) = self.evidence.read().await {
            log::warn!("result lines cannot be read at the moment: {error}");
        }
        self.reporter.progress(&self.evidence.progress());
        Ok(signal)
    }

    /// A backend that cannot be asked is asked again.
    pub(super) async fn look_at_workers(&mut self) -> Workers {
        let reporter = &mut *self.reporter;
        let mut tell = |line: &str| reporter.message(line);
        match self.workers.look(self.site, &mut tell).await {
            Ok(workers) => workers,
            Err(error) => {
                log::warn!("it is not known how the workers are: {error}");
                Workers::Fine
            }
        }
    }

    async fn must_end(&self, workers: &Workers) -> Option<Early> {
        let conduct = &self.job.conduct;
        let early = |by, why| Some(Early { by, why });
        if let Workers::None(why) = workers
            && !self.evidence.is_complete()
        {
            return early(EndedBy::Service, why.clone());
        }
        let progress = self.evidence.progress();
        if let Some(budget) = conduct.max_failures
            && budget.exceeded(progress.failed, progress.total)
        {
            let (failed, total) = (progress.failed, progress.total);
            return Some(waves::halted(format!(
                "{failed} of {total} targets failed, and --maxfailures is {budget}"
            )));
        }
        if self.deadline.is_some_and(Moment::has_passed) {
            let why = "the deadline of the run is over".to_owned();
            return early(EndedBy::Deadline, why);
        }
        let sent = waves::sent(&self.keeper.control().await.waves);
        let open = sent > progress.settled();
        if open && self.evidence.stirred().elapsed() > conduct.stall_timeout {
            let seconds = conduct.stall_timeout.as_secs();
            let why = format!("nothing has happened for {seconds} s");
            return early(EndedBy::Deadline, why);
        }
        None
    }

    /// Looks after targets that nobody works on although they have no final line; whether nothing more can be found out.
    async fn look_for_orphans(&mut self, workers: &Workers) -> Result<bool, Error> {
        if let Some(reconciling) = &mut self.orphans.reconciling {
            if reconciling.is_over(self.site, self.evidence, workers).await {
                self.orphans.reconciling = None;
            }
            return Ok(false);
        }
        if self.orphans.next.is_some_and(|next| !next.has_passed()) {
            return Ok(false);
        }
        self.orphans.next = Some(Moment::now() + COUNT);
        let counts = self.site.queue.counts().await;
        if is_closed(&counts) {
            let queue = self.site.queue.to_string();
            return Err(queue::Error::Closed { queue }.into());
        }
        let is_gone = matches!(counts, Err(queue::Error::Gone { .. }));
        let was_idle = self.orphans.idle;
        self.orphans.idle = is_idle(counts);
        if !(was_idle && self.orphans.idle) {
            return Ok(false);
        }
        let orphans = self.sent_and_unsettled().await;
        if orphans.is_empty() {
            return Ok(false);
        }
        self.orphans.idle = false;
        if is_gone && std::mem::replace(&mut self.orphans.made_anew, true) {
            let queue = self.site.queue.to_string();
            return Err(queue::Error::Gone { queue }.into());
        }
        if self.orphans.rounds == ROUNDS {
            return Ok(true);
        }
        self.orphans.rounds += 1;
        self.send_again(orphans, is_gone).await?;
        Ok(false)
    }

    async fn sent_and_unsettled(&self) -> Vec<(TargetKey, Target)> {
        let sent = waves::sent(&self.keeper.control().await.waves);
        let sent = self.targets.iter().take(sent);
        sent.filter(|(key, _)| self.evidence.state_of(key).is_none())
            .cloned()
            .collect()
    }

    /// What was begun is looked into, what was not is sent again.
    async fn send_again(
        &mut self,
        orphans: Vec<(TargetKey, Target)>,
        is_gone: bool,
    ) -> Result<(), Error> {
        let count = orphans.len();
        let started = evidence::started(self.site).await?;
        let (begun, lost): (Vec<_>, Vec<_>) = orphans
            .into_iter()
            .partition(|(key, _)| started.contains(key) && !is_gone);
        self.reporter.message(&format!(
            "nothing is heard of {count} targets any more; {} are sent again, {} are looked into",
            lost.len(),
            begun.len()
        ));
        if !lost.is_empty() {
            double(self.keeper).await?;
            if is_gone {
                self.site.queue.create().await?;
            }
            let lost = lost.into_iter().map(|(_, target)| target).collect();
            send(self.site, self.keeper, lost, Purpose::Build).await?;
        }
        if !begun.is_empty() {
            let patience = self.job.build.lock_wait;
            let reconciling = Reconciling::begin(self.site, self.keeper, begun, patience).await?;
            self.orphans.reconciling = Some(reconciling);
        }
        self.evidence.stir();
        Ok(())
    }

    /// Tells everybody that the run is over, and removes what was made for it; what could not be removed.
    async fn close(mut self) -> Result<Vec<String>, Error> {
        self.note_the_dead().await;
        self.keeper
            .change(|control| control.phase = Phase::Closed)
            .await?;
        self.reporter.progress(&self.evidence.progress());
        Ok(super::cleanup::remove(self.site).await)
    }

    /// A message that names no target has no line: the reason stands with the dead.
    async fn note_the_dead(&mut self) {
        if self.evidence.is_complete() {
            return;
        }
        let dead = match self.site.queue.dead().await {
            Ok(dead) => dead,
            Err(error) => {
                log::debug!("it is not known which messages are dead: {error}");
                return;
            }
        };
        for dead in dead {
            let key = dead.target.key(self.job.platform);
            let text = format!("no worker takes it: {}: {}", dead.reason, dead.description);
            self.evidence
                .record(super::ending::unknown(self.job, key, dead.target, &text));
        }
    }

    /// What a second Ctrl-C would do.
    pub(super) fn again() -> &'static str {
        if std::io::stdin().is_terminal() {
            "; Ctrl-C again rolls them back at once"
        } else {
            ""
        }
    }
}

/// Only `dequeue` closes the queue of a run that is open.
fn is_closed(counts: &Result<Counts, queue::Error>) -> bool {
    matches!(counts, Ok(counts) if counts.closed)
}

fn failed(error: &Error) -> Early {
    Early {
        by: EndedBy::Service,
        why: error.to_string(),
    }
}

pub(super) fn cancelled(by: &str) -> Early {
    Early {
        by: EndedBy::Cancelled,
        why: by.to_owned(),
    }
}
