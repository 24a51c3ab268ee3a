//! The middle of a run: the worker builds, the monitor watches, signals and the failure budget may end it early.

use std::{collections::HashSet, io::IsTerminal, sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, sleep_until};

use crate::{
    events::Subscription,
    monitor::{Monitor, Verdict},
    protocol::{Event, EventKind, FailureBudget, ResultLine, State, TargetKey},
    queue::{self, Queue},
    report::Reporter,
    worker::{self, Shutdown, Signals, Worker},
};

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(200);

/// How long builds may take to roll back once they are told to; then what became of them is not known.
const ROLL_BACK: Duration = Duration::from_secs(60);

/// A run that goes on.
pub(super) struct Drive<'a> {
    pub(super) worker: Arc<Worker>,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) shutdown: Shutdown,
    pub(super) monitor: Monitor,
    pub(super) events: Subscription,
    pub(super) reporter: &'a mut dyn Reporter,
    pub(super) budget: Option<FailureBudget>,
    pub(super) drain_timeout: Duration,
    /// Targets of which an attempt ended without a final line.
    pub(super) touched: HashSet<TargetKey>,
}

/// How a run ended.
pub(super) struct Ended {
    pub(super) verdict: Verdict,
    pub(super) cancelled: Option<String>,
    pub(super) halted: Option<String>,
    pub(super) service_failed: Option<String>,
}

/// Why and until when a run ends early.
#[derive(Default)]
struct Early {
    cancelled: Option<String>,
    halted: Option<String>,
    /// When the next, stronger word is said.
    deadline: Option<Instant>,
    stopped: bool,
}

impl Drive<'_> {
    /// Runs to the end: every target has a line of evidence, or is unknown.
    pub(super) async fn run(mut self) -> Ended {
        let mut early = Early::default();
        let service_failed = self.work(&mut early).await;
        while let Ok(event) = self.events.try_recv() {
            self.observe(event);
            self.check_budget(&mut early);
        }
        self.shutdown.drain();
        self.skip_the_rest().await;
        self.reporter
            .progress(&self.monitor.progress(std::time::Instant::now()));
        Ended {
            verdict: self.monitor.verdict(),
            cancelled: early.cancelled,
            halted: early.halted,
            service_failed,
        }
    }

    /// Waits for the worker; what it could not work with, if it ended by an error.
    async fn work(&mut self, early: &mut Early) -> Option<String> {
        let mut signals = match Signals::new() {
            Ok(signals) => signals,
            Err(error) => return Some(format!("cannot listen to signals: {error}")),
        };
        let (worker, queue) = (Arc::clone(&self.worker), Arc::clone(&self.queue));
        let shutdown = self.shutdown.clone();
        let work = worker::run(worker, queue, &shutdown);
        tokio::pin!(work);
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = &mut work => return ended.err().map(|error| error.to_string()),
                Some(event) = self.events.recv() => {
                    self.observe(event);
                    self.check_budget(early);
                }
                _ = ticks.tick() => {
                    self.reporter.progress(&self.monitor.progress(std::time::Instant::now()));
                }
                signal = signals.next() => self.on_signal(signal, early),
                () = at(early.deadline) => {
                    if early.stopped {
                        return None;
                    }
                    self.reporter.message("the drain time-out is over; what still runs is rolled back");
                    self.stop(early);
                }
            }
        }
    }

    /// Nobody else works for this run: what is rolled back while it drains stays so.
    fn observe(&mut self, mut event: Event) {
        if let EventKind::Finished { line } = &mut event.kind {
            if line.state != State::Unknown && self.shutdown.is_draining() {
                line.is_final = true;
            }
            if !line.is_final {
                self.touched.insert(line.key.clone());
            }
        }
        self.monitor.observe(event, std::time::Instant::now());
    }

    fn check_budget(&mut self, early: &mut Early) {
        let Some(budget) = self.budget else {
            return;
        };
        if early.halted.is_some() || early.cancelled.is_some() {
            return;
        }
        let progress = self.monitor.progress(std::time::Instant::now());
        if !budget.exceeded(progress.failed, progress.total) {
            return;
        }
        let why = format!(
            "{} of {} targets failed, and --maxfailures is {budget}",
            progress.failed, progress.total
        );
        self.reporter.message(&format!(
            "halted: {why}; builds that run may end, no other starts"
        ));
        early.halted = Some(why);
        self.drain(early);
    }

    fn on_signal(&mut self, signal: &str, early: &mut Early) {
        let second = early.cancelled.is_some();
        if !second {
            early.cancelled = Some(signal.to_owned());
            let again = if std::io::stdin().is_terminal() {
                "; Ctrl-C again rolls them back at once"
            } else {
                ""
            };
            self.reporter.message(&format!(
                "{signal}: no target starts any more; builds that run may end within {} s{again}",
                self.drain_timeout.as_secs()
            ));
            self.drain(early);
        } else if std::io::stdin().is_terminal() && !early.stopped {
            self.reporter.message("what still runs is rolled back");
            self.stop(early);
        }
    }

    fn drain(&mut self, early: &mut Early) {
        self.shutdown.drain();
        early
            .deadline
            .get_or_insert_with(|| Instant::now() + self.drain_timeout);
    }

    fn stop(&mut self, early: &mut Early) {
        self.shutdown.stop();
        early.stopped = true;
        early.deadline = Some(Instant::now() + ROLL_BACK);
    }

    /// Targets that never started are said to be skipped; those that did, and came back, stay unknown.
    ///
    /// In a run that goes on, an earlier process may have committed what has not been looked at this time: that is unknown,
    /// and must not come into a list for a new run.
    async fn skip_the_rest(&mut self) {
        if !self.worker.new_run {
            return;
        }
        let left: Result<_, queue::Error> = self.queue.close().await;
        for target in left.unwrap_or_default() {
            let job = &self.worker.job;
            let key = target.key(job.platform);
            if self.touched.contains(&key) {
                continue;
            }
            let mut line =
                ResultLine::new(job.run_id, key, target, &self.worker.name, State::Skipped);
            line.attempt_id = uuid::Uuid::nil();
            self.monitor.record(line, std::time::Instant::now());
        }
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
