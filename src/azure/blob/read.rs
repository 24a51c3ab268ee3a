//! Reading: whole objects of one version, and parts of objects that may grow.

use std::{num::NonZero, path::Path, time::Duration};

use azure_core::{
    http::{
        headers::{HeaderName, Headers},
        response::AsyncResponseBody,
    },
    time::parse_rfc7231,
};
use azure_storage_blob::models::{BlobClientDownloadOptions, BlobClientDownloadResult, HttpRange};
use bytes::Bytes;
use futures::StreamExt;
use tokio::{io::AsyncWriteExt, time::timeout};

use super::{BlobContainer, Error, Fault, Object, Patience, Version, calls};

/// A whole object is read in parts of this size, so many at once.
const PART: NonZero<usize> = NonZero::new(8 * 1024 * 1024).unwrap();
const AT_ONCE: NonZero<usize> = NonZero::new(3).unwrap();

/// How long the next bytes of an answer may take.
const NEXT_BYTES: Duration = Duration::from_secs(60);

/// How often an object that changes while it is read is read from its beginning.
const ROUNDS: u32 = 50;

pub(super) async fn exists(place: &BlobContainer) -> Result<bool, Error> {
    let outcome = calls::call(Patience::SHORT, || place.client().get_properties(None)).await;
    match outcome.result {
        Ok(_) => Ok(true),
        Err(fault) if fault.is_no_place() || fault.status() == Some(404) => Ok(false),
        Err(fault) => Err(place.error(fault, "look for", "it")),
    }
}

pub(super) async fn whole(place: &BlobContainer, name: &str) -> Result<Option<Object>, Error> {
    in_rounds(place, name, || async {
        let BlobClientDownloadResult { body, headers, .. } = download(place, name).await?;
        let bytes = collect(body).await?;
        Ok(Object {
            bytes,
            version: version(&headers)?,
            age: age(&headers),
        })
    })
    .await
}

pub(super) async fn file(
    place: &BlobContainer,
    name: &str,
    to: &Path,
) -> Result<Option<u64>, Error> {
    let unwritable = |source| Error::File {
        path: to.to_owned(),
        source,
    };
    // The error of the file, which is not the service's, goes past the repetition.
    let found = in_rounds(place, name, || async {
        let answer = download(place, name).await?;
        match copy(answer.body, to).await {
            Ok(copied) => Ok(Ok(copied)),
            Err(Copying::Service(fault)) => Err(fault),
            Err(Copying::File(error)) => Ok(Err(error)),
        }
    })
    .await?;
    found.transpose().map_err(unwritable)
}

/// At most `at_most` bytes from `from` on, in one answer: what is appended meanwhile does not matter.
pub(super) async fn range(
    place: &BlobContainer,
    name: &str,
    from: u64,
    at_most: usize,
) -> Result<Option<Bytes>, Error> {
    // Nobody can ask for nothing.
    let part = NonZero::new(at_most).unwrap_or(NonZero::<usize>::MIN);
    let blob = place.blob(name);
    let outcome = calls::call_unless(Patience::of_bytes(part.get() as u64), || async {
        let options = BlobClientDownloadOptions {
            range: Some(HttpRange::new(from, part.get() as u64)),
            partition_size: Some(part),
            ..BlobClientDownloadOptions::default()
        };
        let answer = blob.download(Some(options)).await;
        collect(answer.map_err(|error| Fault::new(&error))?.body).await
    })
    .await;
    match outcome.result {
        Ok(bytes) => Ok(Some(bytes.slice(..bytes.len().min(at_most)))),
        // The object ends before.
        Err(fault) if fault.status() == Some(416) => Ok(Some(Bytes::new())),
        Err(fault) if fault.is_no_object() => Ok(None),
        Err(fault) => Err(place.error(fault, "read", name)),
    }
}

