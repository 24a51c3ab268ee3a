//! Who receives: which process it is, and whether it has nothing to do.

use std::time::Duration;

use rusqlite::params;

use super::{
    job::Trouble,
    records::{Records, milliseconds},
};
use crate::processes::started;

/// How long a receiver is said to wait after it has last said so.
const WAITS: Duration = Duration::from_secs(5);

/// How early it says so again.
const AGAIN: Duration = Duration::from_secs(3);

/// This receiver, as the file knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receiver {
    pub(super) id: i64,
    waits_until: i64,
}

impl Receiver {
    /// Whether it has to say again that it waits.
    pub(super) fn has_to_say(&self, now: i64) -> bool {
        self.waits_until < now.saturating_add(milliseconds(WAITS - AGAIN))
    }
}

impl Records<'_> {
    /// A new receiver in this process.
    pub(super) fn register(&self) -> Result<Receiver, Trouble> {
        let process = std::process::id();
        let started = started(process).unwrap_or_default();
        let sql = "INSERT INTO receiver (process, started) VALUES (?, ?)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let id = statement.insert(params![process, started])?;
        Ok(Receiver { id, waits_until: 0 })
    }

    /// Says that the receiver has free slots and waits, or that it does not.
    pub(super) fn note_waiting(&self, receiver: &mut Receiver, waits: bool) -> Result<(), Trouble> {
        let until = match (waits, receiver.waits_until > self.now) {
            (true, _) if receiver.has_to_say(self.now) => {
                self.now.saturating_add(milliseconds(WAITS))
            }
            (false, true) => 0,
            _ => return Ok(()),
        };
        let sql = "UPDATE receiver SET waits_until = ? WHERE id = ?";
        self.connection
            .prepare_cached(sql)?
            .execute([until, receiver.id])?;
        receiver.waits_until = until;
        Ok(())
    }

    /// Releases what the receivers of a process hold that has ended.
    pub(super) fn release_of(&self, process: u32) -> Result<usize, Trouble> {
        self.is_closed()?;
        let running = started(process);
        let mut released = 0;
        for (receiver, started) in self.receivers_of(process)? {
            if running == Some(started) {
                continue;
            }
            released += self.release(receiver)?;
            let sql = "DELETE FROM receiver WHERE id = ?";
            self.connection.prepare_cached(sql)?.execute([receiver])?;
        }
        Ok(released)
    }

    fn receivers_of(&self, process: u32) -> Result<Vec<(i64, i64)>, Trouble> {
        let sql = "SELECT id, started FROM receiver WHERE process = ?";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([process], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
