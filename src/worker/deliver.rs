//! One delivery: from its receipt to the line that says what became of its target.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::OwnedSemaphorePermit, task::JoinError, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Error, Shutdown, Worker,
    attempts::{self, Known},
    gate::{Gate, Start},
    locks::{Held, Locks},
    past::{self, Attempts, Past},
    resolve,
    settle::End,
};
use crate::{
    clock::Moment,
    protocol::{Control, ErrorReport, ResultLine, State, Target, TargetKey},
    queue::{self, Purpose, Queue},
};

/// How long the lines of all workers may be read for one delivery.
const LOOK_BACK: Duration = Duration::from_secs(60);

/// What all deliveries of a worker share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) worker: Arc<Worker>,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) gate: Gate,
    pub(super) locks: Arc<Locks>,
    /// What is said to the whole worker.
    pub(super) shutdown: Shutdown,
    /// What is said to builds alone: that the run drains.
    pub(super) builds: Shutdown,
    /// The lines of all workers; none where this is the only one.
    pub(super) past: Option<tokio::sync::Mutex<Past>>,
    /// When a target was last not allowed to start.
    pub(super) refused: Mutex<Option<Moment>>,
}

/// What became of a delivery.
enum Ended {
    /// Something to tell of its target.
    Line(Box<ResultLine>),
    /// Nothing that was not told before.
    Silently(End),
}

impl Context {
    /// Takes over what was received.
    pub(super) fn hold(&self, delivery: queue::Delivery) -> Held {
        let ends = match delivery.purpose {
            Purpose::Build => &self.builds,
            // A run that drains still wants to know what became of its targets.
            Purpose::Reconcile => &self.shutdown,
        };
        self.locks.hold(delivery, ends)
    }

    /// Whether a target was lately not allowed to start, so that the queue should not be asked for the next one at once.
    pub(super) fn has_refused(&self) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.is_some_and(|moment| moment.elapsed() < Control::LOOK)
    }

    fn refuse(&self) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused = Some(Moment::now());
    }
}

/// Does what a delivery asks for. `slot` is given back when its target is no longer worked on.
pub(super) async fn deliver(
    context: Arc<Context>,
    held: Held,
    slot: OwnedSemaphorePermit,
) -> Result<(), Error> {
    let delivery = Deliver {
        worker: &context.worker,
        context: &context,
        held: &held,
    };
    let ended = delivery.work().await;
    drop(slot);
    match ended {
        Ended::Silently(end) => delivery.settle(end).await,
        Ended::Line(line) => delivery.tell(*line).await,
    }
}

/// A delivery that is looked after.
pub(super) struct Deliver<'a> {
    pub(super) worker: &'a Arc<Worker>,
    pub(super) context: &'a Arc<Context>,
    pub(super) held: &'a Held,
}