/// Reads from the beginning until it was one version all the way; `None` when there is no object.
async fn in_rounds<T, F>(
    place: &BlobContainer,
    name: &str,
    read: impl Fn() -> F,
) -> Result<Option<T>, Error>
where
    F: Future<Output = Result<T, Fault>>,
{
    for _ in 0..ROUNDS {
        // What takes long is guarded part by part.
        let outcome = calls::call_unless(Patience::READING, &read).await;
        match outcome.result {
            Ok(found) => return Ok(Some(found)),
            Err(fault) if fault.is_condition() => {}
            Err(fault) if fault.is_no_object() => return Ok(None),
            Err(fault) => return Err(place.error(fault, "read", name)),
        }
    }
    let fault = Fault::lost("it changes all the time".into(), false);
    Err(place.error(fault, "read", name))
}

async fn download(place: &BlobContainer, name: &str) -> Result<BlobClientDownloadResult, Fault> {
    let options = BlobClientDownloadOptions {
        parallel: Some(AT_ONCE),
        partition_size: Some(PART),
        ..BlobClientDownloadOptions::default()
    };
    let blob = place.blob(name);
    let answer = in_time(blob.download(Some(options))).await?;
    answer.map_err(|error| Fault::new(&error))
}

async fn in_time<T>(wait: impl Future<Output = T>) -> Result<T, Fault> {
    let waited = timeout(NEXT_BYTES, wait).await;
    waited.map_err(|_| Fault::lost(format!("no answer within {} s", NEXT_BYTES.as_secs()), true))
}

async fn next(body: &mut AsyncResponseBody) -> Result<Option<Bytes>, Fault> {
    let next = in_time(body.next()).await?.transpose();
    next.map_err(|error| Fault::new(&error))
}

async fn collect(mut body: AsyncResponseBody) -> Result<Bytes, Fault> {
    let mut bytes = Vec::new();
    while let Some(more) = next(&mut body).await? {
        bytes.extend_from_slice(&more);
    }
    Ok(bytes.into())
}

/// What can go wrong while an answer goes into a file.
enum Copying {
    Service(Fault),
    File(std::io::Error),
}

/// Into a new file, which then takes the place of the old one.
async fn copy(mut body: AsyncResponseBody, to: &Path) -> Result<u64, Copying> {
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let new = tempfile::NamedTempFile::new_in(folder).map_err(Copying::File)?;
    let writer = new.reopen().map_err(Copying::File)?;
    let mut writer = tokio::fs::File::from_std(writer);
    let mut size = 0;
    while let Some(bytes) = next(&mut body).await.map_err(Copying::Service)? {
        size += bytes.len() as u64;
        writer.write_all(&bytes).await.map_err(Copying::File)?;
    }
    writer.flush().await.map_err(Copying::File)?;
    new.persist(to)
        .map_err(|error| Copying::File(error.error))?;
    Ok(size)
}

fn version(headers: &Headers) -> Result<Version, Fault> {
    let etag = headers.get_optional_str(&HeaderName::from_static("etag"));
    let etag = etag.ok_or_else(|| Fault::lost("the service names no version".into(), true))?;
    Ok(Version::new(etag))
}

/// How long ago it was written, by the service's clock alone, which counts in seconds.
fn age(headers: &Headers) -> Duration {
    let time = |name| {
        let text = headers.get_optional_str(&HeaderName::from_static(name))?;
        parse_rfc7231(text).ok()
    };
    match (time("date"), time("last-modified")) {
        (Some(now), Some(written)) => (now - written).try_into().unwrap_or_default(),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_told_by_the_services_clock() {
        let headers = |date: &'static str, modified: &'static str| {
            let mut headers = Headers::new();
            headers.insert("date", date);
            headers.insert("last-modified", modified);
            headers
        };
        let now = "Tue, 15 Nov 1994 12:45:26 GMT";
        let before = "Tue, 15 Nov 1994 12:44:06 GMT";
        assert_eq!(age(&headers(now, before)), Duration::from_secs(80));
        assert_eq!(age(&headers(before, now)), Duration::ZERO);
        assert_eq!(age(&Headers::new()), Duration::ZERO);
    }
}
