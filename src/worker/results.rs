//! Where result lines go.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::{Mutex, PoisonError},
};

use futures::future::Either;

use crate::{
    protocol::ResultLine,
    storage::{LinesError, ResultLines},
};

/// The result lines of one worker: one JSON document per line.
#[derive(Debug)]
pub enum Results {
    /// In a folder of this machine, for a run within one process.
    Folder(ResultFile),
    /// In the storage of a run with many workers.
    Storage(ResultLines),
}

/// Why a line is not kept.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The storage does not take it.
    #[error(transparent)]
    Storage(#[from] LinesError),
    /// The storage has not taken it before the worker had to end.
    #[error("it was not stored before the worker had to end")]
    TooLate,
}

/// A file of result lines.
#[derive(Debug)]
pub struct ResultFile {
    /// The file, and whether its last line may be cut off.
    file: Mutex<(File, bool)>,
}

impl Results {
    /// Appends to `<folder>/<worker>.1.jsonl`.
    pub fn open(folder: &Path, worker: &str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{worker}.1.jsonl"));
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self::Folder(ResultFile {
            file: Mutex::new((file, false)),
        }))
    }

    /// Hands a line in at once, behind those before it. When the future is ready the line is kept, and the message of its
    /// target may be settled.
    pub(super) fn append(
        &self,
        line: &ResultLine,
    ) -> impl Future<Output = Result<(), ResultsError>> + Send + use<> {
        let handed_in = match self {
            Self::Folder(file) => Either::Left(file.append(line)),
            Self::Storage(lines) => Either::Right(lines.append(line)),
        };
        async move {
            match handed_in {
                Either::Left(kept) => Ok(kept?),
                Either::Right(kept) => Ok(kept.await?),
            }
        }
    }

    /// Returns when lines are kept as they come; `false` when none will be kept any more.
    pub(super) async fn untroubled(&self) -> bool {
        match self {
            Self::Folder(_) => true,
            Self::Storage(lines) => lines.trouble().wait_for(Option::is_none).await.is_ok(),
        }
    }
}

impl ResultFile {
    fn append(&self, line: &ResultLine) -> io::Result<()> {
        let mut held = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, torn) = &mut *held;
        let mut text = if *torn { b"\n".to_vec() } else { Vec::new() };
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
        *torn = true;
        file.write_all(&text)?;
        *torn = false;
        Ok(())
    }
}
