//! Result lines on their way to a file that outlives the process.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::{Mutex, PoisonError},
};

use crate::protocol::ResultLine;

/// The result lines of one worker: one JSON document per line.
#[derive(Debug)]
pub struct Results {
    /// The file, and whether its last line may be cut off.
    file: Mutex<(File, bool)>,
}

impl Results {
    /// Appends to `<folder>/<worker>.1.jsonl`.
    pub fn open(folder: &Path, worker: &str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{worker}.1.jsonl"));
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self {
            file: Mutex::new((file, false)),
        })
    }

    /// Writes a line. The message of its target may be settled afterwards.
    pub fn append(&self, line: &ResultLine) -> io::Result<()> {
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
