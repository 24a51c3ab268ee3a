//! Ending a run before its last target: intake stops, builds end, and what became of every target is found out.

use std::{io::IsTerminal, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    Error, Site,
    conduct::Conductor,
    evidence::{self, Earlier},
    reconcile::Reconciling,
};
use crate::{
    clock::Moment,
    protocol::{
        Control, Early, EndedBy, ErrorReport, JobSpec, Phase, ResultLine, State, Target, TargetKey,
    },
    queue,
    storage::{LinesSettings, ResultLines},
    worker::identity,
};

/// How much longer than workers have to end their builds they are waited for.
const ROLL_BACK: Duration = Duration::from_secs(60);

/// How often the queue is emptied: builds give their targets back.
const EMPTY: Duration = Duration::from_millis(200);

/// How many lines are handed in at once.
const AT_ONCE: usize = 1_000;

/// How the conductor's lines are told from those of workers.
const NAME: &str = "conductor";

impl Conductor<'_> {
    /// Drains the run, and finds out what became of every target; the run can be closed then.
    pub(super) async fn end_early(&mut self, early: Early) -> Result<(), Error> {
        self.announce(&early);
        self.keeper
            .change(|control| {
                control.phase = Phase::Draining;
                control.early.get_or_insert(early);
            })
            .await?;
        self.empty_the_queue().await?;
        let open = match self.tell_the_rest().await {
            Err(Error::Lost) => return Err(Error::Lost),
            Err(error) => {
                self.reporter
                    .message(&format!("what became of the rest cannot be told: {error}"));
                Vec::new()
            }
            Ok(open) => open,
        };
        if !open.is_empty() {
            self.look_into(open).await?;
        }
        Ok(())
    }

    fn announce(&mut self, early: &Early) {
        let word = match early.by {
            EndedBy::Cancelled => "cancelled by",
            EndedBy::Halted => "halted:",
            EndedBy::Deadline => "ended:",
            EndedBy::Service => "failed:",
        };
        self.reporter.message(&format!(
            "{word} {}; no target starts any more, builds that run may end within {} s{}",
            early.why,
            self.job.limits.drain_timeout.as_secs(),
            Self::again()
        ));
    }

    /// Takes out of the queue what is not in flight until nothing is.
    async fn empty_the_queue(&mut self) -> Result<(), Error> {
        let limits = &self.job.limits;
        let most = limits.drain_timeout + Control::FRESH + limits.message_lock + ROLL_BACK;
        let until = Moment::now() + most;
        let (begun, mut next) = (Moment::now(), Moment::now());
        while !until.has_passed() {
            if self.tick().await?.is_some() {
                self.roll_back().await?;
            }
            self.look_at_workers().await;
            if !next.has_passed() {
                continue;
            }
            next = Moment::now() + EMPTY;
            let drained = begun.elapsed();
            if drained > limits.drain_timeout && !self.keeper.control().await.roll_back {
                self.keeper
                    .change(|control| control.roll_back = true)
                    .await?;
            }
            // Without a queue only their events tell of builds that may end.
            let is_quiet = drained > Control::FRESH && self.evidence.progress().running == 0;
            let closed = self.site.queue.close().await;
            match (closed, self.site.queue.counts().await) {
                (Err(queue::Error::Gone { .. }), _) if is_quiet => return Ok(()),
                (Err(queue::Error::Gone { .. }), _) => {}
                // That does not get better.
                (Err(error @ queue::Error::Refused { .. }), _) => {
                    log::warn!("{error}");
                    return Ok(());
                }
                (Ok(_), Ok(counts)) if counts.pending == 0 && counts.in_flight == 0 => {
                    return Ok(());
                }
                (Ok(_), Ok(_)) => {}
                (Err(error), _) | (_, Err(error)) => {
                    log::warn!("the queue is not emptied yet: {error}");
                }
            }
        }
        self.reporter.message(
            "builds that were to end have not; what became of their targets is looked into",
        );
        Ok(())
    }

    /// The second word, on a terminal.
    async fn roll_back(&mut self) -> Result<(), Error> {
        if !std::io::stdin().is_terminal() || self.keeper.control().await.roll_back {
            return Ok(());
        }
        self.reporter.message("what still runs is rolled back");
        self.keeper.change(|control| control.roll_back = true).await
    }

    /// Says what is known of the targets without a final line; gives back those that have to be looked into.
    async fn tell_the_rest(&mut self) -> Result<Vec<(TargetKey, Target)>, Error> {
        self.tick().await?;
        let rest = self.evidence.unsettled();
        let telling = skip(self.site, self.job, rest);
        tokio::pin!(telling);
        let told = loop {
            tokio::select! {
                told = &mut telling => break told?,
                // Storage that fails keeps it waiting; who asks again on a terminal does not want to.
                signal = self.tick() => if signal?.is_some() && std::io::stdin().is_terminal() {
                    self.reporter.message("what became of the rest is not told");
                    return Ok(Vec::new());
                },
            }
        };
        for line in told.lines {
            self.evidence.record(line);
        }
        Ok(told.open)
    }

    async fn look_into(&mut self, open: Vec<(TargetKey, Target)>) -> Result<(), Error> {
        self.reporter.message(&format!(
            "what became of {} targets is looked into",
            open.len()
        ));
        let patience = self.job.build.lock_wait;
        let begun = Reconciling::begin(self.site, self.keeper, open, patience).await;
        let mut reconciling = match begun {
            Ok(reconciling) => reconciling,
            Err(Error::Lost) => return Err(Error::Lost),
            Err(error) => {
                self.reporter
                    .message(&format!("that cannot be found out: {error}"));
                return Ok(());
            }
        };
        let mut hurried = false;
        loop {
            if self.tick().await?.is_some() && std::io::stdin().is_terminal() {
                // Who asks a second time while targets are looked into does not want to wait for it.
                if std::mem::replace(&mut hurried, true) {
                    return Ok(());
                }
                self.roll_back().await?;
            }
            let workers = self.look_at_workers().await;
            if reconciling
                .is_over(self.site, self.evidence, &workers)
                .await
            {
                return Ok(());
            }
        }
    }
}

