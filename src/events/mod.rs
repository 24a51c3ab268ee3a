//! Progress on its way from workers to whoever watches.

mod in_process;

use std::fmt::{Debug, Display};

pub use in_process::{InProcess, Subscription};

use crate::protocol::Event;

/// Where workers say what they do.
///
/// Events are for the eyes: an implementation may lose them, and must never block or fail a build.
pub trait Events: Debug + Display + Send + Sync {
    /// Hands over an event and returns at once.
    fn publish(&self, event: Event);
}
