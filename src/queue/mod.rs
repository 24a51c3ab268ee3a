//! Hands targets to whoever builds them, within the limits on how many are built at once.
//!
//! Three words for limits: a *receiver* is one worker's handle of the queue; a *session* is a group of targets that share a
//! limit (a server or a tag), and at any time the targets of a session in flight are all with one receiver; a *lock* is the
//! receiver's right to a delivery, which ends by itself when nobody renews it.

mod in_process;
mod local;
mod window;

use std::{error, fmt, path::PathBuf, time::Duration};

use async_trait::async_trait;

use crate::{clock::Moment, protocol::Target};

pub use in_process::InProcess;
pub use local::{LocalQueue, Options};

/// How long a lock lasts that nobody renews, unless the queue is made with another duration.
pub const LOCK: Duration = Duration::from_secs(60);

/// A target that was handed out this often without a word of what became of it is put with the dead.
pub const MAX_DELIVERIES: u32 = 1_000;

/// Reason and description of such a target.
const WORN_OUT: (&str, &str) = (
    "MaxDeliveryCountExceeded",
    "it was handed out 1000 times, and each time it came back",
);

/// The targets of one run that still have to be built.
///
/// A target is *pending* until [`receive`](Queue::receive) hands it out, then *in flight* until its delivery is settled: by
/// [`complete`](Queue::complete), [`abandon`](Queue::abandon) or [`dead_letter`](Queue::dead_letter). It is pending again
/// when the lock of its delivery ends first. Whoever receives a delivery must settle it, else its slot stays taken until
/// the lock ends. All methods may be called from any number of tasks at once, and a future that is dropped before it is
/// ready loses nothing.
#[async_trait]
pub trait Queue: fmt::Debug + fmt::Display + Send + Sync {
    /// Makes the queue, or opens again one that was closed. What it holds stays.
    ///
    /// Only who hands targets in makes a queue; receivers find it or find it gone.
    async fn create(&self) -> Result<(), Error>;

    /// Hands in targets, all or none of them; each is delivered at least once until it is settled for good.
    ///
    /// Targets handed in twice are delivered twice. Fails with [`Error::Closed`] once the queue is closed, and with
    /// [`Error::Gone`] when there is none. After another error all or none of them are in the queue.
    async fn send_all(&self, targets: Vec<Target>, purpose: Purpose) -> Result<(), Error>;

    /// The next target that this receiver may build now; waits up to `wait` while the limits allow none or none is there.
    ///
    /// Sessions take turns; within a session, order is that of handing in, as far as nothing is handed out twice.
    async fn receive(&self, wait: Duration) -> Result<Received, Error>;

    /// Makes the lock of a delivery last its whole duration again, and says how long that is: by a clock read before the
    /// queue was asked.
    ///
    /// A session has one lock: with a delivery of a session, all its deliveries are renewed. Fails with
    /// [`Error::LockLost`] when the lock has ended or the delivery is settled; then another receiver may build the target.
    async fn renew(&self, delivery: &Delivery) -> Result<Moment, Error>;

    /// Settles a delivery whose target has its final result: it does not come back.
    ///
    /// Fails with [`Error::LockLost`] as `renew` does.
    async fn complete(&self, delivery: &Delivery) -> Result<(), Error>;

    /// Gives a delivery back: its target is pending again, and its next delivery counts one more.
    ///
    /// The queues of this machine put it behind the others of its session; services may hand it out next. Fails with
    /// [`Error::LockLost`] as `renew` does.
    async fn abandon(&self, delivery: &Delivery) -> Result<(), Error>;

    /// Settles a delivery whose target cannot be built and is not to be tried again; `reason` is a word, `description` says
    /// more.
    ///
    /// Fails with [`Error::LockLost`] as `renew` does.
    async fn dead_letter(
        &self,
        delivery: &Delivery,
        reason: &str,
        description: &str,
    ) -> Result<(), Error>;

    /// How many targets are left, for display: others may have changed it by the time it is read.
    async fn counts(&self) -> Result<Counts, Error>;

    /// The targets that were put with the dead, in no particular order.
    async fn dead(&self) -> Result<Vec<Dead>, Error>;

    /// Stops intake: no later call of `receive`, by any receiver, hands out a target.
    ///
    /// Takes out what is pending and gives it back, in the order of handing in within each session. Deliveries in flight stay
    /// valid; those that become pending again are given back by the next call.
    async fn close(&self) -> Result<Vec<Target>, Error>;

    /// Removes the queue with everything in it; all receivers learn that it is gone. Not an error when there is none.
    async fn remove(&self) -> Result<(), Error>;
}

/// What a receiver is to do with a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Build it.
    Build,
    /// Look into the ledgers of its databases what became of it, and change nothing.
    Reconcile,
}

/// What a receiver gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A target.
    Delivery(Box<Delivery>),
    /// There was none within the wait; there may be one later.
    Nothing,
    /// There will be none: the queue is closed or, when nobody else can fill it, everything is settled.
    Closed,
    /// There is no queue: it was removed or never made. Somebody may make it anew.
    Gone,
}

impl Received {
    /// The delivery, if it is one.
    pub fn delivery(self) -> Option<Delivery> {
        match self {
            Self::Delivery(delivery) => Some(*delivery),
            Self::Nothing | Self::Closed | Self::Gone => None,
        }
    }
}

/// One handing-out of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which handing-out this is; a redelivery has another.
    pub id: DeliveryId,
    /// What it is about.
    pub target: Target,
    /// How often the target has been handed out, this time included.
    pub count: u32,
    /// What is to be done.
    pub purpose: Purpose,
    /// The session that the target belongs to; none where the limit is one for all.
    pub session: Option<String>,
    /// Until when the delivery is this receiver's unless it is renewed, by a clock read before the queue was asked.
    pub locked_until: Moment,
}

/// Identifies a delivery within its queue, wide enough for a lock token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(pub u128);

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A target that is not tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// The target.
    pub target: Target,
    /// What was to be done.
    pub purpose: Purpose,
    /// How often it was handed out.
    pub count: u32,
    /// Why, in a word.
    pub reason: String,
    /// Why, in full.
    pub description: String,
}

/// How many targets a queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Not handed out.
    pub pending: usize,
    /// Handed out and not settled.
    pub in_flight: usize,
    /// Put with the dead.
    pub dead: usize,
    /// Whether it is closed.
    pub closed: bool,
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
    /// There is no queue.
    #[error("{queue} is gone: it was removed or never made")]
    Gone {
        /// The queue.
        queue: String,
    },
    /// The delivery was settled before, its lock has ended, or it is another queue's.
    #[error("delivery {id} of target {target} is not in flight any more")]
    LockLost {
        /// The delivery.
        id: DeliveryId,
        /// Its target, as a user knows it.
        target: String,
    },
    /// Somebody else has kept the queue locked for too long. The same call may succeed later.
    #[error("{queue} is locked by another program, and was not free within {} s", waited.as_secs())]
    Busy {
        /// The queue.
        queue: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// What is there in place of the queue is something else. It was not changed.
    #[error("{} cannot be used as a queue: {why}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The service behind the queue failed.
    #[error("{queue} failed: {source}")]
    Other {
        /// The queue.
        queue: String,
        /// What the service says.
        source: Box<dyn error::Error + Send + Sync>,
    },
}

impl Error {
    fn lock_lost(delivery: &Delivery) -> Self {
        Self::LockLost {
            id: delivery.id,
            target: delivery.target.to_string(),
        }
    }
}
