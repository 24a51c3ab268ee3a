//! Objects that grow at their end: append blobs.
//!
//! Each piece is sent for the place at which the object ends, as far as is known. So a piece whose answer was lost is not
//! appended twice: when it is sent again, it does not fit, and what stands there tells whether it was the first try. Only
//! when somebody else has appended the very same bytes at that very place, they are taken for it; objects of ours have one
//! writer each.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use azure_core::http::{NoFormat, RequestContent};
use azure_storage_blob::{
    AppendBlobClient,
    models::{
        AppendBlobClientAppendBlockOptions, AppendBlobClientCreateOptions,
        BlobClientGetPropertiesResultHeaders,
    },
};
use bytes::Bytes;

use super::{
    BlobContainer, Error, Fault, Patience, calls, read,
    write::{self, Mark},
};
use crate::storage::MAX_PIECE;

/// How often a piece is sent while others append to the same object.
const ROUNDS: u32 = 200;

/// How long each object is, as far as this process knows. Whoever appends holds the lock of the object.
#[derive(Debug, Default)]
pub(super) struct Lengths(Mutex<HashMap<String, Length>>);

type Length = Arc<tokio::sync::Mutex<Option<u64>>>;

impl Lengths {
    fn of(&self, name: &str) -> Length {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(name.to_owned()).or_default())
    }

    pub(super) fn forget(&self, name: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(name);
    }
}

pub(super) async fn begin(place: &BlobContainer, name: &str) -> Result<bool, Error> {
    let mark = Mark::new();
    let client = place.blob(name).append_blob_client();
    let outcome = calls::call(Patience::SHORT, || {
        client.create(Some(AppendBlobClientCreateOptions {
            if_none_match: Some("*".into()),
            metadata: Some(mark.metadata()),
            ..AppendBlobClientCreateOptions::default()
        }))
    })
    .await;
    match outcome.result {
        Ok(_) => Ok(true),
        // An object that somebody has leased is there.
        Err(fault) if fault.is_condition() || fault.is(&["LeaseIdMissing"]) => {
            Ok(outcome.doubtful && write::is_own(place, name, &mark).await)
        }
        Err(fault) => Err(place.error(fault, "write", name)),
    }
}

pub(super) async fn append(place: &BlobContainer, name: &str, piece: Bytes) -> Result<(), Error> {
    if piece.len() > MAX_PIECE {
        return Err(Error::TooLong {
            place: place.to_string(),
            name: name.to_owned(),
            size: piece.len(),
        });
    }
    let length = place.shared.lengths.of(name);
    let mut known = length.lock().await;
    let client = place.blob(name).append_blob_client();
    for _ in 0..ROUNDS {
        // When this call is given up, nothing is known of the length any more.
        let at = match known.take() {
            Some(at) => at,
            None => length_of(place, name).await?,
        };
        match send(&client, at, &piece).await {
            Sent::Done => {
                *known = Some(at + piece.len() as u64);
                return Ok(());
            }
            Sent::Doubtful(fault) => {
                if stands_at(place, name, at, &piece).await? {
                    *known = Some(at + piece.len() as u64);
                    return Ok(());
                }
                if !fault.is(&["AppendPositionConditionNotMet"]) {
                    return Err(place.error(fault, "append to", name));
                }
            }
            Sent::Elsewhere => {}
            Sent::Refused(fault) => return Err(place.error(fault, "append to", name)),
        }
    }
    let fault = Fault::lost("others append to it all the time".into(), false);
    Err(place.error(fault, "append to", name))
}

/// What became of a piece.
enum Sent {
    Done,
    /// It may stand where it was sent.
    Doubtful(Fault),
    /// The object ends elsewhere, or is gone.
    Elsewhere,
    Refused(Fault),
}

async fn send(client: &AppendBlobClient, at: u64, piece: &Bytes) -> Sent {
    // An empty piece is refused by the service.
    if piece.is_empty() {
        return Sent::Done;
    }
    let bytes = piece.len() as u64;
    let outcome = calls::call(Patience::of_bytes(bytes), || {
        let options = AppendBlobClientAppendBlockOptions {
            append_position: i64::try_from(at).ok(),
            ..AppendBlobClientAppendBlockOptions::default()
        };
        let content: RequestContent<Bytes, NoFormat> = piece.clone().into();
        client.append_block(content, bytes, Some(options))
    })
    .await;
    let Err(fault) = outcome.result else {
        return Sent::Done;
    };
    if outcome.doubtful || fault.doubtful {
        return Sent::Doubtful(fault);
    }
    if fault.is(&["AppendPositionConditionNotMet"]) || fault.is_no_object() {
        return Sent::Elsewhere;
    }
    Sent::Refused(fault)
}

/// The length of the object, which is made when there is none.
async fn length_of(place: &BlobContainer, name: &str) -> Result<u64, Error> {
    let blob = place.blob(name);
    for _ in 0..ROUNDS {
        let outcome = calls::call(Patience::SHORT, || blob.get_properties(None)).await;
        match outcome.result {
            Ok(properties) => {
                let length = properties.content_length();
                let length = length.map_err(|error| Fault::new(&error));
                let length = length.map_err(|fault| place.error(fault, "read", name))?;
                return Ok(length.unwrap_or_default());
            }
            Err(fault) if fault.is_no_object() => {
                if begin(place, name).await? {
                    return Ok(0);
                }
            }
            Err(fault) => return Err(place.error(fault, "append to", name)),
        }
    }
    let fault = Fault::lost("others make and delete it all the time".into(), false);
    Err(place.error(fault, "append to", name))
}

/// Whether the piece stands at this place.
async fn stands_at(
    place: &BlobContainer,
    name: &str,
    at: u64,
    piece: &Bytes,
) -> Result<bool, Error> {
    let there = read::range(place, name, at, piece.len()).await?;
    Ok(there.is_some_and(|bytes| bytes == *piece))
}
