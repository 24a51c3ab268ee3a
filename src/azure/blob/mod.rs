//! `Storage` in a container of Azure Blob Storage.
//!
//! Whole objects are block blobs, objects for appending are append blobs. Every write carries a mark in its metadata, so
//! that one whose answer was lost is told from the write of somebody else.

mod access;
mod account;
mod append;
mod calls;
mod fault;
mod lease;
mod link;
mod list;
mod read;
mod shared_key;
mod upload;
mod write;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::http::Url;
use azure_storage_blob::{BlobClient, BlobContainerClient, BlobContainerClientOptions};
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};

pub use access::{Access, Unusable};
pub use account::Account;
pub use link::Link;

use super::Trust;
use crate::storage::{
    Condition, Error, Lease, LeaseId, Listed, Object, Storage, Version, check_name,
};
use calls::{Outcome, Patience};
use fault::Fault;

/// A container of a storage account, which holds the objects of one job.
#[derive(Clone)]
pub struct BlobContainer {
    shared: Arc<Shared>,
}

/// What all clones share.
struct Shared {
    account: Account,
    name: String,
    access: Access,
    trust: Trust,
    client: BlobContainerClient,
    /// How long the objects are to which this process appends.
    lengths: append::Lengths,
}

impl BlobContainer {
    /// The container `name` of an account. Nothing is made or asked.
    pub fn new(
        account: Account,
        name: &str,
        access: Access,
        trust: &Trust,
    ) -> Result<Self, Unusable> {
        let url = account.container(name)?;
        let options = BlobContainerClientOptions {
            client_options: access.options(&account, trust)?,
            ..BlobContainerClientOptions::default()
        };
        let client = BlobContainerClient::new(url, access.credential(), Some(options));
        let client = client.map_err(|error| Unusable::Client {
            place: format!("container {name} of {account}"),
            message: error.to_string(),
        })?;
        Ok(Self {
            shared: Arc::new(Shared {
                account,
                name: name.to_owned(),
                access,
                trust: trust.clone(),
                client,
                lengths: append::Lengths::default(),
            }),
        })
    }

    /// Its address, with no right to read it.
    pub fn url(&self) -> &Url {
        self.shared.client.url()
    }

    fn client(&self) -> &BlobContainerClient {
        &self.shared.client
    }

    fn blob(&self, name: &str) -> BlobClient {
        self.shared.client.blob_client(name)
    }

    fn error(&self, fault: Fault, action: &'static str, name: &str) -> Error {
        fault.into_error(&self.to_string(), action, name)
    }

    fn changed(&self, name: &str) -> Error {
        Error::Changed {
            place: self.to_string(),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for BlobContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { account, name, .. } = &*self.shared;
        write!(f, "container {name} of {account}")
    }
}

impl fmt::Debug for BlobContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobContainer({self}, {:?})", self.shared.access)
    }
}

#[async_trait]
impl Storage for BlobContainer {
    async fn create(&self) -> Result<bool, Error> {
        write::create(self).await
    }

    async fn exists(&self) -> Result<bool, Error> {
        read::exists(self).await
    }

    async fn put(&self, name: &str, bytes: Bytes, condition: Condition) -> Result<Version, Error> {
        check_name(name)?;
        write::put(self, name, bytes, &condition).await
    }

    async fn put_file(
        &self,
        name: &str,
        from: &Path,
        condition: Condition,
    ) -> Result<Version, Error> {
        check_name(name)?;
        upload::put_file(self, name, from, &condition).await
    }

    async fn get(&self, name: &str) -> Result<Option<Object>, Error> {
        check_name(name)?;
        read::whole(self, name).await
    }

    async fn get_file(&self, name: &str, to: &Path) -> Result<Option<u64>, Error> {
        check_name(name)?;
        read::file(self, name, to).await
    }

    async fn get_range(
        &self,
        name: &str,
        from: u64,
        at_most: usize,
    ) -> Result<Option<Bytes>, Error> {
        check_name(name)?;
        read::range(self, name, from, at_most).await
    }

    async fn begin(&self, name: &str) -> Result<bool, Error> {
        check_name(name)?;
        append::begin(self, name).await
    }

    async fn append(&self, name: &str, piece: Bytes) -> Result<(), Error> {
        check_name(name)?;
        append::append(self, name, piece).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<Listed, Error>> {
        list::list(self, prefix.to_owned()).boxed()
    }

    async fn delete(&self, name: &str, lease: Option<&LeaseId>) -> Result<bool, Error> {
        check_name(name)?;
        write::delete(self, name, lease).await
    }

    async fn delete_all(&self, prefix: &str) -> Result<u64, Error> {
        list::delete_all(self, prefix).await
    }

    async fn lease(&self, name: &str, duration: Duration) -> Result<Option<Lease>, Error> {
        check_name(name)?;
        lease::take(self, name, duration).await
    }

    async fn renew(&self, lease: &Lease) -> Result<(), Error> {
        lease::renew(self, lease).await
    }

    async fn release(&self, lease: Lease) -> Result<(), Error> {
        lease::release(self, &lease).await
    }
}
