//! Leases. Their ids are ours, so that taking one again whose answer was lost is the same lease.

use std::time::Duration;

use azure_storage_blob::models::BlobClientAcquireLeaseOptions;
use uuid::Uuid;

use super::{BlobContainer, Error, Lease, LeaseId, Patience, calls};

pub(super) async fn take(
    place: &BlobContainer,
    name: &str,
    duration: Duration,
) -> Result<Option<Lease>, Error> {
    let id = LeaseId::new(Uuid::new_v4().to_string());
    let blob = place.blob(name);
    let seconds = i32::try_from(duration.as_secs())
        .unwrap_or(60)
        .clamp(15, 60);
    let outcome = calls::call(Patience::LEASE, || {
        let options = BlobClientAcquireLeaseOptions {
            proposed_lease_id: Some(id.to_string()),
            ..BlobClientAcquireLeaseOptions::default()
        };
        blob.acquire_lease(seconds, Some(options))
    })
    .await;
    match outcome.result {
        Ok(_) => Ok(Some(Lease {
            name: name.to_owned(),
            id,
            duration,
        })),
        Err(fault) if fault.is(&["LeaseAlreadyPresent"]) => Ok(None),
        Err(fault) if fault.is_no_object() => Err(Error::NoObject {
            place: place.to_string(),
            name: name.to_owned(),
        }),
        Err(fault) => Err(place.error(fault, "lease", name)),
    }
}

pub(super) async fn renew(place: &BlobContainer, lease: &Lease) -> Result<(), Error> {
    let blob = place.blob(&lease.name);
    let id = lease.id.to_string();
    let outcome = calls::call(Patience::LEASE, || blob.renew_lease(id.clone(), None)).await;
    match outcome.result {
        Ok(_) => Ok(()),
        Err(fault) if fault.is_no_object() || fault.status() == Some(409) => {
            Err(Error::LeaseLost {
                place: place.to_string(),
                name: lease.name.clone(),
            })
        }
        Err(fault) => Err(place.error(fault, "renew the lease of", &lease.name)),
    }
}

pub(super) async fn release(place: &BlobContainer, lease: &Lease) -> Result<(), Error> {
    let blob = place.blob(&lease.name);
    let id = lease.id.to_string();
    let outcome = calls::call(Patience::LEASE, || blob.release_lease(id.clone(), None)).await;
    match outcome.result {
        Ok(_) => Ok(()),
        Err(fault) if fault.is_no_object() || fault.status() == Some(409) => Ok(()),
        Err(fault) => Err(place.error(fault, "release", &lease.name)),
    }
}
