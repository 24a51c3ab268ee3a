//! Hands targets to whoever builds them, within the limits on how many are built at once.

mod in_process;
mod window;

use std::{error, fmt};

use async_trait::async_trait;

use crate::protocol::Target;

pub use in_process::InProcess;

/// The targets of one run that still have to be built.
///
/// A target is *pending* until [`receive`](Queue::receive) hands it out, then *in flight* until its delivery is
/// completed or abandoned. Whoever receives a delivery must settle it in one of these ways, else its slot stays taken.
/// All methods may be called from any number of tasks at once.
#[async_trait]
pub trait Queue: fmt::Debug + fmt::Display + Send + Sync {
    /// Hands in targets, all or none of them; each is delivered at least once until it is completed.
    ///
    /// Targets handed in twice are delivered twice. Fails with [`Error::Closed`] once the queue is closed.
    async fn send_all(&self, targets: Vec<Target>) -> Result<(), Error>;

    /// The next target that may be built now; waits while the limits allow none.
    ///
    /// `None` when the queue is closed, and when nothing is pending or in flight any more, so targets must be handed in
    /// before the first call. The groups that share a limit take turns; within a group, order is that of handing in.
    /// Dropping the future before it is ready loses nothing.
    async fn receive(&self) -> Result<Option<Delivery>, Error>;

    /// Settles a delivery whose target has its final result: it does not come back.
    ///
    /// Fails with [`Error::NotInFlight`] when the delivery is settled already.
    async fn complete(&self, delivery: &Delivery) -> Result<(), Error>;

    /// Gives a delivery back: its target is pending again behind the others of its group, and its next delivery counts
    /// one more.
    ///
    /// Fails with [`Error::NotInFlight`] when the delivery is settled already.
    async fn abandon(&self, delivery: &Delivery) -> Result<(), Error>;

    /// How many targets are left. Other tasks may have changed it by the time it is read.
    async fn counts(&self) -> Result<Counts, Error>;

    /// Stops intake: no later call of `receive` hands out a target, and the calls that wait end with `None`.
    ///
    /// Gives back what is pending, in the order of handing in within each group. Deliveries in flight stay valid; those
    /// abandoned from now on are given back by the next call.
    async fn close(&self) -> Result<Vec<Target>, Error>;
}

/// One handing-out of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which handing-out this is; a redelivery has another.
    pub id: DeliveryId,
    /// What is to be built.
    pub target: Target,
    /// How often the target has been handed out, this time included.
    pub count: u32,
}

/// Identifies a delivery within its queue, wide enough for a lock token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub u128);

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many targets a queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Not handed out.
    pub pending: usize,
    /// Handed out and not settled.
    pub in_flight: usize,
}

/// Why a queue did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing can be handed in any more.
    #[error("{queue} is closed and takes no more targets")]
    Closed {
        /// The queue.
        queue: String,
    },
    /// The delivery was completed or abandoned before, or is another queue's.
    #[error("delivery {id} of target {target} is not in flight any more")]
    NotInFlight {
        /// The delivery.
        id: DeliveryId,
        /// Its target, as a user knows it.
        target: String,
    },
    /// The service behind the queue failed.
    #[error("{queue} failed")]
    Other {
        /// The queue.
        queue: String,
        /// What the service says.
        source: Box<dyn error::Error + Send + Sync>,
    },
}