/// What was said of targets that are not built.
pub(super) struct Told {
    /// The lines, which are stored.
    pub(super) lines: Vec<ResultLine>,
    /// The targets of which only their ledgers know.
    pub(super) open: Vec<(TargetKey, Target)>,
}

/// Stores a line for each of `targets` of which it is known that no build of it began in this opening: the last word of an
/// earlier opening, or else that it is skipped.
pub(super) async fn skip(
    site: &Site,
    job: &JobSpec,
    targets: Vec<(TargetKey, Target)>,
) -> Result<Told, Error> {
    let started = evidence::started(site).await?;
    let mut earlier = evidence::earlier(site).await?;
    let mut told = Told {
        lines: Vec::new(),
        open: Vec::new(),
    };
    for (key, target) in targets {
        if started.contains(&key) || earlier.is_open(&key) {
            told.open.push((key, target));
        } else {
            told.lines.push(line(job, &mut earlier, key, target));
        }
    }
    store(site, &told.lines).await?;
    Ok(told)
}

fn line(job: &JobSpec, earlier: &mut Earlier, key: TargetKey, target: Target) -> ResultLine {
    if let Some(line) = earlier.word(&key) {
        return line;
    }
    let mut line = ResultLine::new(job.run_id, key, target, NAME, State::Skipped);
    line.attempt_id = Uuid::nil();
    line
}

async fn store(site: &Site, lines: &[ResultLine]) -> Result<(), Error> {
    let name = format!("{NAME}-{}", identity::worker());
    let settings = LinesSettings {
        patience: Duration::from_secs(60),
        ..LinesSettings::default()
    };
    let journal = ResultLines::new(Arc::clone(&site.storage), &site.paths, &name, settings);
    let mut stored = Ok(());
    for lines in lines.chunks(AT_ONCE) {
        let part = lines.iter().map(|line| journal.append(line));
        stored = futures::future::try_join_all(part).await.map(drop);
        if stored.is_err() {
            break;
        }
    }
    journal.close().await;
    Ok(stored?)
}

/// A line that says why nothing is known of a target.
pub(super) fn unknown(job: &JobSpec, key: TargetKey, target: Target, why: &str) -> ResultLine {
    let mut line = ResultLine::new(job.run_id, key, target, NAME, State::Unknown);
    line.is_final = false;
    line.errors = vec![ErrorReport {
        message: why.to_owned(),
        ..ErrorReport::default()
    }];
    line
}
