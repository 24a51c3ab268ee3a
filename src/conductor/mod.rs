//! Conducts a run that other processes build: opens it, sends its targets, keeps its workers, and ends it with one state per
//! target.
//!
//! Exactly one process is the *conductor* of a run: the one that holds the lease of its control document ([`Keeper`]). Every other
//! one only *follows*, and takes over when the lease lapses ([`watch()`]). All that a conductor knows stands in the storage, so any
//! process may go on where another one was killed:
//!
//! | what is stored | and what whoever takes over makes of it |
//! | --- | --- |
//! | `current.json` names the run | a run that is not named was never begun |
//! | a wave is `enqueueing`, not `enqueued` | it may have been sent in part: it is sent again, and `doubled` says so |
//! | the manifest names workers | they are started again when they are gone |
//! | `Draining` | the run is brought to its end |
//! | `Closed` | what is left is removed, and the verdict read from the lines |
//!
//! The verdict is the merge of the result lines in the storage and nothing else, so all who watch come to the same. What the
//! conductor itself says of a target (`Skipped`) is such a line.

mod cleanup;
mod conduct;
mod ending;
mod error;
mod evidence;
mod follow;
mod keeper;
mod opening;
mod probe;
mod reconcile;
mod send;
mod standing;
mod waves;
mod workers;

use std::{fmt, sync::Arc};

pub use cleanup::{CleanedUp, clean_up, dequeue, give_up};
pub use conduct::Ended;
pub use error::Error;
pub use follow::{Watched, watch};
pub use keeper::Keeper;
pub use opening::{Opening, open, take, take_if_free};
pub use send::enqueue;
pub use standing::Standing;
pub use workers::deploy;

use crate::{
    backend::Backend,
    engine::Engine,
    events::EventReader,
    protocol::{MadeObject, RunPaths},
    queue::Queue,
    storage::Storage,
};

/// Everything that a run is conducted with.
#[derive(Clone)]
pub struct Site {
    /// The name of the job.
    pub job_name: String,
    /// The names of the run's objects.
    pub paths: RunPaths,
    /// Where everything stands.
    pub storage: Arc<dyn Storage>,
    /// How targets come to workers.
    pub queue: Arc<dyn Queue>,
    /// What has to be removed with the queue.
    pub queue_object: MadeObject,
    /// How progress comes back.
    pub events: Arc<dyn EventReader>,
    /// Where workers live.
    pub backend: Arc<dyn Backend>,
    /// Whether this process has the secrets without which no worker can be started.
    pub can_deploy: bool,
    /// By which a probe asks databases; none where that cannot be done from here.
    pub engine: Option<Arc<dyn Engine>>,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("job_name", &self.job_name)
            .field("storage", &self.storage)
            .field("queue", &self.queue)
            .field("backend", &self.backend)
            .finish_non_exhaustive()
    }
}
