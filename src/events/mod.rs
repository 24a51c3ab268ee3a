//! Progress on its way from workers to whoever watches.

mod in_process;
mod local;
mod outbox;

use std::fmt::{Debug, Display};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

pub use in_process::{InProcess, Subscription};
pub use local::{LocalEventReader, LocalEvents};
pub(crate) use outbox::{Outbox, Waiting};

use crate::protocol::Event;

/// Where workers say what they do.
///
/// Events are for the eyes: an implementation may lose them, and must never block or fail a build.
#[async_trait]
pub trait Events: Debug + Display + Send + Sync {
    /// Hands over an event and returns at once.
    fn publish(&self, event: Event);

    /// How many events were lost on this side, as far as is known.
    fn dropped(&self) -> u64 {
        0
    }

    /// Sends what still waits, within a few seconds, and logs what was lost. What is published afterwards is lost.
    async fn close(&self) {}
}

/// Where somebody who watches a run reads what its workers say.
#[async_trait]
pub trait EventReader: Debug + Display + Send + Sync {
    /// The events of the run that happened at `since` or later, those that are stored already and those to come.
    ///
    /// Every feed gets all of them. They are in order for each worker, unless a batch was lost, and may come more than once.
    async fn subscribe(&self, since: Timestamp) -> Result<Feed, FeedError>;
}

/// Why nobody can watch.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The storage of the events.
    #[error(transparent)]
    Storage(#[from] crate::storage::Error),
    /// The service that has the events.
    #[error("{place} cannot be read: {source}")]
    Service {
        /// What was to be read.
        place: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Events as they come. Reading ends when it is dropped.
#[derive(Debug)]
pub struct Feed {
    events: mpsc::Receiver<Event>,
    _reader: AbortOnDropHandle<()>,
}

impl Feed {
    /// A feed of what `reader` sends.
    pub(crate) fn new(events: mpsc::Receiver<Event>, reader: AbortOnDropHandle<()>) -> Self {
        Self {
            events,
            _reader: reader,
        }
    }

    /// Waits for the next event; `None` when nothing comes any more. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}
