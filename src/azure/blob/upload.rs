//! Large objects, written in blocks, several at once.

use std::{io, path::Path};

use azure_core::http::RequestContent;
use azure_storage_blob::{
    BlockBlobClient,
    models::{
        BlockBlobClientCommitBlockListOptions, BlockBlobClientCommitBlockListResultHeaders,
        BlockBlobClientStageBlockOptions, BlockLookupList,
    },
};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::{fs::File, io::AsyncReadExt};
use uuid::Uuid;

use super::{
    BlobContainer, Condition, Error, Fault, Outcome, Patience, Version, calls,
    write::{self, Headers, Mark, ONE_PIECE},
};

/// The blocks that are on their way at the same time: so many times [`ONE_PIECE`] is held in memory.
const AT_ONCE: usize = 3;

/// How often all is sent again because somebody else has written the same object meanwhile.
const ROUNDS: u32 = 3;

pub(super) async fn put_file(
    place: &BlobContainer,
    name: &str,
    from: &Path,
    condition: &Condition,
) -> Result<Version, Error> {
    let unreadable = |source| Error::File {
        path: from.to_owned(),
        source,
    };
    let mut file = File::open(from).await.map_err(unreadable)?;
    let metadata = file.metadata().await.map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    if metadata.len() <= ONE_PIECE as u64 {
        let mut bytes = Vec::new();
        // One that grows meanwhile is taken as it is now.
        file.read_to_end(&mut bytes).await.map_err(unreadable)?;
        return write::put(place, name, bytes.into(), condition).await;
    }
    drop(file);
    rounds(place, name, condition, || {
        pieces_of_file(from).map_err(unreadable)
    })
    .await
}

pub(super) async fn put_bytes(
    place: &BlobContainer,
    name: &str,
    bytes: &Bytes,
    condition: &Condition,
) -> Result<Version, Error> {
    rounds(place, name, condition, || {
        let starts = (0..bytes.len()).step_by(ONE_PIECE);
        let pieces = starts.map(|start| Ok(bytes.slice(start..bytes.len().min(start + ONE_PIECE))));
        stream::iter(pieces)
    })
    .await
}

/// Sends all blocks and makes them the object. A writer who finishes first throws the blocks of others away; whoever does not
/// mind the other's object sends them again.
async fn rounds<S>(
    place: &BlobContainer,
    name: &str,
    condition: &Condition,
    pieces: impl Fn() -> S,
) -> Result<Version, Error>
where
    S: Stream<Item = Result<Bytes, Error>> + Send,
{
    let upload = Upload {
        place,
        name,
        condition,
        client: place.blob(name).block_blob_client(),
    };
    for _ in 0..ROUNDS {
        let mark = Mark::new();
        let blocks = upload.send(pieces()).await?;
        let outcome = upload.commit(&blocks, &mark).await;
        let swept = matches!(&outcome.result, Err(fault) if fault.is(&["InvalidBlockList"]));
        if !swept {
            return write::written(place, name, condition, &mark, outcome).await;
        }
        if outcome.doubtful && write::is_own(place, name, &mark).await {
            return write::written(place, name, condition, &mark, outcome).await;
        }
        if matches!(condition, Condition::Absent | Condition::Unchanged(_)) {
            break;
        }
    }
    Err(place.changed(name))
}

struct Upload<'a> {
    place: &'a BlobContainer,
    name: &'a str,
    condition: &'a Condition,
    client: BlockBlobClient,
}

impl Upload<'_> {
    /// Sends every piece as a block; their ids in order.
    async fn send(
        &self,
        pieces: impl Stream<Item = Result<Bytes, Error>> + Send,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let write = Uuid::new_v4();
        let blocks = pieces.enumerate().map(|(index, piece)| async move {
            // Blocks of one object have ids of one length.
            let id = format!("{}-{index:08}", write.simple()).into_bytes();
            self.send_one(&id, piece?).await?;
            Ok(id)
        });
        blocks.buffered(AT_ONCE).try_collect().await
    }

    async fn send_one(&self, id: &[u8], piece: Bytes) -> Result<(), Error> {
        let length = piece.len() as u64;
        let outcome = calls::call(Patience::of_bytes(length), || {
            let options = BlockBlobClientStageBlockOptions {
                lease_id: Headers::from(self.condition).lease_id,
                ..BlockBlobClientStageBlockOptions::default()
            };
            let content = RequestContent::from(piece.to_vec());
            self.client.stage_block(id, length, content, Some(options))
        })
        .await;
        let staged = outcome.result.map(|_| ());
        staged.map_err(|fault| self.place.error(fault, "write", self.name))
    }

    async fn commit(
        &self,
        blocks: &[Vec<u8>],
        mark: &Mark,
    ) -> Outcome<Option<azure_core::http::Etag>> {
        calls::call_unless(Patience::SHORT, || async {
            let list = BlockLookupList {
                latest: Some(blocks.to_vec()),
                ..BlockLookupList::default()
            };
            let Headers {
                if_match,
                if_none_match,
                lease_id,
            } = self.condition.into();
            let options = BlockBlobClientCommitBlockListOptions {
                if_match,
                if_none_match,
                lease_id,
                metadata: Some(mark.metadata()),
                ..BlockBlobClientCommitBlockListOptions::default()
            };
            let content = list.try_into().map_err(|error| Fault::new(&error))?;
            let done = self.client.commit_block_list(content, Some(options)).await;
            done.and_then(|answer| answer.etag())
                .map_err(|error| Fault::new(&error))
        })
        .await
    }
}

/// The content of a file in pieces, read only as fast as they are sent.
fn pieces_of_file(path: &Path) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    let path = path.to_owned();
    stream::try_unfold(None, move |file| {
        let path = path.clone();
        async move {
            let mut file = match file {
                Some(file) => file,
                None => File::open(path).await?,
            };
            let mut piece = Vec::with_capacity(ONE_PIECE);
            let limit = ONE_PIECE as u64;
            let mut part = file.take(limit);
            part.read_to_end(&mut piece).await?;
            file = part.into_inner();
            if piece.is_empty() {
                return Ok(None);
            }
            Ok(Some((piece.into(), Some(file))))
        }
    })
}
