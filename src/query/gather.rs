//! All databases are asked, within the limits; their answers come into the result in the order of the list.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::{Id, JoinError, JoinSet},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use super::{
    Asked, Asking, Format, ResultFile,
    ask::Failure,
    form::{Form, Unwritten},
    result_file::Content,
    spill::Spilled,
};
use crate::{
    engine::Engine,
    protocol::{ErrorReport, TargetKey},
    queue::{self, Delivery, InProcess, Purpose, Queue, Received},
    worker::Signals,
};

/// How often progress is told.
const TICK: Duration = Duration::from_secs(5);

/// What became of one database.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    /// Its rows, as many as that, are in the result.
    Answered(u64),
    /// Nothing of it is in the result.
    Failed(Box<ErrorReport>),
    /// The whole ended before it had answered.
    Skipped,
}

/// Everything for one query on many databases.
pub(crate) struct Gathering {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) asking: Arc<Asking>,
    /// No two are the same database.
    pub(crate) asked: Arc<Vec<Asked>>,
    /// Empty, and with the limits that count.
    pub(crate) queue: InProcess,
    pub(crate) format: Format,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// For each database.
    pub(crate) fates: Vec<Fate>,
    /// Who ended it early.
    pub(crate) cancelled: Option<String>,
    /// What was needed and failed: the result could not be written, say.
    pub(crate) failed: Option<String>,
    /// The file of the result.
    pub(crate) result: Option<PathBuf>,
}

/// Asks all; `tell` gets lines about how it goes.
pub(crate) async fn gather(
    gathering: Gathering,
    result: ResultFile,
    mut tell: impl FnMut(&str),
) -> Result<Gathered, io::Error> {
    let Gathering {
        engine,
        asking,
        asked,
        queue,
        format,
    } = gathering;
    let mut signals = Signals::new()?;
    let room = result.waiting_room()?;
    let stop = CancellationToken::new();
    let (to_writer, written) = start_writer(format, Arc::clone(&asked), result, stop.clone())?;
    let platform = engine.platform();
    let places: HashMap<TargetKey, usize> = asked
        .iter()
        .enumerate()
        .map(|(index, asked)| (asked.target.key(platform), index))
        .collect();
    let targets = asked.iter().map(|asked| asked.target.clone()).collect();
    queue
        .send_all(targets, Purpose::Build)
        .await
        .map_err(io::Error::other)?;
    let mut run = Run {
        engine,
        asking,
        asked,
        queue,
        room: room.path().to_owned(),
        stop,
        places,
        running: JoinSet::new(),
        deliveries: HashMap::new(),
        to_writer,
        answered: 0,
        failed: 0,
    };
    let (cancelled, mut failed) = run.all(&mut signals, &mut tell).await;
    drop(run.to_writer);
    let ending = tokio::select! {
        written = written => written.map_err(io::Error::other),
        // The reader of the result does not read, and the user does not wait any more.
        signal = signals.next() => Err(io::Error::other(format!("{signal} before the result was written"))),
    };
    let (fates, output) = match ending {
        Ok(Written { fates, output }) => (fates, output),
        Err(error) => (vec![Fate::Skipped; run.asked.len()], Err(error)),
    };
    let mut cancelled = cancelled;
    let mut result = None;
    match output {
        Ok(place) => result = place,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            let reader = "the reader of standard output, which went away".to_owned();
            cancelled.get_or_insert(reader);
        }
        Err(error) => {
            failed.get_or_insert(format!("the result cannot be written: {error}"));
        }
    }
    Ok(Gathered {
        fates,
        cancelled,
        failed,
        result,
    })
}

struct Run {
    engine: Arc<dyn Engine>,
    asking: Arc<Asking>,
    asked: Arc<Vec<Asked>>,
    queue: InProcess,
    room: PathBuf,
    stop: CancellationToken,
    places: HashMap<TargetKey, usize>,
    running: JoinSet<Result<Spilled, Failure>>,
    deliveries: HashMap<Id, (Delivery, usize)>,
    to_writer: ToWriter,
    answered: usize,
    failed: usize,
}

/// The way to the writer: the place of a database in the list, and what became of it.
type ToWriter = mpsc::Sender<(usize, Answered)>;

