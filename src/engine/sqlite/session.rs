//! One connection to a SQLite database, used by one build.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::tz::TimeZone;
use rusqlite::{
    Batch, Connection, Error as DriverError, ErrorCode, OpenFlags,
    fallible_iterator::FallibleIterator, params_from_iter, types::Value as Cell,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        Answer, BatchResult, Error, Mode, Session, SqlError, Statement, TransactionFate, Value,
        schema::{Column, Table},
    },
    lock::Lock,
    read,
};
use crate::{
    protocol::Platform,
    sql::{self, Dialect},
};

/// How long SQLite itself waits for a lock of another program.
const BUSY: Duration = Duration::from_secs(5);

/// How long an interrupted statement may take to come back before the connection is given up.
pub(super) const INTERRUPT_GRACE: Duration = Duration::from_secs(5);

/// How long a statement of our own may take: a file system that does not answer is given up.
const OWN_STATEMENT: Duration = Duration::from_secs(300);

/// How often an interrupt is repeated. SQLite forgets one that comes between two statements.
pub(super) const INTERRUPT_EVERY: Duration = Duration::from_millis(50);

/// What a thread works with; the lock moves with the connection, so it outlives a statement that nobody waits for.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) connection: Connection,
    lock: Option<Lock>,
}

impl Drop for Inner {
    /// Closing a connection rolls back an open transaction, and SQLite then calls a hook whose closure rusqlite 0.43 has
    /// freed by that time.
    fn drop(&mut self) {
        for cleared in [
            self.connection.rollback_hook(None::<fn()>),
            self.connection.commit_hook(None::<fn() -> bool>),
        ] {
            if let Err(error) = cleared {
                log::debug!("a hook stays: {error}");
            }
        }
    }
}

/// A connection, its lock and its transaction.
#[derive(Debug)]
pub(super) struct SqliteSession {
    path: PathBuf,
    pub(super) inner: Option<Inner>,
    mode: Mode,
    wait: Duration,
    stop: CancellationToken,
    in_build: bool,
    hooks: Arc<Hooks>,
}

/// What SQLite's hooks and the session tell each other.
#[derive(Debug)]
struct Hooks {
    /// Whether SQLite may commit: in the build's transaction only when the build says so.
    may_commit: AtomicBool,
    /// Whether a transaction was rolled back as a whole since the build's began.
    rolled_back: AtomicBool,
}

impl SqliteSession {
    pub(super) async fn open(path: PathBuf) -> Result<Self, Error> {
        let hooks = Arc::new(Hooks {
            may_commit: AtomicBool::new(true),
            rolled_back: AtomicBool::new(false),
        });
        let (file, for_commit, for_rollback) =
            (path.clone(), Arc::clone(&hooks), Arc::clone(&hooks));
        let opened = tokio::task::spawn_blocking(move || {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let mut connection = Connection::open_with_flags(file, flags)?;
            connection.busy_timeout(BUSY)?;
            // A true answer turns the commit into a rollback: no script can end the build's transaction by a commit.
            connection.commit_hook(Some(move || !for_commit.may_commit.load(Ordering::SeqCst)))?;
            connection.rollback_hook(Some(move || {
                for_rollback.rolled_back.store(true, Ordering::SeqCst)
            }))?;
            Ok::<_, DriverError>(connection)
        });
        let connection = opened
            .await
            .map_err(|error| Error::Lost(error.to_string()))?
            .map_err(|error| Error::Connect {
                place: path.display().to_string(),
                message: error.to_string(),
                code: None,
                transient: false,
            })?;
        Ok(Self {
            path,
            inner: Some(Inner {
                connection,
                lock: None,
            }),
            mode: Mode::Transactional,
            wait: Duration::ZERO,
            stop: CancellationToken::new(),
            in_build: false,
            hooks,
        })
    }

    pub(super) fn inner(&mut self) -> Result<Inner, Error> {
        self.inner
            .take()
            .ok_or_else(|| Error::Lost("an earlier statement did not come back".into()))
    }

