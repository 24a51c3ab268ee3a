//! What a queue's thread is asked to do, and how it answers: only when the change is in the file.

use std::{
    fmt, io,
    sync::{Arc, Weak, mpsc},
    time::Instant,
};

use tokio::sync::oneshot;

use super::{DeliveryId, Received, records::Records};

/// Why something was not done. A copy goes to everybody whom it concerns.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    Closed,
    Gone,
    LockLost,
    Busy,
    /// The file is something else.
    Refused(String),
    /// The thread is not there.
    Stopped,
    Sqlite(Arc<rusqlite::Error>),
    File(Arc<io::Error>),
}

impl Trouble {
    /// Whether only the one who asked is concerned, and nothing was changed.
    fn is_an_answer(&self) -> bool {
        matches!(self, Self::Closed | Self::LockLost)
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, NotADatabase};

        match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => Self::Busy,
            Some(NotADatabase) => Self::Refused("it is no SQLite database".to_owned()),
            _ => Self::Sqlite(Arc::new(error)),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::File(Arc::new(error))
    }
}

/// Where an answer goes.
pub(super) type Answer<T> = oneshot::Sender<Result<T, Trouble>>;

/// What the thread is asked for.
pub(super) enum Request {
    Create(Answer<()>),
    Remove(Answer<()>),
    Receive {
        until: Instant,
        answer: Answer<Handed>,
    },
    Work(Mode, Box<dyn Step>),
    /// A delivery that was handed out has not reached anybody.
    TakeBack(DeliveryId),
}

/// In which transaction something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// In none, since nothing is changed.
    Read,
    /// In one with everything that is asked for at the same time.
    Together,
    /// In its own, since it may be big.
    Alone,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create(_) => "Create",
            Self::Remove(_) => "Remove",
            Self::Receive { .. } => "Receive",
            Self::Work(..) => "Work",
            Self::TakeBack(_) => "TakeBack",
        })
    }
}

/// A part of a transaction.
pub(super) trait Step: Send {
    /// Does it. An error makes the whole transaction undone.
    fn run(&mut self, records: &Records<'_>) -> Result<(), Trouble>;

    /// Tells the one who asked, now that the transaction has ended.
    fn answer(self: Box<Self>, committed: Result<(), Trouble>);
}

type Work<T> = Box<dyn FnOnce(&Records<'_>) -> Result<T, Trouble> + Send>;

/// A step with its value.
pub(super) struct Job<T> {
    work: Option<Work<T>>,
    done: Option<Result<T, Trouble>>,
    answer: Answer<T>,
}

impl<T: Send + 'static> Job<T> {
    pub(super) fn boxed(
        work: impl FnOnce(&Records<'_>) -> Result<T, Trouble> + Send + 'static,
        answer: Answer<T>,
    ) -> Box<dyn Step> {
        Box::new(Self {
            work: Some(Box::new(work)),
            done: None,
            answer,
        })
    }
}

impl<T: Send> Step for Job<T> {
    fn run(&mut self, records: &Records<'_>) -> Result<(), Trouble> {
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        let done = work(records);
        let undo = match &done {
            Err(trouble) if !trouble.is_an_answer() => Err(trouble.clone()),
            _ => Ok(()),
        };
        self.done = Some(done);
        undo
    }

    fn answer(self: Box<Self>, committed: Result<(), Trouble>) {
        let done = self.done.unwrap_or(Err(Trouble::Stopped));
        // Who does not wait any more does not want to know.
        drop(self.answer.send(committed.and(done)));
    }
}

/// A delivery on its way to a receiver. One that does not arrive is taken back, as if it had never been handed out.
#[derive(Debug)]
pub(super) struct Handed {
    received: Received,
    back: Weak<mpsc::Sender<Request>>,
}

impl Handed {
    pub(super) fn new(received: Received, back: Weak<mpsc::Sender<Request>>) -> Self {
        Self { received, back }
    }

    /// What was on its way; it has arrived, or the caller sees to it.
    pub(super) fn into_received(mut self) -> Received {
        std::mem::replace(&mut self.received, Received::Nothing)
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if let Received::Delivery(delivery) = &self.received
            && let Some(requests) = self.back.upgrade()
        {
            // Without the thread, the lock ends by itself.
            drop(requests.send(Request::TakeBack(delivery.id)));
        }
    }
}
