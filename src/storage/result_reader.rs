//! The result lines of all workers of a run, each once, while they come.

use std::sync::Arc;

use super::{Error, LineReader, Storage};
use crate::protocol::{ResultLine, RunPaths};

/// Reads what workers have stored by way of [`ResultLines`](super::ResultLines).
#[derive(Debug)]
pub struct ResultReader {
    lines: LineReader,
}

impl ResultReader {
    /// Begins with the first line of each worker.
    pub fn new(storage: Arc<dyn Storage>, paths: &RunPaths) -> Self {
        Self::of(storage, paths.results())
    }

    /// The same for all objects whose names begin with `prefix`.
    pub fn of(storage: Arc<dyn Storage>, prefix: String) -> Self {
        Self {
            lines: LineReader::new(storage, prefix),
        }
    }

    /// Hands every line on that was not handed on before; their number. What is no line is passed over.
    ///
    /// After an error the next call goes on where this one stopped; a line may then come again, and does when its object was
    /// cut off meanwhile.
    pub async fn read(&mut self, mut take: impl FnMut(ResultLine) + Send) -> Result<u64, Error> {
        let mut count = 0;
        while let Some(lines) = self.lines.next().await? {
            for text in lines {
                match serde_json::from_slice::<ResultLine>(&text) {
                    Ok(line) if line.version == ResultLine::VERSION => {
                        take(line);
                        count += 1;
                    }
                    _ => self.lines.skip(),
                }
            }
        }
        Ok(count)
    }

    /// How many lines were none: cut off, or of a version that this program does not know. Each is counted once.
    pub fn skipped(&self) -> u64 {
        self.lines.skipped()
    }

    /// How many workers' lines end in the middle of one. It may still be written, or its worker was killed.
    pub fn unfinished(&self) -> usize {
        self.lines.unfinished()
    }
}