    /// Works with the connection on a thread that may block.
    async fn call<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Inner) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let mut inner = self.inner()?;
        let task = tokio::task::spawn_blocking(move || {
            let result = work(&mut inner);
            (inner, result)
        });
        let Ok(done) = tokio::time::timeout(OWN_STATEMENT, task).await else {
            return Err(Error::Lost(format!(
                "no answer within {} s",
                OWN_STATEMENT.as_secs()
            )));
        };
        let (inner, result) =
            done.map_err(|error| Error::Lost(format!("the driver failed: {error}")))?;
        self.inner = Some(inner);
        Ok(result)
    }

    /// A statement of our own. Before the build's transaction begins, another program may have the file, and is waited for as
    /// long as the lock is.
    async fn own<T: Send + 'static>(
        &mut self,
        work: impl Fn(&Connection) -> Result<T, DriverError> + Clone + Send + 'static,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + self.wait;
        loop {
            let work = work.clone();
            let done = self.call(move |inner| work(&inner.connection)).await?;
            match done {
                Err(error) if is_busy(&error) && !self.in_build && !self.wait.is_zero() => {
                    if self.stop.is_cancelled() {
                        return Err(Error::Stopped);
                    }
                    if Instant::now() >= deadline {
                        return Err(Error::Busy { wait: self.wait });
                    }
                }
                done => return done.map_err(|error| failure(&error, None, TransactionFate::Alive)),
            }
        }
    }
}

