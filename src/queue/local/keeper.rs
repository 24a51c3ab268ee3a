//! The thread that works on the file, for all who ask in this process.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Weak,
        mpsc::{Receiver as Requests, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use super::{
    Delivery, DeliveryId, Options, Received,
    file::QueueFile,
    job::{Answer, Handed, Mode, Request, Step, Trouble},
    make,
    receivers::Receiver,
    records::Records,
    turns::Limits,
};
use crate::clock::Moment;

/// How often it is looked whether another process has changed the file, while somebody waits.
const LOOK: Duration = Duration::from_millis(20);

/// How often it is looked whether there is something to hand out, even if nobody has changed the file: locks end.
const LOOK_ANYWAY: Duration = Duration::from_millis(400);

/// How often it is looked whether the queue was removed, while nobody waits.
const LOOK_AROUND: Duration = Duration::from_millis(500);

/// How much is put into one transaction at most.
const TOGETHER: usize = 256;

/// Owns the file, and those who wait for a target.
pub(super) struct Keeper {
    path: PathBuf,
    options: Options,
    limits: Limits,
    requests: Requests<Request>,
    /// For deliveries that do not arrive.
    back: Weak<Sender<Request>>,
    file: Option<QueueFile>,
    /// This receiver in the present file.
    receiver: Option<Receiver>,
    waiting: VecDeque<Waiting>,
    /// What SQLite calls the version of the file's content when it was last looked at.
    seen: i64,
    looked: Instant,
}

/// A call of `receive` that has no answer yet.
struct Waiting {
    until: Instant,
    answer: Answer<Handed>,
}

/// What was asked for at the same time.
#[derive(Default)]
struct Together {
    steps: Vec<Box<dyn Step>>,
    take_back: Vec<DeliveryId>,
}

impl Together {
    fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.take_back.is_empty()
    }
}

/// What came of it for those who wait.
#[derive(Default)]
struct Round {
    handed: Vec<Delivery>,
    is_closed: bool,
}

