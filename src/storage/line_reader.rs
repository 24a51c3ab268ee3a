//! Reads the lines that workers append to their objects, each once.

use std::{collections::HashMap, fmt, sync::Arc};

use bytes::Bytes;
use futures::TryStreamExt;

use super::{Error, Storage};

/// What is read at once.
const CHUNK: usize = 1024 * 1024;

/// A line that is longer is none of ours.
const LONGEST: usize = 16 * CHUNK;

/// Follows all objects whose names begin with a prefix.
pub(crate) struct LineReader {
    storage: Arc<dyn Storage>,
    prefix: String,
    /// How far each object has been read.
    positions: HashMap<String, Position>,
    /// The objects that this pass still has to read, with their sizes; the next one stands at the end.
    pass: Option<Vec<(String, u64)>>,
    skipped: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    /// Where the first line begins that has not been given out.
    offset: u64,
    /// The size at the end of the last pass.
    size: u64,
    /// Whether the line here is so long that it is passed over.
    too_long: bool,
}

impl LineReader {
    pub(crate) fn new(storage: Arc<dyn Storage>, prefix: String) -> Self {
        Self {
            storage,
            prefix,
            positions: HashMap::new(),
            pass: None,
            skipped: 0,
        }
    }

    /// Some more whole lines, without their ends; `None` when nothing is left at the moment, and then the next call looks
    /// again. After an error it goes on with what has not been given out.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Bytes>>, Error> {
        let mut pass = match self.pass.take() {
            Some(pass) => pass,
            None => self.grown().await?,
        };
        while let Some((name, size)) = pass.last() {
            let mut position = self.positions.get(name).copied().unwrap_or_default();
            let (lines, ended) = self.read(name, &mut position).await?;
            if ended {
                position.size = *size;
            }
            self.positions.insert(name.clone(), position);
            if ended {
                pass.pop();
            }
            if !lines.is_empty() {
                self.pass = Some(pass);
                return Ok(Some(lines));
            }
        }
        Ok(None)
    }

    /// A line that was given out was none.
    pub(crate) fn skip(&mut self) {
        self.skipped += 1;
    }

    /// What was none, each counted once.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Objects that end in the middle of a line, as far as they have been read.
    pub(crate) fn unfinished(&self) -> usize {
        let torn = |position: &&Position| position.size > position.offset;
        self.positions.values().filter(torn).count()
    }

    /// The objects with something new, in the order in which they are read.
    async fn grown(&mut self) -> Result<Vec<(String, u64)>, Error> {
        let mut grown = Vec::new();
        let mut listed = self.storage.list(&self.prefix);
        while let Some(object) = listed.try_next().await? {
            let position = self.positions.entry(object.name.clone()).or_default();
            if object.size < position.size.max(position.offset) {
                // It was cut off. Lines that come again do no harm.
                *position = Position::default();
            }
            if object.size > position.size {
                grown.push((object.name, object.size));
            }
        }
        grown.reverse();
        Ok(grown)
    }

    /// Whole lines from a position on, which moves; and whether the object has no more.
    async fn read(
        &mut self,
        name: &str,
        position: &mut Position,
    ) -> Result<(Vec<Bytes>, bool), Error> {
        let mut wanted = CHUNK;
        loop {
            let read = self
                .storage
                .get_range(name, position.offset, wanted)
                .await?;
            let Some(bytes) = read else {
                return Ok((Vec::new(), true));
            };
            let ended = bytes.len() < wanted;
            if let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') {
                position.offset += end as u64 + 1;
                let mut lines = lines(&bytes.slice(..end));
                if position.too_long {
                    position.too_long = false;
                    lines.remove(0);
                }
                lines.retain(|line| !line.is_empty());
                return Ok((lines, ended));
            }
            if ended {
                return Ok((Vec::new(), true));
            }
            if wanted >= LONGEST {
                position.offset += bytes.len() as u64;
                if !position.too_long {
                    position.too_long = true;
                    self.skipped += 1;
                }
            } else {
                wanted *= 4;
            }
        }
    }
}

/// At least one, which may be empty.
fn lines(bytes: &Bytes) -> Vec<Bytes> {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.map(|line| bytes.slice_ref(line)).collect()
}

impl fmt::Debug for LineReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineReader")
            .field("prefix", &self.prefix)
            .field("storage", &self.storage)
            .finish_non_exhaustive()
    }
}