/// What the writer is told of a database.
enum Answered {
    Answer(Spilled),
    Fate(Fate),
}

impl Run {
    /// Until all are asked or it is ended early; who ended it, and what failed.
    async fn all(
        &mut self,
        signals: &mut Signals,
        tell: &mut impl FnMut(&str),
    ) -> (Option<String>, Option<String>) {
        let (mut accepting, mut cancelled, mut failed) = (true, None, None);
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while accepting || !self.running.is_empty() {
            let step = tokio::select! {
                biased;
                signal = signals.next() => {
                    let is_again = cancelled.is_some();
                    cancelled.get_or_insert(signal.to_owned());
                    self.on_signal(signal, is_again, tell);
                    Ok(())
                }
                // The writer says so when the result takes nothing more.
                () = self.stop.cancelled(), if accepting => {
                    accepting = false;
                    Ok(())
                }
                Some(ended) = self.running.join_next_with_id(), if !self.running.is_empty() => self.settle(ended).await,
                received = self.queue.receive(TICK), if accepting => received.map(|received| match received {
                    Received::Delivery(delivery) => self.start(*delivery),
                    Received::Nothing => {}
                    Received::Closed | Received::Gone => accepting = false,
                }),
                _ = ticks.tick() => {
                    tell(&self.progress());
                    Ok(())
                }
            };
            if let Err(error) = step {
                failed.get_or_insert(error.to_string());
                self.stop.cancel();
                accepting = false;
            }
        }
        (cancelled, failed)
    }

    /// The first one asks the servers to cancel, and waits for their answers; a second one on a terminal waits for nothing.
    fn on_signal(&mut self, signal: &str, is_again: bool, tell: &mut impl FnMut(&str)) {
        let is_terminal = io::stdin().is_terminal();
        if !is_again {
            let again = match is_terminal {
                true => "; Ctrl-C again ends at once",
                false => "",
            };
            tell(&format!(
                "{signal}: queries that run are cancelled, no other starts{again}"
            ));
            self.stop.cancel();
        } else if is_terminal {
            self.running.abort_all();
        }
    }

    fn progress(&self) -> String {
        format!(
            "{} of {} databases have answered, {} failed, {} are asked",
            self.answered,
            self.asked.len(),
            self.failed,
            self.running.len()
        )
    }

    fn start(&mut self, delivery: Delivery) {
        let platform = self.engine.platform();
        let Some(&index) = self.places.get(&delivery.target.key(platform)) else {
            return;
        };
        let (engine, asking) = (Arc::clone(&self.engine), Arc::clone(&self.asking));
        let (stop, path) = (self.stop.clone(), self.room.join(index.to_string()));
        let asked = Arc::clone(&self.asked);
        let task = self.running.spawn(async move {
            let (server, database) = asked.get(index).map_or(("", ""), |asked| {
                (asked.target.server.as_str(), asked.database())
            });
            asking.ask(&*engine, (server, database), &path, &stop).await
        });
        self.deliveries.insert(task.id(), (delivery, index));
    }