#[async_trait]
impl Session for SqliteSession {
    async fn lock(
        &mut self,
        mode: Mode,
        wait: Duration,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        self.mode = mode;
        self.wait = wait;
        self.stop = stop.clone();
        if self
            .inner
            .as_ref()
            .is_some_and(|inner| inner.lock.is_some())
        {
            return Ok(());
        }
        let deadline = Instant::now() + wait;
        let mut pause = Duration::from_millis(5);
        loop {
            let path = self.path.clone();
            let taken = self.call(move |inner| {
                Lock::try_take(&path).map(|lock| {
                    inner.lock = lock;
                    inner.lock.is_some()
                })
            });
            match taken.await? {
                Ok(true) => return Ok(()),
                Ok(false) if Instant::now() >= deadline => return Err(Error::Busy { wait }),
                Ok(false) => {}
                Err(error) => {
                    let place = self.path.display();
                    return Err(Error::Settings(format!(
                        "cannot lock {place} by a file beside it: {error}"
                    )));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return Err(Error::Stopped),
            }
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    async fn begin(&mut self) -> Result<(), Error> {
        if self.mode == Mode::Autocommit {
            return Ok(());
        }
        let deadline = Instant::now() + self.wait;
        loop {
            let begun = self
                .call(|inner| inner.connection.execute_batch("BEGIN IMMEDIATE"))
                .await?;
            match begun {
                Ok(()) => break,
                Err(error) if is_busy(&error) => {
                    if self.stop.is_cancelled() {
                        return Err(Error::Stopped);
                    }
                    if Instant::now() >= deadline {
                        return Err(Error::Busy { wait: self.wait });
                    }
                }
                Err(error) => return Err(failure(&error, None, TransactionFate::Alive)),
            }
        }
        self.in_build = true;
        self.hooks.rolled_back.store(false, Ordering::SeqCst);
        self.hooks.may_commit.store(false, Ordering::SeqCst);
        Ok(())
    }

    async fn run(
        &mut self,
        sql: &str,
        timeout: Duration,
        stop: &CancellationToken,
    ) -> Result<BatchResult, Error> {
        let inner = self.inner()?;
        let interrupt = inner.connection.get_interrupt_handle();
        let (text, in_build, hooks) = (sql.to_owned(), self.in_build, Arc::clone(&self.hooks));
        let mut task = tokio::task::spawn_blocking(move || {
            let result = run_batch(&inner.connection, &text, in_build.then_some(&*hooks));
            (inner, result)
        });
        let reason = tokio::select! {
            biased;
            done = &mut task => {
                let (inner, result) = done.map_err(|error| Error::Lost(format!("the driver failed: {error}")))?;
                self.inner = Some(inner);
                return result;
            }
            () = tokio::time::sleep(timeout) => None,
            () = stop.cancelled() => Some(Error::Stopped),
        };
        let reason = |fate| reason.unwrap_or(Error::Timeout { timeout, fate });
        let interrupted = async {
            loop {
                interrupt.interrupt();
                if let Ok(done) = tokio::time::timeout(INTERRUPT_EVERY, &mut task).await {
                    return done;
                }
            }
        };
        match tokio::time::timeout(INTERRUPT_GRACE, interrupted).await {
            Ok(Ok((inner, result))) => {
                self.inner = Some(inner);
                match result {
                    Ok(_) => Err(reason(TransactionFate::Alive)),
                    Err(Error::Sql(error)) if error.code.as_deref() == Some(INTERRUPTED) => {
                        Err(reason(error.fate))
                    }
                    result => result,
                }
            }
            Ok(Err(error)) => Err(Error::Lost(format!("the driver failed: {error}"))),
            Err(_) => Err(reason(TransactionFate::RolledBack)),
        }
    }

    async fn commit(&mut self) -> Result<(), Error> {
        if !self.in_build {
            // Without the build's transaction there is at most one that a script left open.
            return self
                .call(|inner| end_open(&inner.connection, "COMMIT"))
                .await?;
        }
        self.hooks.may_commit.store(true, Ordering::SeqCst);
        self.in_build = false;
        let deadline = Instant::now() + self.wait;
        loop {
            match self
                .call(|inner| inner.connection.execute_batch("COMMIT"))
                .await?
            {
                Ok(()) => return Ok(()),
                // A reader is in the way; the transaction stays, and its commit may be tried again.
                Err(error) if is_busy(&error) && Instant::now() < deadline => {}
                Err(error) if is_certain(&error) => {
                    self.hooks.may_commit.store(false, Ordering::SeqCst);
                    return Err(failure(&error, None, TransactionFate::Alive));
                }
                Err(error) => {
                    // The disk failed, perhaps after the moment that counts. Whoever opens the file next finds out.
                    self.inner = None;
                    return Err(Error::Lost(format!("the commit failed: {error}")));
                }
            }
        }
    }

    async fn rollback(&mut self) -> Result<(), Error> {
        self.in_build = false;
        let result = self
            .call(|inner| end_open(&inner.connection, "ROLLBACK"))
            .await?;
        self.hooks.may_commit.store(true, Ordering::SeqCst);
        result
    }

    /// On one visit of the thread that may block. There is nothing to settle.
    async fn record(&mut self, statements: &[Statement]) -> Result<Vec<u64>, Error> {
        let statements: Vec<(String, Vec<Cell>)> = statements
            .iter()
            .map(|statement| (statement.sql.clone(), cells(&statement.parameters)))
            .collect();
        let all = self.call(move |inner| {
            let statements = statements.into_iter();
            statements
                .map(|(sql, cells)| change(&inner.connection, &sql, cells))
                .collect::<Result<_, _>>()
        });
        all.await?
            .map_err(|error| failure(&error, None, TransactionFate::Alive))
    }

    async fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<u64, Error> {
        let (sql, cells) = (sql.to_owned(), cells(parameters));
        self.own(move |connection| change(connection, &sql, cells.clone()))
            .await
    }

    async fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, Error> {
        let (sql, cells) = (sql.to_owned(), cells(parameters));
        self.own(move |connection| read_rows(connection, &sql, cells.clone()))
            .await
    }

    async fn read(
        &mut self,
        query: &str,
        timeout: Duration,
        stop: &CancellationToken,
        to: &mpsc::Sender<Answer>,
    ) -> Result<u64, Error> {
        read::read(self, query, timeout, stop, to).await
    }

    async fn columns(&mut self, table: Table) -> Result<Vec<Column>, Error> {
        let sql = "SELECT name FROM pragma_table_info(?, 'main')";
        let rows = self
            .query(sql, &[table.name(Platform::Sqlite).into()])
            .await?;
        let names = rows.iter().filter_map(|row| row.first()?.as_text());
        Ok(names
            .map(|name| Column {
                name: name.to_owned(),
                max_chars: None,
            })
            .collect())
    }

    fn table_name(&self, table: Table) -> String {
        format!("main.{}", table.name(Platform::Sqlite))
    }
}

/// `SQLITE_INTERRUPT`.
pub(super) const INTERRUPTED: &str = "9";

/// `SQLITE_CONSTRAINT_COMMITHOOK`: our hook turned a commit into a rollback.
const COMMIT_REFUSED: i32 = 531;

/// Runs a batch; `build` is there when it belongs to the build's transaction.
fn run_batch(
    connection: &Connection,
    text: &str,
    build: Option<&Hooks>,
) -> Result<BatchResult, Error> {
    let mut result = BatchResult::default();
    for range in sql::statements(text, Dialect::Sqlite) {
        let piece = text.get(range.clone()).unwrap_or_default();
        let done = run_statements(connection, piece, &mut result.rows);
        // A script may also have opened another transaction in place of ours.
        let rolled_back = build.is_some_and(|hooks| {
            connection.is_autocommit() || hooks.rolled_back.load(Ordering::SeqCst)
        });
        if let Err(error) = done {
            let fate = if rolled_back {
                TransactionFate::RolledBack
            } else {
                TransactionFate::Alive
            };
            return Err(failure(&error, Some((range.start, piece)), fate));
        }
        if rolled_back {
            return Err(Error::Sql(Box::new(SqlError {
                code: None,
                severity: None,
                message:
                    "the script rolled back the build's transaction; nothing of the build remains"
                        .into(),
                offset: Some(range.start),
                fate: TransactionFate::RolledBack,
                transient: false,
                messages: Vec::new(),
            })));
        }
    }
    Ok(result)
}

/// Runs what SQLite itself sees as the statements of `piece`; usually that is one.
fn run_statements(
    connection: &Connection,
    piece: &str,
    counts: &mut Vec<u64>,
) -> Result<(), DriverError> {
    let mut batch = Batch::new(connection, piece);
    while let Some(mut statement) = batch.next()? {
        let returns_rows = statement.column_count() > 0;
        let changed_before = connection.total_changes();
        let mut rows = statement.raw_query();
        let mut count = 0;
        while rows.next()?.is_some() {
            count += 1;
        }
        counts.push(if returns_rows {
            count
        } else {
            connection.total_changes() - changed_before
        });
    }
    Ok(())
}

fn end_open(connection: &Connection, sql: &str) -> Result<(), Error> {
    if connection.is_autocommit() {
        return Ok(());
    }
    connection
        .execute_batch(sql)
        .map_err(|error| failure(&error, None, TransactionFate::Alive))
}

/// Runs one statement of our own; the number of rows it changed.
fn change(connection: &Connection, sql: &str, cells: Vec<Cell>) -> Result<u64, DriverError> {
    let mut statement = connection.prepare_cached(sql)?;
    let count = statement.execute(params_from_iter(cells))?;
    Ok(count as u64)
}

fn read_rows(
    connection: &Connection,
    sql: &str,
    cells: Vec<Cell>,
) -> Result<Vec<Vec<Value>>, DriverError> {
    let mut statement = connection.prepare_cached(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query(params_from_iter(cells))?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let values: Result<Vec<Value>, _> = (0..columns)
            .map(|column| row.get(column).map(value))
            .collect();
        all.push(values?);
    }
    Ok(all)
}

fn value(cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => Value::Int(number),
        Cell::Real(number) => Value::Text(number.to_string()),
        Cell::Text(text) => Value::Text(text),
        Cell::Blob(bytes) => Value::Text(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn cells(values: &[Value]) -> Vec<Cell> {
    let cell = |value: &Value| match value {
        Value::Null => Cell::Null,
        Value::Int(number) => Cell::Integer(*number),
        Value::Bool(truth) => Cell::Integer(i64::from(*truth)),
        Value::Text(text) => Cell::Text(text.clone()),
        Value::Uuid(id) => Cell::Text(id.to_string()),
        // The form of CURRENT_TIMESTAMP, with more digits, so that texts compare as times do.
        Value::Time(time) => {
            let utc = time.to_zoned(TimeZone::UTC).datetime();
            Cell::Text(utc.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string())
        }
    };
    values.iter().map(cell).collect()
}

/// Whether a COMMIT that failed so has certainly not committed.
fn is_certain(error: &DriverError) -> bool {
    use ErrorCode::{ConstraintViolation, DatabaseBusy, DatabaseLocked, Unknown};
    // `Unknown` is SQLITE_ERROR: there is no transaction any more.
    matches!(
        error.sqlite_error_code(),
        Some(ConstraintViolation | DatabaseBusy | DatabaseLocked | Unknown)
    )
}

fn is_busy(error: &DriverError) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// The driver's error in our terms. `place` is the piece that was running and where it starts.
pub(super) fn failure(
    error: &DriverError,
    place: Option<(usize, &str)>,
    fate: TransactionFate,
) -> Error {
    let (code, message, within) = match error {
        DriverError::SqlInputError {
            error,
            msg,
            sql,
            offset,
        } => {
            let within = place.zip(usize::try_from(*offset).ok());
            let within =
                within.map(|((_, piece), offset)| piece.len().saturating_sub(sql.len()) + offset);
            (Some(error.extended_code), msg.clone(), within)
        }
        DriverError::SqliteFailure(error, message) => {
            let message = message.clone().unwrap_or_else(|| error.to_string());
            (Some(error.extended_code), message, None)
        }
        other => (None, other.to_string(), None),
    };
    let message = if code == Some(COMMIT_REFUSED) {
        "the script tried to commit the build's transaction; everything was rolled back".to_owned()
    } else {
        message
    };
    Error::Sql(Box::new(SqlError {
        code: code.map(|code| code.to_string()),
        severity: None,
        message,
        offset: place.map(|(start, _)| start + within.unwrap_or(0)),
        fate,
        transient: is_busy(error),
        messages: Vec::new(),
    }))
}