impl Deliver<'_> {
    async fn work(&self) -> Ended {
        let delivery = &self.held.delivery;
        if let Some(why) = fault(self.worker, &delivery.target) {
            log::error!("a message is put with the dead: {why}");
            return Ended::Silently(End::Bury(why));
        }
        match delivery.purpose {
            Purpose::Reconcile => {
                let why = "no attempt at it has told how it ended; this is what its databases say";
                Ended::Line(Box::new(self.look(self.line(), why).await))
            }
            Purpose::Build => self.build().await,
        }
    }

    fn line(&self) -> ResultLine {
        let (worker, target) = (self.worker, self.held.delivery.target.clone());
        let key = target.key(worker.job.platform);
        ResultLine::new(worker.job.run_id, key, target, &worker.name, State::Unknown)
    }

    async fn build(&self) -> Ended {
        let gate = &self.context.gate;
        let is_first = self.held.delivery.count == 1;
        // What a run that drains does not start need not be looked into either.
        if gate.is_draining() {
            return self.refuse();
        }
        if let Some(ended) = self.earlier().await {
            return ended;
        }
        let Start::Now { untouched } = gate.start(self.held).await else {
            return self.refuse();
        };
        let line = self.line();
        let told = self.tell_start(&line);
        // A build of statements that cannot be taken back leaves traces before its end.
        if is_first && self.worker.prepared.transactional {
            let hold = self.held.share();
            tokio::spawn(async move {
                hold.start_was_told(told.await);
            });
        } else {
            // A target that ends its worker at once is found out by what was told before.
            tokio::select! {
                is_told = told => self.held.start_was_told(is_told),
                () = self.held.stop_token().cancelled() => {}
            }
            if gate.start(self.held).await == Start::Never {
                self.context.refuse();
                return Ended::Line(Box::new(withdrawn(line)));
            }
        }
        let known = Known {
            fresh: self.worker.new_run && untouched && is_first,
            comes_back: gate.is_conducted(),
        };
        let build = attempts::build(
            Arc::clone(self.worker),
            self.held.share(),
            line.clone(),
            known,
        );
        let mut build = AbortOnDropHandle::new(tokio::spawn(build));
        let ended = tokio::select! {
            biased;
            ended = &mut build => ended,
            () = self.held.to_be_dropped() => {
                build.abort();
                build.await
            }
        };
        Ended::Line(Box::new(match ended {
            Ok(line) => line,
            Err(error) if error.is_cancelled() => dropped(line),
            Err(error) => self.look(line, &broke_down(&error)).await,
        }))
    }

    fn refuse(&self) -> Ended {
        self.context.refuse();
        Ended::Silently(End::GiveBack)
    }

    /// What the lines of all workers say of a target that may have been delivered before.
    async fn earlier(&self) -> Option<Ended> {
        let gate = &self.context.gate;
        if self.held.delivery.count == 1 && !gate.is_doubled() {
            return None;
        }
        let mut line = self.line();
        let attempts = self.past(&line.key).await?;
        if attempts.has_final() && !gate.is_resumed() {
            // The last word is said: its message could not be settled then, or there are two.
            return Some(Ended::Silently(End::Complete));
        }
        if attempts.without_outcome() < past::MOST_STARTS {
            return None;
        }
        let why = format!(
            "its build was started {} times, and each time its worker ended without a word",
            attempts.without_outcome()
        );
        line = self.look(line, &why).await;
        if line.is_final && line.state == State::RolledBack {
            line.state = State::Crashed;
        }
        Some(Ended::Line(Box::new(line)))
    }

    /// The attempts at a target by the lines of all workers; none where that is not known, or not in time.
    pub(super) async fn past(&self, key: &TargetKey) -> Option<Attempts> {
        let past = self.context.past.as_ref()?;
        let target = &self.held.delivery.target;
        let look = timeout(LOOK_BACK, async { past.lock().await.of(key).await });
        let found = tokio::select! {
            found = look => found,
            () = self.held.draining() => return None,
        };
        match found {
            Ok(Ok(attempts)) => Some(attempts),
            Ok(Err(error)) => {
                log::warn!("{target}: {error}");
                None
            }
            Err(_) => {
                log::warn!(
                    "{target}: what became of it before was not read within {} s",
                    LOOK_BACK.as_secs()
                );
                None
            }
        }
    }

    /// Says at once that an attempt begins; the future is ready when that is stored. An attempt whose begin is not stored in
    /// time is not counted.
    fn tell_start(&self, line: &ResultLine) -> impl Future<Output = bool> + Send + use<> {
        let results = match &self.context.past {
            Some(_) => self.worker.results.as_ref(),
            None => None,
        };
        let kept = results.map(|results| results.append(&past::start_of(line)));
        let target = line.target.to_string();
        async move {
            let Some(kept) = kept else { return true };
            let kept = kept.await;
            if let Err(error) = &kept {
                log::warn!("{target}: that it was started is not told: {error}");
            }
            kept.is_ok()
        }
    }

    /// Completes the line by what the ledgers say; nothing runs. Whatever a driver does, it costs one target.
    async fn look(&self, mut line: ResultLine, why: &str) -> ResultLine {
        let (worker, hold) = (Arc::clone(self.worker), self.held.share());
        let (target, reason) = (line.target.clone(), why.to_owned());
        let look =
            async move { resolve::reconcile(&worker, &target, &reason, hold.stop_token()).await };
        let mut look = AbortOnDropHandle::new(tokio::spawn(look));
        let ended = tokio::select! {
            biased;
            ended = &mut look => ended,
            () = self.held.to_be_dropped() => {
                look.abort();
                look.await
            }
        };
        match ended {
            Ok(outcome) => attempts::fill(&mut line, outcome),
            Err(error) => {
                line.is_final = false;
                line.errors = vec![message(why), message(&broke_down(&error))];
                line.finished = jiff::Timestamp::now();
            }
        }
        line
    }
}

/// Why a message names nothing that this run could build.
fn fault(worker: &Worker, target: &Target) -> Option<String> {
    if target.server.trim().is_empty() {
        return Some("it names no server".to_owned());
    }
    if target.pairs.is_empty() {
        return Some(format!("it names no database on {}", target.server));
    }
    if target
        .pairs
        .iter()
        .any(|pair| pair.database.trim().is_empty())
    {
        return Some(format!(
            "it names a database without a name on {}",
            target.server
        ));
    }
    worker
        .prepared
        .scripts
        .iter()
        .filter(|script| !script.in_first_database)
        .find_map(|script| target.database_for(&script.database).err())
        .map(|error| error.to_string())
}

fn broke_down(error: &JoinError) -> String {
    format!("the build broke down in this program: {error}")
}

/// The line of a build that was announced and must not begin any more.
fn withdrawn(mut line: ResultLine) -> ResultLine {
    line.is_final = false;
    line.errors = vec![message("the run drained before its build began")];
    line.finished = jiff::Timestamp::now();
    line
}

/// The line of a build whose connections were dropped: no COMMIT was under way, but nobody has seen it roll back.
fn dropped(mut line: ResultLine) -> ResultLine {
    line.is_final = false;
    line.errors = vec![message(
        "it was told to end and did not in time; its connections were dropped",
    )];
    line.finished = jiff::Timestamp::now();
    line
}

pub(super) fn message(text: &str) -> ErrorReport {
    ErrorReport {
        message: text.to_owned(),
        ..ErrorReport::default()
    }
}