    async fn settle(
        &mut self,
        ended: Result<(Id, Result<Spilled, Failure>), JoinError>,
    ) -> Result<(), queue::Error> {
        let (id, result) = match ended {
            Ok((id, result)) => (id, Ok(result)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some((delivery, index)) = self.deliveries.remove(&id) else {
            return Ok(());
        };
        let answered = match result {
            Ok(Ok(answer)) => Answered::Answer(answer),
            Ok(Err(failure)) if failure.is_stop() => Answered::Fate(Fate::Skipped),
            Ok(Err(failure)) => Answered::Fate(self.failure(index, &failure)),
            Err(error) if error.is_cancelled() => Answered::Fate(Fate::Skipped),
            // Whatever a driver does, it costs one database.
            Err(error) => Answered::Fate(Fate::Failed(Box::new(ErrorReport {
                message: format!("the query broke down in this program: {error}"),
                ..ErrorReport::default()
            }))),
        };
        match &answered {
            Answered::Answer(_) => self.answered += 1,
            Answered::Fate(Fate::Failed(_)) => self.failed += 1,
            Answered::Fate(_) => {}
        }
        if self.to_writer.send((index, answered)).is_err() {
            self.stop.cancel();
        }
        self.queue.complete(&delivery).await
    }

    fn failure(&self, index: usize, failure: &Failure) -> Fate {
        let database = self.asked.get(index).map_or("", Asked::database);
        let report = failure.report(&self.asking.question, database);
        Fate::Failed(Box::new(report))
    }
}

/// What the writer leaves.
struct Written {
    fates: Vec<Fate>,
    output: io::Result<Option<PathBuf>>,
}

/// Starts the thread that alone writes the result, since standard output may be as slow as who reads it. It cancels `stop` when
/// the result takes nothing more.
fn start_writer(
    format: Format,
    asked: Arc<Vec<Asked>>,
    result: ResultFile,
    stop: CancellationToken,
) -> io::Result<(ToWriter, oneshot::Receiver<Written>)> {
    let (sender, receiver) = mpsc::channel();
    let (done, written) = oneshot::channel();
    let mut writer = Writer {
        form: format.writer(&asked),
        fates: vec![Fate::Skipped; asked.len()],
        asked,
        result,
        broken: None,
        stop,
    };
    std::thread::Builder::new()
        .name("result".into())
        .spawn(move || {
            writer.write_in_order(&receiver);
            // Nobody waits for it any more when the user has lost patience.
            done.send(writer.end()).ok();
        })?;
    Ok((sender, written))
}

struct Writer {
    form: Box<dyn Form>,
    asked: Arc<Vec<Asked>>,
    fates: Vec<Fate>,
    result: ResultFile,
    broken: Option<io::Error>,
    stop: CancellationToken,
}

impl Writer {
    fn write_in_order(&mut self, receiver: &mpsc::Receiver<(usize, Answered)>) {
        let mut waiting: BTreeMap<usize, Answered> = BTreeMap::new();
        let mut next = 0;
        while let Ok((index, answered)) = receiver.recv() {
            waiting.insert(index, answered);
            while let Some(answered) = waiting.remove(&next) {
                self.take(next, answered);
                next += 1;
            }
        }
        // Ended early: the order stays, what is missing is left out.
        for (index, answered) in waiting {
            self.take(index, answered);
        }
    }

    fn take(&mut self, index: usize, answered: Answered) {
        let fate = match answered {
            Answered::Fate(fate) => fate,
            Answered::Answer(answer) => {
                let fate = self.write(index, &answer);
                remove(&answer.path);
                fate
            }
        };
        if let Some(place) = self.fates.get_mut(index) {
            *place = fate;
        }
    }

    fn write(&mut self, index: usize, answer: &Spilled) -> Fate {
        let Some(asked) = self.asked.get(index) else {
            return Fate::Skipped;
        };
        if self.broken.is_some() {
            return Fate::Skipped;
        }
        let written = self
            .form
            .write(asked, answer, &mut self.result)
            .and_then(|()| self.result.flush().map_err(Unwritten::Output));
        match written {
            Ok(()) => Fate::Answered(answer.rows),
            Err(Unwritten::Output(error)) => self.give_up(error),
            // A part of the answer may be in the result already.
            Err(Unwritten::Kept(error)) => {
                let error = format!(
                    "the answer of {} cannot be read back: {error}",
                    asked.target
                );
                self.give_up(io::Error::other(error))
            }
            Err(unfit @ Unwritten::Unfit(_)) => Fate::Failed(Box::new(ErrorReport {
                database: Some(asked.database().to_owned()),
                message: unfit.to_string(),
                ..ErrorReport::default()
            })),
        }
    }

    fn give_up(&mut self, error: io::Error) -> Fate {
        self.broken = Some(error);
        self.stop.cancel();
        Fate::Skipped
    }

    fn end(mut self) -> Written {
        let content = Content::of(&self.fates);
        let output = match self.broken {
            Some(error) => Err(error),
            None => {
                let ended = self.form.finish(&mut self.result);
                ended.and_then(|()| self.result.finish(content))
            }
        };
        Written {
            fates: self.fates,
            output,
        }
    }
}

/// The folder goes at the end with all that is in it; what is not needed makes room before.
fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        log::debug!("cannot remove {}: {error}", path.display());
    }
}
