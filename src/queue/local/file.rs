//! The file of a queue: how it is recognised, opened, lost and removed.
//!
//! Who removes it says so in the file first: those who have it open leave it then, and it goes with everything that belongs to
//! it.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, config::DbConfig};

use super::{
    Options,
    job::Trouble,
    make::{APPLICATION, VERSION},
    records::Records,
};
use crate::{clock, protocol::ConcurrencyType};

/// How long others may take to leave a queue that is removed.
pub(super) const LEAVE: Duration = Duration::from_secs(20);

/// How often it is looked whether they have left.
pub(super) const LOOK: Duration = Duration::from_millis(10);

/// How many prepared statements are kept.
const STATEMENTS: usize = 64;

/// A queue file that is open.
#[derive(Debug)]
pub(super) struct QueueFile {
    pub(super) connection: Connection,
    /// How long a lock lasts.
    pub(super) lock: Duration,
    identity: Identity,
}

/// Tells a file from another of the same name.
type Identity = (u64, u64);

impl QueueFile {
    /// Opens a queue that is there.
    pub(super) fn open(path: &Path, options: &Options) -> Result<Self, Trouble> {
        let file = Self::open_any(path, options)?;
        if file.is_removed()? {
            return Err(Trouble::Gone);
        }
        file.check_kind(options)?;
        if file.boot()? != boot_id() {
            forget_locks(&file.connection)?;
        }
        Ok(file)
    }

    /// Opens a queue that is there or is just being removed.
    pub(super) fn open_any(path: &Path, options: &Options) -> Result<Self, Trouble> {
        Self::try_open(path, options).map_err(|trouble| match trouble {
            // It was removed in this very moment.
            Trouble::Sqlite(_) if !path.exists() => Trouble::Gone,
            trouble => trouble,
        })
    }

    fn try_open(path: &Path, options: &Options) -> Result<Self, Trouble> {
        let identity = identity(path)?;
        recognise(path)?;
        let connection = connect(path, options)?;
        let sql = "SELECT lock FROM queue";
        let lock: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        let lock = Duration::from_millis(lock.unsigned_abs());
        Ok(Self {
            connection,
            lock,
            identity,
        })
    }

    /// Whether the queue counts what its user counts; whoever removes it need not.
    pub(super) fn check_kind(&self, options: &Options) -> Result<(), Trouble> {
        let sql = "SELECT kind FROM queue";
        let kind: String = self.connection.query_row(sql, [], |row| row.get(0))?;
        let wanted = options.concurrency.kind.to_string();
        if kind == wanted {
            return Ok(());
        }
        let why = format!("it was made for {kind}, and this run wants {wanted}");
        Err(Trouble::Refused(why))
    }

    /// Whether the file still has its name.
    pub(super) fn is_there(&self, path: &Path) -> bool {
        identity(path).is_ok_and(|identity| identity == self.identity)
    }

