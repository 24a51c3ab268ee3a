//! Finding out what became of targets without a final line: workers look into the ledgers of their databases.

use std::time::Duration;

use super::{
    Error, Keeper, Site,
    evidence::Evidence,
    send::{double, send},
    workers::Workers,
};
use crate::{
    clock::Moment,
    protocol::{Phase, Target, TargetKey},
    queue::{self, Counts, Purpose},
};

/// How long nothing may be heard while targets are looked into.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often the queue is asked how much it holds.
const LOOK: Duration = Duration::from_millis(300);

/// Targets that are being looked into.
#[derive(Debug)]
pub(super) struct Reconciling {
    keys: Vec<TargetKey>,
    until: Moment,
    patience: Duration,
    next: Moment,
    idle: bool,
}

impl Reconciling {
    /// Sends the messages. Builds of the same targets may still be under way.
    pub(super) async fn begin(
        site: &Site,
        keeper: &Keeper,
        targets: Vec<(TargetKey, Target)>,
        patience: Duration,
    ) -> Result<Self, Error> {
        if keeper.control().await.phase == Phase::Open {
            double(keeper).await?;
        }
        // Opens it again where it was closed, or makes it anew where it was removed.
        site.queue.create().await?;
        let (keys, targets): (Vec<_>, Vec<_>) = targets.into_iter().unzip();
        send(site, keeper, targets, Purpose::Reconcile).await?;
        let patience = patience.max(PATIENCE);
        Ok(Self {
            keys,
            until: Moment::now() + patience,
            patience,
            next: Moment::now() + LOOK,
            idle: false,
        })
    }

    /// Whether everything is told that will be.
    pub(super) async fn is_over(
        &mut self,
        site: &Site,
        evidence: &Evidence,
        workers: &Workers,
    ) -> bool {
        if *workers != Workers::Fine {
            return true;
        }
        if !self.next.has_passed() {
            return false;
        }
        self.next = Moment::now() + LOOK;
        let open = self.keys.len();
        self.keys.retain(|key| evidence.state_of(key).is_none());
        if self.keys.is_empty() {
            return true;
        }
        if self.keys.len() < open {
            self.until = Moment::now() + self.patience;
        }
        if self.until.has_passed() {
            return true;
        }
        // Twice in a row, because a line may be stored between the lines' reading and the counting.
        let was_idle = self.idle;
        self.idle = is_idle(site.queue.counts().await);
        was_idle && self.idle
    }
}

/// Whether a queue has nothing for workers to do. One that cannot be asked may have.
pub(super) fn is_idle(counts: Result<Counts, queue::Error>) -> bool {
    match counts {
        Ok(counts) => counts.pending == 0 && counts.in_flight == 0,
        Err(queue::Error::Gone { .. }) => true,
        Err(error) => {
            log::warn!("it is not known what the queue holds: {error}");
            false
        }
    }
}
