//! The lease that makes a process the conductor, and the control document that it writes.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::sleep};
use tokio_util::task::AbortOnDropHandle;

use super::Error;
use crate::{
    clock::{self, Moment},
    protocol::{Control, RunPaths, Wave},
    storage::{self, Condition, Lease, Storage},
    worker::identity,
};

/// So long before the lease may lapse its holder takes it for lost.
const MARGIN: Duration = Duration::from_secs(10);

/// The pause after a write that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// Whoever has one conducts the run, and nobody else does: it holds the lease of the control document.
///
/// The lease is renewed, and the document written anew as a sign of life, by a task of its own. When that cannot be done for
/// nearly as long as the lease lasts, it is lost: from then on nothing is written.
#[derive(Debug)]
pub struct Keeper {
    inner: Arc<Inner>,
    _heart: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Inner {
    storage: Arc<dyn Storage>,
    name: String,
    lease: Lease,
    /// What is stored. Held while it is written, so that writings do not overtake each other.
    control: tokio::sync::Mutex<Control>,
    /// The clock before the last renewal that succeeded.
    renewed: Mutex<Moment>,
    lost: watch::Sender<bool>,
}

impl Keeper {
    /// Takes the lease if nobody has it.
    pub(super) async fn take(
        storage: &Arc<dyn Storage>,
        paths: &RunPaths,
    ) -> Result<Option<Self>, Error> {
        let (asked, name) = (Moment::now(), paths.control());
        let Some(lease) = storage.lease(&name, Control::LEASE).await? else {
            return Ok(None);
        };
        let object = storage.get(&name).await?;
        let object = object.ok_or_else(|| storage::Error::NoObject {
            place: storage.to_string(),
            name: name.clone(),
        })?;
        let mut control = Control::read(&object.bytes)?;
        control.conductor = identity::worker();
        let inner = Arc::new(Inner {
            storage: Arc::clone(storage),
            name,
            lease,
            control: tokio::sync::Mutex::new(control),
            renewed: Mutex::new(asked),
            lost: watch::Sender::new(false),
        });
        let heart = tokio::spawn(beat(Arc::clone(&inner)));
        Ok(Some(Self {
            inner,
            _heart: AbortOnDropHandle::new(heart),
        }))
    }

    /// The waves of the run.
    pub async fn waves(&self) -> Vec<Wave> {
        self.control().await.waves
    }

    /// What is stored.
    pub(super) async fn control(&self) -> Control {
        self.inner.control.lock().await.clone()
    }

    /// Changes what is stored; ready when it is. Fails with [`Error::Lost`] when somebody else may conduct by now.
    pub(super) async fn change(
        &self,
        change: impl FnOnce(&mut Control) + Send,
    ) -> Result<(), Error> {
        self.inner.write(change).await
    }

    /// Ready when somebody else may conduct.
    pub(super) async fn lost(&self) {
        let mut lost = self.inner.lost.subscribe();
        // The sender lives as long as this does.
        lost.wait_for(|lost| *lost).await.ok();
    }

    /// Gives the lease back, and says that nobody conducts. One that cannot be given back lapses.
    pub async fn release(self) {
        if let Err(error) = self.change(|control| control.conductor.clear()).await {
            log::debug!("{error}");
        }
        let Self {
            inner,
            _heart: heart,
        } = self;
        drop(heart);
        if let Err(error) = inner.storage.release(inner.lease.clone()).await {
            log::debug!("the lease is not given back: {error}");
        }
    }
}

/// Keeps the lease until it is lost.
async fn beat(inner: Arc<Inner>) {
    while !*inner.lost.borrow() {
        sleep(Control::HEARTBEAT).await;
        if let Err(error) = inner.write(|_| {}).await {
            log::debug!("the heartbeat ends: {error}");
        }
    }
}

impl Inner {
    async fn write(&self, change: impl FnOnce(&mut Control) + Send) -> Result<(), Error> {
        let mut stored = self.control.lock().await;
        let mut control = stored.clone();
        change(&mut control);
        control.sequence += 1;
        while !*self.lost.borrow() {
            let tried = tokio::select! {
                tried = self.try_write(&control) => tried,
                () = clock::sleep_until(self.until()) => {
                    log::warn!("the control document could not be written for so long that another process may conduct the run");
                    break;
                }
            };
            match tried {
                Ok(()) => {
                    *stored = control;
                    return Ok(());
                }
                Err(
                    error @ (storage::Error::LeaseLost { .. }
                    | storage::Error::Leased { .. }
                    | storage::Error::NoPlace { .. }),
                ) => {
                    log::warn!("{error}");
                    break;
                }
                Err(error) => {
                    log::warn!("the control document is not written yet: {error}");
                    sleep(PAUSE).await;
                }
            }
        }
        self.lost.send_replace(true);
        Err(Error::Lost)
    }

    async fn try_write(&self, control: &Control) -> Result<(), storage::Error> {
        let asked = Moment::now();
        self.storage.renew(&self.lease).await?;
        *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        let condition = Condition::leased(&self.lease.id);
        self.storage
            .put(&self.name, control.to_json().into(), condition)
            .await?;
        Ok(())
    }

    /// From when on somebody else may have the lease.
    fn until(&self) -> Moment {
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        renewed + Control::LEASE - MARGIN
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{protocol::Phase, storage::LocalFolder};

    struct World {
        _folder: tempfile::TempDir,
        storage: Arc<dyn Storage>,
        paths: RunPaths,
    }

    async fn world() -> World {
        let folder = tempfile::tempdir().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(LocalFolder::new(&folder.path().join("job")));
        storage.create().await.unwrap();
        let run_id = Uuid::from_u128(7);
        let paths = RunPaths::new(run_id);
        let (name, control) = (paths.control(), Control::new(run_id).to_json());
        let put = storage.put(&name, control.into(), Condition::Any);
        put.await.unwrap();
        World {
            _folder: folder,
            storage,
            paths,
        }
    }

    impl World {
        async fn take(&self) -> Option<Keeper> {
            Keeper::take(&self.storage, &self.paths).await.unwrap()
        }

        async fn stored(&self) -> Control {
            let object = self.storage.get(&self.paths.control()).await.unwrap();
            Control::read(&object.unwrap().bytes).unwrap()
        }
    }

    #[tokio::test]
    async fn one_process_conducts_until_it_gives_the_lease_back() {
        let world = world().await;
        let keeper = world.take().await.unwrap();
        assert!(world.take().await.is_none());
        keeper
            .change(|control| control.phase = Phase::Draining)
            .await
            .unwrap();
        let stored = world.stored().await;
        assert_eq!((stored.phase, stored.sequence), (Phase::Draining, 2));
        assert_eq!(stored.conductor, identity::worker());
        keeper.release().await;
        assert_eq!(world.stored().await.conductor, "");
        let next = world.take().await.unwrap();
        assert_eq!(next.control().await.phase, Phase::Draining);
    }

    #[tokio::test]
    async fn whoever_has_lost_the_lease_writes_nothing_any_more() {
        let world = world().await;
        let keeper = world.take().await.unwrap();
        world
            .storage
            .delete(&world.paths.control(), Some(&keeper.inner.lease.id))
            .await
            .unwrap();
        let changed = keeper.change(|control| control.roll_back = true).await;
        assert!(matches!(changed, Err(Error::Lost)), "{changed:?}");
        keeper.lost().await;
        let stored = world.storage.get(&world.paths.control()).await.unwrap();
        assert!(stored.is_none());
        let again = keeper.change(|_| {}).await;
        assert!(matches!(again, Err(Error::Lost)));
    }
}
