//! Lists, page by page, so that a long one is never in memory as a whole.

use std::collections::VecDeque;

use azure_storage_blob::models::{BlobContainerClientListBlobsOptions, BlobItem};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, stream};

use super::{BlobContainer, Error, Fault, Listed, Patience, calls, write};
use crate::storage::{check_name, check_prefix};

/// How many objects are deleted at the same time.
const AT_ONCE: usize = 16;

/// Which page comes next.
enum Next {
    First,
    Marker(String),
    None,
}

/// The objects whose names begin with `prefix`. Blobs of others whose names we cannot have are passed over.
pub(super) fn list(
    place: &BlobContainer,
    prefix: String,
) -> impl Stream<Item = Result<Listed, Error>> + Send + '_ {
    let first = (VecDeque::new(), Next::First);
    stream::try_unfold(first, move |(mut waiting, mut next)| {
        let prefix = prefix.clone();
        async move {
            loop {
                if let Some(listed) = waiting.pop_front() {
                    return Ok(Some((listed, (waiting, next))));
                }
                let marker = match next {
                    Next::First => {
                        check_prefix(&prefix)?;
                        None
                    }
                    Next::Marker(marker) => Some(marker),
                    Next::None => return Ok(None),
                };
                (waiting, next) = page(place, &prefix, marker).await?;
            }
        }
    })
}

async fn page(
    place: &BlobContainer,
    prefix: &str,
    marker: Option<String>,
) -> Result<(VecDeque<Listed>, Next), Error> {
    let outcome = calls::call_unless(Patience::SHORT, || {
        let options = BlobContainerClientListBlobsOptions {
            marker: marker.clone(),
            prefix: Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty()),
            ..BlobContainerClientListBlobsOptions::default()
        };
        async move {
            let mut pages = place.client().list_blobs(Some(options))?.into_pages();
            let page = pages.try_next().await?;
            page.map(|page| page.into_model()).transpose()
        }
        .map_fault()
    })
    .await;
    let page = outcome.result;
    let page = page.map_err(|fault| place.error(fault, "list", &format!("{prefix}*")))?;
    let Some(page) = page else {
        return Ok((VecDeque::new(), Next::None));
    };
    let next = page.next_marker.filter(|marker| !marker.is_empty());
    let listed = page.blob_items.into_iter().filter_map(listed).collect();
    Ok((listed, next.map_or(Next::None, Next::Marker)))
}

/// The errors of a library's call as ours.
trait MapFault<T> {
    async fn map_fault(self) -> Result<T, Fault>;
}

impl<T, F: Future<Output = azure_core::Result<T>>> MapFault<T> for F {
    async fn map_fault(self) -> Result<T, Fault> {
        self.await.map_err(|error| Fault::new(&error))
    }
}

fn listed(item: BlobItem) -> Option<Listed> {
    let name = item.name.filter(|name| check_name(name).is_ok())?;
    let size = item
        .properties
        .and_then(|properties| properties.content_length);
    Some(Listed {
        name,
        size: size.unwrap_or_default(),
    })
}

pub(super) async fn delete_all(place: &BlobContainer, prefix: &str) -> Result<u64, Error> {
    if prefix.is_empty() {
        return Err(Error::Name {
            name: String::new(),
            why: "what is deleted at once needs a common beginning",
        });
    }
    let (mut deleted, mut fault) = (0, None);
    let listed = list(place, prefix.to_owned());
    let deletions = listed.map(|listed| delete_listed(place, listed).boxed());
    let mut deletions = std::pin::pin!(deletions.buffer_unordered(AT_ONCE));
    while let Some(deletion) = deletions.try_next().await? {
        match deletion {
            Ok(there) => deleted += u64::from(there),
            Err(error) => {
                fault.get_or_insert(error);
            }
        }
    }
    fault.map_or(Ok(deleted), Err)
}

/// The outer error is that of the list, which ends with it; the inner one is that of a single object.
async fn delete_listed(
    place: &BlobContainer,
    listed: Result<Listed, Error>,
) -> Result<Result<bool, Error>, Error> {
    let listed = listed?;
    Ok(write::delete(place, &listed.name, None).await)
}