impl Keeper {
    pub(super) fn new(
        path: &Path,
        options: Options,
        requests: Requests<Request>,
        back: Weak<Sender<Request>>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            options,
            limits: Limits::new(&options),
            requests,
            back,
            file: None,
            receiver: None,
            waiting: VecDeque::new(),
            seen: 0,
            looked: Instant::now(),
        }
    }

    /// Works until nobody can ask any more.
    pub(super) fn run(mut self) {
        loop {
            let first = match self.next() {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let is_asked = first.is_some();
            let others = self.requests.try_iter().take(TOGETHER);
            let requests: Vec<Request> = first.into_iter().chain(others).collect();
            let mut together = Together::default();
            for request in requests {
                self.sort(request, &mut together);
            }
            if is_asked || self.is_time_to_look() {
                self.do_together(together);
            }
            self.end_waits();
        }
    }

    fn next(&self) -> Result<Request, RecvTimeoutError> {
        let until = self.waiting.iter().map(|waiting| waiting.until).min();
        let timeout = match (until, &self.file) {
            (Some(until), _) => LOOK.min(until.saturating_duration_since(Instant::now())),
            (None, Some(_)) => LOOK_AROUND,
            (None, None) => return self.requests.recv().map_err(Into::into),
        };
        self.requests.recv_timeout(timeout)
    }

    /// Does at once what is not done together with others.
    fn sort(&mut self, request: Request, together: &mut Together) {
        match request {
            Request::Receive { until, answer } => {
                self.waiting.push_back(Waiting { until, answer });
            }
            Request::TakeBack(id) => together.take_back.push(id),
            Request::Work(Mode::Together, step) => together.steps.push(step),
            Request::Work(Mode::Alone, mut step) => {
                let done = self.transaction(|records| step.run(records));
                step.answer(done);
            }
            Request::Work(Mode::Read, mut step) => {
                let done = self.read(|records| step.run(records));
                step.answer(done);
            }
            Request::Create(answer) => drop(answer.send(make::create(&self.path, &self.options))),
            Request::Remove(answer) => drop(answer.send(self.remove())),
        }
    }

    fn is_time_to_look(&mut self) -> bool {
        let Some(file) = &self.file else {
            return !self.waiting.is_empty();
        };
        if self.waiting.is_empty() || self.looked.elapsed() >= LOOK_ANYWAY {
            return true;
        }
        match file.version() {
            Ok(version) if version == self.seen => false,
            Ok(version) => {
                self.seen = version;
                true
            }
            Err(_) => true,
        }
    }

    /// Settles, renews and hands out, and tells everybody when it is in the file.
    fn do_together(&mut self, mut together: Together) {
        self.looked = Instant::now();
        self.waiting.retain(|waiting| !waiting.answer.is_closed());
        let round = self.round(&mut together);
        for step in together.steps {
            step.answer(round.as_ref().map(|_| ()).map_err(Trouble::clone));
        }
        match round {
            Ok(round) if round.is_closed => self.tell_all(&Trouble::Closed),
            Ok(round) => self.deliver(round.handed),
            Err(trouble) => self.tell_all(&trouble),
        }
    }

    fn round(&mut self, together: &mut Together) -> Result<Round, Trouble> {
        let asked = Moment::now();
        if together.is_empty() && !self.may_hand_out()? {
            return Ok(Round::default());
        }
        let (limits, wanted, mut receiver) = (self.limits, self.waiting.len(), self.receiver);
        let round = self.transaction(|records| {
            for id in &together.take_back {
                records.take_back(*id)?;
            }
            for step in &mut together.steps {
                step.run(records)?;
            }
            let is_closed = records.is_closed()?;
            if is_closed || wanted == 0 {
                return Ok(Round {
                    is_closed,
                    handed: Vec::new(),
                });
            }
            let receiver = match &mut receiver {
                Some(receiver) => receiver,
                none => none.insert(records.register()?),
            };
            let handed = hand_out(records, receiver, limits, wanted, asked)?;
            Ok(Round { is_closed, handed })
        })?;
        self.receiver = receiver;
        Ok(round)
    }

    /// Whether it is worth the lock of the file to try; looks without it.
    fn may_hand_out(&mut self) -> Result<bool, Trouble> {
        let (receiver, limits) = (self.receiver, self.limits);
        let is_waited_for = !self.waiting.is_empty();
        self.read(|records| {
            let is_closed = records.is_closed()?;
            if !is_waited_for {
                return Ok(false);
            }
            let says = match receiver {
                _ if !records.has_sessions() => false,
                Some(receiver) => receiver.has_to_say(records.now),
                None => true,
            };
            let is_full = match receiver {
                Some(receiver) => records.in_flight_of(receiver.id)? >= limits.total,
                None => false,
            };
            Ok(is_closed
                || says
                || records.has_locks_that_ended()?
                || (!is_full && records.has_pending()?))
        })
    }

    /// Gives each delivery to one who waits. One that nobody waits for any more is taken back.
    fn deliver(&mut self, handed: Vec<Delivery>) {
        for mut delivery in handed {
            let id = delivery.id;
            loop {
                let Some(waiting) = self.waiting.pop_front() else {
                    if let Err(trouble) = self.transaction(|records| records.take_back(id)) {
                        log::debug!("delivery {id} stays locked for a while: {trouble:?}");
                    }
                    break;
                };
                let received = Received::Delivery(Box::new(delivery));
                let handed = Handed::new(received, self.back.clone());
                match waiting.answer.send(Ok(handed)) {
                    Err(Ok(handed)) => match handed.into_received().delivery() {
                        Some(again) => delivery = again,
                        None => break,
                    },
                    _ => break,
                }
            }
        }
    }

    fn tell_all(&mut self, trouble: &Trouble) {
        for waiting in self.waiting.drain(..) {
            drop(waiting.answer.send(Err(trouble.clone())));
        }
    }

    fn end_waits(&mut self) {
        let now = Instant::now();
        let all = std::mem::take(&mut self.waiting).into_iter();
        let (over, waiting): (VecDeque<Waiting>, _) = all.partition(|waiting| waiting.until <= now);
        self.waiting = waiting;
        for waiting in over {
            let nothing = Handed::new(Received::Nothing, self.back.clone());
            drop(waiting.answer.send(Ok(nothing)));
        }
    }

    fn remove(&mut self) -> Result<(), Trouble> {
        self.leave();
        match QueueFile::open_any(&self.path, &self.options) {
            Ok(file) => file.remove(&self.path),
            Err(Trouble::Gone) => make::check_beside(&self.path),
            Err(trouble) => Err(trouble),
        }
    }

    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Records<'_>) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let kind = self.options.concurrency.kind;
        let done = self.open().and_then(|file| file.transaction(kind, work));
        self.leave_when_gone(done)
    }

    fn read<T>(
        &mut self,
        work: impl FnOnce(&Records<'_>) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let kind = self.options.concurrency.kind;
        let done = self
            .open()
            .and_then(|file| work(&Records::new(&file.connection, kind, file.lock)));
        self.leave_when_gone(done)
    }

    /// The file that has the name now.
    fn open(&mut self) -> Result<&QueueFile, Trouble> {
        if self
            .file
            .as_ref()
            .is_some_and(|file| !file.is_there(&self.path))
        {
            self.leave();
        }
        match &mut self.file {
            Some(file) => Ok(file),
            none => Ok(none.insert(QueueFile::open(&self.path, &self.options)?)),
        }
    }

    fn leave_when_gone<T>(&mut self, done: Result<T, Trouble>) -> Result<T, Trouble> {
        let is_there = |file: &QueueFile| file.is_there(&self.path);
        match done {
            Err(Trouble::Sqlite(_)) if !self.file.as_ref().is_none_or(is_there) => {
                self.leave();
                Err(Trouble::Gone)
            }
            Err(Trouble::Gone) => {
                self.leave();
                Err(Trouble::Gone)
            }
            done => done,
        }
    }

    fn leave(&mut self) {
        self.file = None;
        self.receiver = None;
    }
}

/// Hands out up to `wanted` targets, as far as the receiver has free slots.
fn hand_out(
    records: &Records<'_>,
    receiver: &mut Receiver,
    limits: Limits,
    wanted: usize,
    asked: Moment,
) -> Result<Vec<Delivery>, Trouble> {
    let mut handed = Vec::new();
    let mut free = limits.total - records.in_flight_of(receiver.id)?;
    while handed.len() < wanted && free > 0 {
        match records.take(receiver.id, limits, asked)? {
            Some(delivery) => handed.push(delivery),
            None => break,
        }
        free -= 1;
    }
    if records.has_sessions() {
        records.note_waiting(receiver, handed.len() < wanted && free > 0)?;
    }
    Ok(handed)
}
