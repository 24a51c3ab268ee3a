//! A folder of this machine, which several processes may use at once.
//!
//! Objects are plain files, so that everybody can look at them. What else is needed stands in `.sbm-store` beside them:
//! the locks under which conditions are checked, new files until they get their name, and leases.

mod append;
mod lease;
mod list;
mod lock;
mod new_file;
mod place;
mod read;
mod write;

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};

use super::{
    Condition, Error, Lease, LeaseId, Listed, MAX_PIECE, Object, Storage, Version, name as names,
};
use place::Place;

/// Objects as files below a folder.
///
/// The folder may hold files of others: they stay, and those with fitting names can be read like objects. Leases end with
/// this value or its process, if not earlier.
#[derive(Clone, Debug)]
pub struct LocalFolder {
    store: Arc<Store>,
}

/// What all clones share.
#[derive(Debug)]
struct Store {
    place: Place,
    /// The open files of the leases that were taken here. That they are locked shows others that this process lives.
    leases: Mutex<HashMap<LeaseId, File>>,
}

impl LocalFolder {
    /// The store in `root`. Nothing is made or read.
    pub fn new(root: &Path) -> Self {
        // A path that cannot be made absolute is empty, and fails when it is used.
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        Self {
            store: Arc::new(Store {
                place: Place::new(root),
                leases: Mutex::default(),
            }),
        }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        self.store.place.root()
    }

    /// Runs `work` where it may wait for the disk.
    async fn run<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Store, &str) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (store, owned) = (Arc::clone(&self.store), name.to_owned());
        let task = tokio::task::spawn_blocking(move || work(&store, &owned));
        match task.await {
            Ok(result) => result,
            Err(error) => Err(self.store.place.failed("use", name, error.into())),
        }
    }

    /// The same for one object, whose name is checked.
    async fn run_for<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Store, &str) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        names::check(name)?;
        self.run(name, work).await
    }
}

impl fmt::Display for LocalFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.place.fmt(f)
    }
}

#[async_trait]
impl Storage for LocalFolder {
    async fn create(&self) -> Result<bool, Error> {
        self.run("the store", |store, name| {
            let made = store.place.create();
            made.map_err(|error| store.place.failed("make", name, error.into()))
        })
        .await
    }

    async fn exists(&self) -> Result<bool, Error> {
        self.run("the store", |store, name| {
            let there = store.place.exists();
            there.map_err(|error| store.place.failed("look for", name, error.into()))
        })
        .await
    }

    async fn put(&self, name: &str, bytes: Bytes, condition: Condition) -> Result<Version, Error> {
        self.run_for(name, move |store, name| {
            write::put(&store.place, name, &condition, &mut &*bytes)
        })
        .await
    }

    async fn put_file(
        &self,
        name: &str,
        from: &Path,
        condition: Condition,
    ) -> Result<Version, Error> {
        let from = from.to_owned();
        self.run_for(name, move |store, name| {
            write::put_file(&store.place, name, &condition, &from)
        })
        .await
    }

    async fn get(&self, name: &str) -> Result<Option<Object>, Error> {
        self.run_for(name, |store, name| read::whole(&store.place, name))
            .await
    }

    async fn get_file(&self, name: &str, to: &Path) -> Result<Option<u64>, Error> {
        let to = to.to_owned();
        self.run_for(name, move |store, name| read::file(&store.place, name, &to))
            .await
    }

    async fn get_range(
        &self,
        name: &str,
        from: u64,
        at_most: usize,
    ) -> Result<Option<Bytes>, Error> {
        self.run_for(name, move |store, name| {
            read::range(&store.place, name, from, at_most)
        })
        .await
    }

    async fn begin(&self, name: &str) -> Result<bool, Error> {
        self.run_for(name, |store, name| append::begin(&store.place, name))
            .await
    }

    async fn append(&self, name: &str, piece: Bytes) -> Result<(), Error> {
        if piece.len() > MAX_PIECE {
            return Err(Error::TooLong {
                place: self.to_string(),
                name: name.to_owned(),
                size: piece.len(),
            });
        }
        self.run_for(name, move |store, name| {
            append::append(&store.place, name, &piece)
        })
        .await
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<Listed, Error>> {
        list::list(self, prefix.to_owned()).boxed()
    }

    async fn delete(&self, name: &str, lease: Option<&LeaseId>) -> Result<bool, Error> {
        let lease = lease.cloned();
        self.run_for(name, move |store, name| {
            write::delete(&store.place, name, lease.as_ref())
        })
        .await
    }

    async fn delete_all(&self, prefix: &str) -> Result<u64, Error> {
        if prefix.is_empty() {
            return Err(Error::Name {
                name: String::new(),
                why: "what is deleted at once needs a common beginning",
            });
        }
        let (mut deleted, mut fault) = (0, None);
        let mut listed = self.list(prefix);
        while let Some(object) = listed.try_next().await? {
            match self.delete(&object.name, None).await {
                Ok(there) => deleted += u64::from(there),
                Err(error) => {
                    fault.get_or_insert(error);
                }
            }
        }
        fault.map_or(Ok(deleted), Err)
    }

    async fn lease(&self, name: &str, duration: Duration) -> Result<Option<Lease>, Error> {
        self.run_for(name, move |store, name| store.lease(name, duration))
            .await
    }

    async fn renew(&self, lease: &Lease) -> Result<(), Error> {
        let (id, duration) = (lease.id.clone(), lease.duration);
        self.run_for(&lease.name, move |store, name| {
            store.renew(name, &id, duration)
        })
        .await
    }

    async fn release(&self, lease: Lease) -> Result<(), Error> {
        let id = lease.id;
        self.run_for(&lease.name, move |store, name| store.release(name, &id))
            .await
    }
}

/// Where in the store something went wrong, in front of what the operating system says.
trait InStore<T> {
    fn at(self, place: &Place, action: &'static str, name: &str) -> Result<T, Error>;
}

impl<T> InStore<T> for io::Result<T> {
    fn at(self, place: &Place, action: &'static str, name: &str) -> Result<T, Error> {
        self.map_err(|error| place.error(action, name, error))
    }
}

/// The folder in which a file stands.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