    /// Does `work` in a transaction that nobody else can be in; an error undoes it.
    pub(super) fn transaction<T>(
        &self,
        kind: ConcurrencyType,
        work: impl FnOnce(&Records<'_>) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        self.execute("BEGIN IMMEDIATE")?;
        let records = Records::new(&self.connection, kind, self.lock);
        let done = records
            .is_closed()
            .and_then(|_| records.end_locks())
            .and_then(|()| work(&records))
            .and_then(|value| self.execute("COMMIT").map(|()| value));
        if done.is_err() && !self.connection.is_autocommit() {
            self.execute("ROLLBACK")?;
        }
        done
    }

    /// Changes whenever another process, or another handle in this one, has changed the file.
    pub(super) fn version(&self) -> Result<i64, Trouble> {
        self.number("PRAGMA data_version")
    }

    /// Removes the queue. Those who have it open are told, and get some time to leave it.
    pub(super) fn remove(self, path: &Path) -> Result<(), Trouble> {
        self.execute("UPDATE queue SET removed = 1")?;
        let deadline = Instant::now() + LEAVE;
        while Instant::now() < deadline {
            if self.is_alone()? {
                return self.unlink(path);
            }
            std::thread::sleep(LOOK);
        }
        self.unlink(path)
    }

    /// Whether nobody else has the file open, and nobody can begin to use it until this is dropped.
    pub(super) fn is_alone(&self) -> Result<bool, Trouble> {
        self.connection.busy_timeout(Duration::ZERO)?;
        // The journal can be given up by the last one alone.
        let sql = "PRAGMA journal_mode = DELETE";
        let mode = self
            .connection
            .query_row(sql, [], |row| row.get::<_, String>(0));
        Ok(mode.is_ok_and(|mode| mode == "delete") && self.execute("BEGIN EXCLUSIVE").is_ok())
    }

    /// Takes the file's name away, if it still has it, and whatever stands beside it.
    pub(super) fn unlink(self, path: &Path) -> Result<(), Trouble> {
        if !self.is_there(path) {
            return Ok(());
        }
        // Where that is possible, the lock ends after the name, so that nobody removes what another has made in between.
        let connection = cfg!(unix).then_some(self.connection);
        for path in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        drop(connection);
        Ok(())
    }

    pub(super) fn is_removed(&self) -> Result<bool, Trouble> {
        Ok(self.number("SELECT removed FROM queue")? != 0)
    }

    fn boot(&self) -> Result<String, Trouble> {
        let sql = "SELECT boot FROM queue";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    fn number(&self, sql: &str) -> Result<i64, Trouble> {
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    pub(super) fn execute(&self, sql: &str) -> Result<(), Trouble> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

pub(super) fn connect(path: &Path, options: &Options) -> Result<Connection, Trouble> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(options.busy)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // Else some statements are compiled anew whenever they get other values.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Refuses a file that is no queue, without touching it. It is read by SQLite alone: if somebody else opened and closed it, the
/// locks that this process has on it would be lost.
fn recognise(path: &Path) -> Result<(), Trouble> {
    if path.is_dir() {
        return Err(Trouble::Refused("it is a folder".to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(untouched(path), flags)?;
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    if number("PRAGMA application_id")? != APPLICATION {
        return Err(Trouble::Refused("it is no queue".to_owned()));
    }
    match number("PRAGMA user_version")? {
        VERSION => Ok(()),
        other => Err(Trouble::Refused(format!(
            "it is a queue of version {other}; this program uses version {VERSION}"
        ))),
    }
}

/// The name by which SQLite reads a file without locks, journal or anything else that could change it.
fn untouched(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                uri.push(char::from(*byte));
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri + "?immutable=1"
}

/// No lock outlives the machine that it was given on.
fn forget_locks(connection: &Connection) -> Result<(), Trouble> {
    let boot = boot_id();
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let forget = || {
        let sql = "UPDATE queue SET boot = ?1 WHERE boot <> ?1 RETURNING 1";
        let first: Option<i64> = connection
            .query_row(sql, [&boot], |row| row.get(0))
            .optional()?;
        if first.is_some() {
            connection.execute_batch(
                "UPDATE message SET state = 0, token = NULL, receiver = NULL, locked_until = NULL WHERE state = 1; \
                 UPDATE session SET pending = pending + in_flight, in_flight = 0, holder = NULL; \
                 DELETE FROM receiver",
            )?;
        }
        connection.execute_batch("COMMIT")
    };
    let forgotten: rusqlite::Result<()> = forget();
    Ok(forgotten?)
}

pub(super) fn boot_id() -> String {
    clock::boot_id().unwrap_or_default()
}

pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

#[cfg(unix)]
fn identity(path: &Path) -> Result<Identity, Trouble> {
    use std::os::unix::fs::MetadataExt;

    let metadata = metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Result<Identity, Trouble> {
    metadata(path).map(|_| (0, 0))
}

fn metadata(path: &Path) -> Result<fs::Metadata, Trouble> {
    fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Trouble::Gone,
        _ => error.into(),
    })
}
