//! Whole objects, written in one piece.

use std::{collections::HashMap, num::NonZero};

use azure_core::http::{Etag, NoFormat, RequestContent};
use azure_storage_blob::models::{
    BlobClientDeleteOptions, BlobClientGetPropertiesResultHeaders,
    BlobContainerClientCreateOptions, BlobContainerClientGetPropertiesResultHeaders,
    BlockBlobClientUploadOptions, DeleteSnapshotsOptionType,
};
use bytes::Bytes;
use uuid::Uuid;

use super::{
    BlobContainer, Condition, Error, Fault, LeaseId, Outcome, Patience, Version, calls, upload,
};

/// What is larger goes in blocks.
pub(super) const ONE_PIECE: usize = 8 * 1024 * 1024;

/// The member of an object's metadata by which a write is known again.
const MARK: &str = "sbmwrite";

/// Tells one write from every other.
#[derive(Debug)]
pub(super) struct Mark(String);

impl Mark {
    pub(super) fn new() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }

    pub(super) fn metadata(&self) -> HashMap<String, String> {
        HashMap::from([(MARK.to_owned(), self.0.clone())])
    }

    fn is_in(&self, metadata: &HashMap<String, String>) -> bool {
        // Services change the case of names.
        let mut own = metadata
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(MARK));
        own.any(|(_, mark)| *mark == self.0)
    }
}

/// What a condition becomes in a request.
#[derive(Debug, Default)]
pub(super) struct Headers {
    pub(super) if_match: Option<Etag>,
    pub(super) if_none_match: Option<Etag>,
    pub(super) lease_id: Option<String>,
}

impl From<&Condition> for Headers {
    fn from(condition: &Condition) -> Self {
        let none = Self::default();
        match condition {
            Condition::Any => none,
            Condition::Absent => Self {
                if_none_match: Some("*".into()),
                ..none
            },
            Condition::Unchanged(version) => Self {
                if_match: Some(version.as_str().into()),
                ..none
            },
            Condition::Leased(id) => Self {
                lease_id: Some(id.to_string()),
                ..none
            },
        }
    }
}

pub(super) async fn put(
    place: &BlobContainer,
    name: &str,
    bytes: Bytes,
    condition: &Condition,
) -> Result<Version, Error> {
    if bytes.len() > ONE_PIECE {
        return upload::put_bytes(place, name, &bytes, condition).await;
    }
    let mark = Mark::new();
    let client = place.blob(name).block_blob_client();
    let size = NonZero::new(bytes.len() as u64).unwrap_or(NonZero::<u64>::MIN);
    let outcome = calls::call(Patience::of_bytes(size.get()), || {
        let Headers {
            if_match,
            if_none_match,
            lease_id,
        } = condition.into();
        let options = BlockBlobClientUploadOptions {
            if_match,
            if_none_match,
            lease_id,
            metadata: Some(mark.metadata()),
            partition_size: Some(size),
            ..BlockBlobClientUploadOptions::default()
        };
        let content: RequestContent<Bytes, NoFormat> = bytes.clone().into();
        client.upload(content, Some(options))
    })
    .await;
    let outcome = outcome.map(|answer| answer.etag);
    written(place, name, condition, &mark, outcome).await
}

impl<T> Outcome<T> {
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U> {
        Outcome {
            result: self.result.map(change),
            doubtful: self.doubtful,
        }
    }
}

/// The version that a write has made, or why it did not.
pub(super) async fn written(
    place: &BlobContainer,
    name: &str,
    condition: &Condition,
    mark: &Mark,
    outcome: Outcome<Option<Etag>>,
) -> Result<Version, Error> {
    let fault = match outcome.result {
        Ok(Some(etag)) => return Ok(Version::new(etag.to_string())),
        Ok(None) => Fault::lost("the service names no version".into(), true),
        Err(fault) => fault,
    };
    // An earlier try may have made the object what the condition does not allow any more.
    if (outcome.doubtful || fault.doubtful)
        && let Some(version) = own_write(place, name, mark).await
    {
        return Ok(version);
    }
    Err(refusal(place, name, condition, fault))
}

/// A refusal that names the lease counts as one of the condition where there is nothing to be leased, and the other way round.
fn refusal(place: &BlobContainer, name: &str, condition: &Condition, fault: Fault) -> Error {
    let is_gone = fault.is_no_object();
    match condition {
        Condition::Unchanged(_) if is_gone => place.changed(name),
        Condition::Leased(_) if is_gone || fault.is_condition() => Error::LeaseLost {
            place: place.to_string(),
            name: name.to_owned(),
        },
        _ => place.error(fault, "write", name),
    }
}

/// The version of the object if this write has made it.
async fn own_write(place: &BlobContainer, name: &str, mark: &Mark) -> Option<Version> {
    let blob = place.blob(name);
    let outcome = calls::call(Patience::SHORT, || blob.get_properties(None)).await;
    let properties = outcome.result.ok()?;
    let own = mark.is_in(&properties.metadata().ok()?);
    let etag = properties.etag().ok().flatten().filter(|_| own)?;
    Some(Version::new(etag.to_string()))
}

/// Whether the object was made by this write.
pub(super) async fn is_own(place: &BlobContainer, name: &str, mark: &Mark) -> bool {
    own_write(place, name, mark).await.is_some()
}

pub(super) async fn create(place: &BlobContainer) -> Result<bool, Error> {
    let mark = Mark::new();
    let outcome = calls::call_unless(Patience::MAKING, || async {
        let options = BlobContainerClientCreateOptions {
            metadata: Some(mark.metadata()),
            ..BlobContainerClientCreateOptions::default()
        };
        let made = place.client().create(Some(options)).await;
        made.map_err(|error| {
            let mut fault = Fault::new(&error);
            fault.transient |= fault.is(&["ContainerBeingDeleted"]);
            fault
        })
    })
    .await;
    match outcome.result {
        Ok(_) => Ok(true),
        Err(fault) if fault.is(&["ContainerAlreadyExists"]) => {
            Ok(outcome.doubtful && made_it(place, &mark).await)
        }
        Err(fault) => Err(place.error(fault, "make", "it")),
    }
}

async fn made_it(place: &BlobContainer, mark: &Mark) -> bool {
    let outcome = calls::call(Patience::SHORT, || place.client().get_properties(None)).await;
    let metadata = outcome
        .result
        .and_then(|properties| properties.metadata().map_err(|error| Fault::new(&error)));
    metadata.is_ok_and(|metadata| mark.is_in(&metadata))
}

pub(super) async fn delete(
    place: &BlobContainer,
    name: &str,
    lease: Option<&LeaseId>,
) -> Result<bool, Error> {
    let blob = place.blob(name);
    let outcome = calls::call(Patience::SHORT, || {
        blob.delete(Some(BlobClientDeleteOptions {
            delete_snapshots: Some(DeleteSnapshotsOptionType::Include),
            lease_id: lease.map(LeaseId::to_string),
            ..BlobClientDeleteOptions::default()
        }))
    })
    .await;
    place.shared.lengths.forget(name);
    match outcome.result {
        Ok(_) => Ok(true),
        // It is gone; perhaps by a try whose answer was lost.
        Err(fault) if fault.is_no_object() => Ok(outcome.doubtful),
        Err(fault) => Err(place.error(fault, "delete", name)),
    }
}
