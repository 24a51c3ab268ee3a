//! Lines of one writer in numbered objects of its own.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use super::{Error, Storage};

/// After this many pieces another object is begun. An append blob takes 50,000.
pub(crate) const FULL: u32 = 49_000;

/// The objects `<prefix><n>.jsonl`. No two journals write one object, also when their writers have the same name.
pub(crate) struct Journal {
    storage: Arc<dyn Storage>,
    prefix: String,
    full: u32,
    number: u32,
    object: Option<Object>,
}

/// The object that is written.
#[derive(Debug)]
struct Object {
    name: String,
    /// Pieces that are in it, or may be.
    pieces: u32,
    /// Whether its last piece may be cut off.
    torn: bool,
}

impl Journal {
    /// Begins its first object with the first piece.
    pub(crate) fn new(storage: Arc<dyn Storage>, prefix: String, full: u32) -> Self {
        Self {
            storage,
            prefix,
            full,
            number: 0,
            object: None,
        }
    }

    /// Appends whole lines. After an error, or when the call is given up, they may be there or not, and may be appended
    /// again.
    pub(crate) async fn append(&mut self, lines: &[u8]) -> Result<(), Error> {
        let full = self.full;
        if self
            .object
            .as_ref()
            .is_some_and(|object| object.pieces >= full)
        {
            self.object = None;
        }
        if self.object.is_none() {
            self.object = Some(self.begin().await?);
        }
        let Some(object) = &mut self.object else {
            return Ok(());
        };
        let line_end: &[u8] = if object.torn { b"\n" } else { b"" };
        let piece = Bytes::from([line_end, lines].concat());
        object.pieces += 1;
        object.torn = true;
        self.storage.append(&object.name, piece).await?;
        object.torn = false;
        Ok(())
    }

    /// The next number that nobody has.
    async fn begin(&mut self) -> Result<Object, Error> {
        loop {
            self.number += 1;
            let name = format!("{}{}.jsonl", self.prefix, self.number);
            if self.storage.begin(&name).await? {
                return Ok(Object {
                    name,
                    pieces: 0,
                    torn: false,
                });
            }
        }
    }
}

impl fmt::Display for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}* in {}", self.prefix, self.storage)
    }
}
