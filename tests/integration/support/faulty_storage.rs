//! A storage whose appends fail, are torn or wait, when a test says so.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use sbm::storage::{
    Condition, Error, Lease, LeaseId, Listed, LocalFolder, Object, Storage, Version,
};
use tempfile::TempDir;
use tokio::sync::Semaphore;

/// A folder behind a door.
#[derive(Debug)]
pub(crate) struct FaultyStorage {
    pub(crate) inner: LocalFolder,
    /// So many of the next appends fail.
    pub(crate) failures: AtomicU32,
    /// Whether half of a piece that fails is written.
    pub(crate) torn: bool,
    /// Appends that have been asked for.
    pub(crate) appends: AtomicU32,
    /// Each append takes a permit.
    pub(crate) door: Semaphore,
    _folder: TempDir,
}

impl FaultyStorage {
    /// A store in a folder of its own.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inner = LocalFolder::new(folder.path());
        assert!(inner.create().await.unwrap());
        Self {
            inner,
            failures: AtomicU32::new(0),
            torn: false,
            appends: AtomicU32::new(0),
            door: Semaphore::new(Semaphore::MAX_PERMITS),
            _folder: folder,
        }
    }

    pub(crate) fn shared(self) -> (Arc<Self>, Arc<dyn Storage>) {
        let storage = Arc::new(self);
        (Arc::clone(&storage), storage)
    }

    pub(crate) fn fail(&self, times: u32) {
        self.failures.store(times, Ordering::SeqCst);
    }

    pub(crate) fn appends(&self) -> u32 {
        self.appends.load(Ordering::SeqCst)
    }

    /// The texts of all objects, in the order of their names.
    pub(crate) async fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        for name in crate::contract::storage::names(&self.inner, "").await {
            let text = crate::contract::storage::text(&self.inner, &name).await;
            texts.push(text.unwrap());
        }
        texts
    }
}

impl fmt::Display for FaultyStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Storage for FaultyStorage {
    async fn append(&self, name: &str, piece: Bytes) -> Result<(), Error> {
        self.appends.fetch_add(1, Ordering::SeqCst);
        self.door.acquire().await.unwrap().forget();
        let fewer = |failures: u32| failures.checked_sub(1);
        let order = Ordering::SeqCst;
        if self.failures.fetch_update(order, order, fewer).is_err() {
            return self.inner.append(name, piece).await;
        }
        if self.torn {
            let half = piece.slice(..piece.len() / 2);
            self.inner.append(name, half).await?;
        }
        Err(Error::Failed {
            place: self.to_string(),
            name: name.to_owned(),
            action: "append to",
            source: "the test wants it so".into(),
        })
    }

    async fn create(&self) -> Result<bool, Error> {
        self.inner.create().await
    }

    async fn exists(&self) -> Result<bool, Error> {
        self.inner.exists().await
    }

    async fn put(&self, name: &str, bytes: Bytes, condition: Condition) -> Result<Version, Error> {
        self.inner.put(name, bytes, condition).await
    }

    async fn put_file(
        &self,
        name: &str,
        from: &Path,
        condition: Condition,
    ) -> Result<Version, Error> {
        self.inner.put_file(name, from, condition).await
    }

    async fn get(&self, name: &str) -> Result<Option<Object>, Error> {
        self.inner.get(name).await
    }

    async fn get_file(&self, name: &str, to: &Path) -> Result<Option<u64>, Error> {
        self.inner.get_file(name, to).await
    }

    async fn get_range(
        &self,
        name: &str,
        from: u64,
        at_most: usize,
    ) -> Result<Option<Bytes>, Error> {
        self.inner.get_range(name, from, at_most).await
    }

    async fn begin(&self, name: &str) -> Result<bool, Error> {
        self.inner.begin(name).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<Listed, Error>> {
        self.inner.list(prefix)
    }

    async fn delete(&self, name: &str, lease: Option<&LeaseId>) -> Result<bool, Error> {
        self.inner.delete(name, lease).await
    }

    async fn delete_all(&self, prefix: &str) -> Result<u64, Error> {
        self.inner.delete_all(prefix).await
    }

    async fn lease(&self, name: &str, duration: Duration) -> Result<Option<Lease>, Error> {
        self.inner.lease(name, duration).await
    }

    async fn renew(&self, lease: &Lease) -> Result<(), Error> {
        self.inner.renew(lease).await
    }

    async fn release(&self, lease: Lease) -> Result<(), Error> {
        self.inner.release(lease).await
    }
}

/// Polls until `held` is true, or fails after a minute.
pub(crate) async fn until(what: &str, mut held: impl FnMut() -> bool) {
    let wait = async {
        while !held() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(crate::contract::engine::PATIENCE, wait).await;
    assert!(waited.is_ok(), "never: {what}");
}
