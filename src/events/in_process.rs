//! Events within one process.

use std::fmt;

use tokio::sync::mpsc;

use super::Events;
use crate::protocol::Event;

/// The sending side. Nothing is lost while the subscription lives; a run has a few events per target, so they need no limit.
#[derive(Clone, Debug)]
pub struct InProcess {
    sender: mpsc::UnboundedSender<Event>,
}

/// The receiving side.
pub type Subscription = mpsc::UnboundedReceiver<Event>;

impl InProcess {
    /// Both sides.
    pub fn new() -> (Self, Subscription) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender }, receiver)
    }
}

impl fmt::Display for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("events of this process")
    }
}

impl Events for InProcess {
    fn publish(&self, event: Event) {
        // Nobody listens any more when the run has ended.
        self.sender.send(event).ok();
    }
}
