//! Making the file of a queue: under another name, so that nobody sees a half; it gets its own when it is complete.

use std::{io, path::Path, time::Instant};

use rusqlite::params;

use super::{
    Options,
    file::{LEAVE, LOOK, QueueFile, beside, boot_id, connect},
    job::Trouble,
};

/// "sbmq", which SQLite shows as the file's application.
pub(super) const APPLICATION: i64 = 0x7362_6d71;

/// The version of the schema.
pub(super) const VERSION: i64 = 1;

/// States: 0 pending, 1 in flight, 2 dead. `turn` and `place` count upwards from one number, `queue.turn`. Times are milliseconds of
/// the clock of `clock::Moment`, in the life of the machine that `boot` names.
const SCHEMA: &str = "
CREATE TABLE queue (
    kind TEXT NOT NULL, lock INTEGER NOT NULL, boot TEXT NOT NULL, turn INTEGER NOT NULL DEFAULT 0,
    closed INTEGER NOT NULL DEFAULT 0, removed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE receiver (
    id INTEGER PRIMARY KEY AUTOINCREMENT, process INTEGER NOT NULL, started INTEGER NOT NULL,
    waits_until INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE session (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, turn INTEGER NOT NULL DEFAULT 0,
    pending INTEGER NOT NULL DEFAULT 0, in_flight INTEGER NOT NULL DEFAULT 0, holder INTEGER
);
CREATE INDEX session_ready ON session (holder, turn) WHERE pending > 0;
CREATE INDEX session_held ON session (holder) WHERE holder IS NOT NULL;
CREATE TABLE message (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, place INTEGER NOT NULL, target TEXT NOT NULL,
    reconcile INTEGER NOT NULL, deliveries INTEGER NOT NULL DEFAULT 0, state INTEGER NOT NULL DEFAULT 0,
    token INTEGER, receiver INTEGER, locked_until INTEGER, reason TEXT, description TEXT
);
CREATE INDEX message_pending ON message (session, place) WHERE state = 0;
CREATE INDEX message_in_flight ON message (session) WHERE state = 1;
CREATE INDEX message_of_receiver ON message (receiver) WHERE state = 1;
CREATE INDEX message_dead ON message (id) WHERE state = 2;
";

/// Makes the queue, or opens again the one that is there.
pub(super) fn create(path: &Path, options: &Options) -> Result<(), Trouble> {
    let deadline = Instant::now() + LEAVE;
    loop {
        match QueueFile::open_any(path, options) {
            Ok(file) if !file.is_removed()? => {
                file.check_kind(options)?;
                return file.execute("UPDATE queue SET closed = 0");
            }
            // Whoever began to remove it waits for the others to leave, or has not come to its end.
            Ok(file) if file.is_alone()? => file.unlink(path)?,
            Ok(_) => {}
            Err(Trouble::Gone) if make(path, options)? => return Ok(()),
            Err(Trouble::Gone) => {}
            Err(trouble) => return Err(trouble),
        }
        if Instant::now() >= deadline {
            return Err(Trouble::Busy);
        }
        std::thread::sleep(LOOK);
    }
}

/// False when somebody else was faster.
fn make(path: &Path, options: &Options) -> Result<bool, Trouble> {
    check_beside(path)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let new = tempfile::Builder::new()
        .prefix(".queue-")
        .tempfile_in(folder)?
        .into_temp_path();
    fill(&new, options)?;
    match new.persist_noclobber(path) {
        Ok(()) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error.into()),
    }
}

/// Where a queue was taken away by hand, its journal may still be there. It is not removed here: at this moment it may become
/// that of a new queue.
pub(super) fn check_beside(path: &Path) -> Result<(), Trouble> {
    let journal = beside(path, "-wal");
    if !journal.exists() || path.exists() {
        return Ok(());
    }
    Err(Trouble::Refused(format!(
        "{} is left over from a queue that was taken away; remove it",
        journal.display()
    )))
}

/// Makes an empty file a queue.
fn fill(path: &Path, options: &Options) -> Result<(), Trouble> {
    let connection = connect(path, options)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "application_id", APPLICATION)?;
    connection.pragma_update(None, "user_version", VERSION)?;
    connection.execute_batch(&format!("BEGIN; {SCHEMA} COMMIT"))?;
    let lock = i64::try_from(options.lock.as_millis()).unwrap_or(i64::MAX / 4);
    connection.execute(
        "INSERT INTO queue (kind, lock, boot) VALUES (?, ?, ?)",
        params![options.concurrency.kind.to_string(), lock, boot_id()],
    )?;
    // The journal goes when the connection is closed, and this must have happened before others see the file.
    connection.close().map_err(|(_, error)| error.into())
}
