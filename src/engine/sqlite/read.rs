//! Reading from a SQLite database.

use std::time::Duration;

use rusqlite::{
    Batch, Connection, Row, Statement, fallible_iterator::FallibleIterator, types::ValueRef,
};
use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        Answer, Error, TransactionFate, cell,
        read::{Early, Reader, query_of, shifted},
    },
    session::{INTERRUPT_EVERY, INTERRUPT_GRACE, INTERRUPTED, SqliteSession, failure},
};
use crate::sql::Dialect;

/// Reads in a thread that may block; an interrupt ends it.
pub(super) async fn read(
    session: &mut SqliteSession,
    text: &str,
    timeout: Duration,
    stop: &CancellationToken,
    to: &mpsc::Sender<Answer>,
) -> Result<u64, Error> {
    let (query, start) = query_of(text, Dialect::Sqlite)?;
    let reader = Reader::new(timeout, stop, to);
    let inner = session.inner()?;
    let interrupt = inner.connection.get_interrupt_handle();
    let (query, sender, runtime) = (query.to_owned(), reader.clone(), Handle::current());
    let mut task = tokio::task::spawn_blocking(move || {
        let send = |answer| runtime.block_on(sender.send(answer));
        let result = guarded(&inner.connection, &query, send);
        (inner, result)
    });
    let lost = |error| Error::Lost(format!("the driver failed: {error}"));
    let reason = tokio::select! {
        biased;
        done = &mut task => {
            let (inner, result) = done.map_err(lost)?;
            session.inner = Some(inner);
            return match result {
                // The other side can go away between two rows, before anybody looks for it.
                Ok(End::Whole(rows) | End::Unread(rows)) => Ok(rows),
                Err(error) => Err(shifted(error, start)),
            };
        }
        reason = reader.early() => reason,
    };
    let interrupted = async {
        loop {
            interrupt.interrupt();
            if let Ok(done) = tokio::time::timeout(INTERRUPT_EVERY, &mut task).await {
                return done;
            }
        }
    };
    match tokio::time::timeout(INTERRUPT_GRACE, interrupted).await {
        Ok(done) => {
            let (inner, result) = done.map_err(lost)?;
            session.inner = Some(inner);
            match result {
                Ok(End::Whole(rows) | End::Unread(rows)) => reader.ended(reason, rows),
                Err(Error::Sql(error)) if error.code.as_deref() == Some(INTERRUPTED) => {
                    reader.ended(reason, 0)
                }
                Err(_) if reason == Early::Unread => Ok(0),
                Err(error) => Err(shifted(error, start)),
            }
        }
        Err(_) => reader.ended(reason, 0),
    }
}

/// How far an answer came.
enum End {
    Whole(u64),
    Unread(u64),
}

/// Reads while the connection refuses to write.
fn guarded(
    connection: &Connection,
    query: &str,
    send: impl FnMut(Answer) -> bool,
) -> Result<End, Error> {
    let only = |on: bool| {
        connection
            .pragma_update(None, "query_only", on)
            .map_err(|error| failure(&error, None, TransactionFate::RolledBack))
    };
    only(true)?;
    let result = rows(connection, query, send);
    only(false)?;
    result
}

fn rows(
    connection: &Connection,
    query: &str,
    mut send: impl FnMut(Answer) -> bool,
) -> Result<End, Error> {
    let failed = |error| failure(&error, Some((0, query)), TransactionFate::RolledBack);
    let mut statement = prepare(connection, query)?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let width = names.len();
    if !send(Answer::Columns(names)) {
        return Ok(End::Unread(0));
    }
    let mut rows = statement.raw_query();
    let mut count = 0;
    while let Some(row) = rows.next().map_err(failed)? {
        if !send(Answer::Row(cells(row, width).map_err(failed)?)) {
            return Ok(End::Unread(count));
        }
        count += 1;
    }
    Ok(End::Whole(count))
}

/// The one statement of `query`, which SQLite itself calls one that only reads.
fn prepare<'c>(connection: &'c Connection, query: &str) -> Result<Statement<'c>, Error> {
    let failed = |error| failure(&error, Some((0, query)), TransactionFate::RolledBack);
    let mut batch = Batch::new(connection, query);
    let statement = batch
        .next()
        .map_err(failed)?
        .ok_or_else(|| Error::NotAQuery("it holds no statement".into()))?;
    if !statement.readonly() {
        return Err(Error::NotAQuery("it would change the database".into()));
    }
    if batch.next().map_err(failed)?.is_some() {
        return Err(Error::NotAQuery("it holds more than one statement".into()));
    }
    Ok(statement)
}

fn cells(row: &Row<'_>, width: usize) -> Result<Vec<Option<String>>, rusqlite::Error> {
    (0..width)
        .map(|index| Ok(text(row.get_ref(index)?)))
        .collect()
}

fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(cell::float(number)),
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Some(cell::bytes(bytes)),
    }
}
