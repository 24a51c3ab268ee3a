//! Reading from a MySQL database.

use std::{sync::Arc, time::Duration};

use mysql_async::{
    Column, Conn, Error as MysqlError, Row, Value as Cell, consts::ColumnType, prelude::Queryable,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        Answer, Error, TransactionFate, cell,
        read::{Early, ROLLBACK, Reader, query_of, second_table, shifted},
    },
    convert,
    session::{Guarded, MySqlSession},
};
use crate::sql::Dialect;

/// `ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION`.
const READ_ONLY: &str = "1792";

/// `ER_QUERY_INTERRUPTED`.
const CANCELLED: u16 = 1317;

/// Moments are shown in the session's time zone.
const UTC: &str = "SET SESSION time_zone = '+00:00'";

/// Opens the transaction of a query, in which the server changes nothing.
const BEGIN: &str = "START TRANSACTION READ ONLY";

/// The character set of what is no text.
const BINARY: u16 = 63;

/// Reads in a transaction of its own, in which the server changes nothing, and which is rolled back whatever happens.
pub(super) async fn read(
    session: &mut MySqlSession,
    text: &str,
    timeout: Duration,
    stop: &CancellationToken,
    to: &mpsc::Sender<Answer>,
) -> Result<u64, Error> {
    let (query, start) = query_of(text, Dialect::MySql)?;
    session.changes.note(UTC, true);
    let result = in_transaction(session, query, &Reader::new(timeout, stop, to)).await;
    if !matches!(result, Err(Error::Lost(_)))
        && let Err(error) = session.statement("ROLLBACK".into(), ROLLBACK).await
    {
        log::debug!("{}: rolling a query back: {error}", session.dial.place);
        session.drop_connection().await;
    }
    result.map_err(|error| shifted(error, start))
}

async fn in_transaction(
    session: &mut MySqlSession,
    query: &str,
    reader: &Reader,
) -> Result<u64, Error> {
    let mut link = Arc::clone(&session.link).lock_owned().await;
    let Some(connection) = link.as_mut() else {
        return Err(session.lost());
    };
    let id = connection.id();
    // What opens the transaction has the limits of the query: a server can be slow with it, too.
    let work = async {
        for sql in [UTC, BEGIN] {
            let begun = connection.query_drop(sql).await;
            begun.map_err(Refused::Begin)?;
            if reader.is_over() {
                return Ok(Whole::Rows(0));
            }
        }
        let answer = ask(connection, query, reader).await;
        answer.map_err(Refused::Query)
    };
    let (done, reason) = match session.until(id, reader.early(), work).await {
        Guarded::Done(done) => (Some(done), None),
        Guarded::Cancelled { done, stopped } => (done, Some(stopped)),
    };
    match (done, reason) {
        // The other side can go away between two rows, before anybody looks for it.
        (Some(Ok(Whole::Rows(rows))), None) => Ok(rows),
        (Some(Ok(Whole::Rows(rows))), Some(reason)) => reader.ended(reason, rows),
        (Some(Ok(Whole::SecondTable)), _) => Err(second_table()),
        (Some(Ok(Whole::NoTable)), _) => Err(Error::NotAQuery("it gives no table".into())),
        (
            Some(Err(
                Refused::Begin(MysqlError::Server(answer))
                | Refused::Query(MysqlError::Server(answer)),
            )),
            Some(reason),
        ) if reason == Early::Unread || answer.code == CANCELLED => reader.ended(reason, 0),
        (Some(Err(refused)), _) => {
            let error = match refused {
                Refused::Begin(error) => convert::statement_error(&error),
                Refused::Query(error) => refusal(query, &error),
            };
            if matches!(error, Error::Lost(_)) {
                link.take();
            }
            Err(error)
        }
        (None, reason) => {
            link.take();
            reader.ended(reason.unwrap_or(Early::Timeout), 0)
        }
    }
}

/// What the server said no to.
enum Refused {
    Begin(MysqlError),
    Query(MysqlError),
}

enum Whole {
    Rows(u64),
    SecondTable,
    NoTable,
}

/// Of other statements that only read, servers tell the columns when they run.
const TELLS_COLUMNS: &[&str] = &["SELECT", "WITH", "VALUES", "TABLE"];

/// Whether a server that has prepared `query` has told its columns, if it has any.
fn tells_columns(query: &str) -> bool {
    let word: String = query
        .trim_start_matches(|character: char| character == '(' || character.is_whitespace())
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    TELLS_COLUMNS.contains(&word.to_ascii_uppercase().as_str())
}

/// Lets the server prepare the query, which it only does with a single statement, whatever it takes for a string; then asks
/// for the answer as text.
async fn ask(connection: &mut Conn, query: &str, reader: &Reader) -> Result<Whole, MysqlError> {
    let statement = connection.prep(query).await?;
    let is_empty = statement.num_columns() == 0;
    connection.close(statement).await?;
    if reader.is_over() {
        return Ok(Whole::Rows(0));
    }
    if is_empty && tells_columns(query) {
        return Ok(Whole::NoTable);
    }
    let mut result = connection.query_iter(query).await?;
    let columns = result.columns().unwrap_or_default();
    let names = columns.iter().map(|column| column.name_str().into_owned());
    let mut wanted = reader.send(Answer::Columns(names.collect())).await;
    let mut rows = 0;
    // An answer that nobody wants any more is read to its end all the same, which the cancellation brings about.
    while let Some(row) = result.next().await? {
        if wanted {
            wanted = reader.send(Answer::Row(cells(&columns, row))).await;
            rows += u64::from(wanted);
        }
    }
    let second = result.columns().is_some_and(|columns| !columns.is_empty());
    result.drop_result().await?;
    Ok(if second {
        Whole::SecondTable
    } else {
        Whole::Rows(rows)
    })
}

fn refusal(query: &str, error: &MysqlError) -> Error {
    match convert::statement_error(error) {
        Error::Sql(error) if error.code.as_deref() == Some(READ_ONLY) => {
            Error::NotAQuery(error.message)
        }
        Error::Sql(mut error) => {
            error.offset = Some(convert::syntax_place(query, &error).unwrap_or(0));
            error.fate = TransactionFate::RolledBack;
            Error::Sql(error)
        }
        error => error,
    }
}

fn cells(columns: &[Column], row: Row) -> Vec<Option<String>> {
    let cells = columns.iter().zip(row.unwrap_raw());
    cells
        .map(|(column, cell)| match cell {
            None | Some(Cell::NULL) => None,
            Some(Cell::Bytes(bytes)) => Some(text(
                column.column_type(),
                column.character_set(),
                column.column_length(),
                bytes,
            )),
            Some(other) => Some(other.as_sql(true)),
        })
        .collect()
}

/// What the server wrote, in the form that all platforms share.
fn text(kind: ColumnType, character_set: u16, length: u32, written: Vec<u8>) -> String {
    use ColumnType as Kind;
    match kind {
        Kind::MYSQL_TYPE_BIT if length == 1 => if written.iter().any(|byte| *byte != 0) {
            "true"
        } else {
            "false"
        }
        .into(),
        Kind::MYSQL_TYPE_BIT | Kind::MYSQL_TYPE_GEOMETRY => cell::bytes(&written),
        Kind::MYSQL_TYPE_STRING
        | Kind::MYSQL_TYPE_VAR_STRING
        | Kind::MYSQL_TYPE_VARCHAR
        | Kind::MYSQL_TYPE_TINY_BLOB
        | Kind::MYSQL_TYPE_MEDIUM_BLOB
        | Kind::MYSQL_TYPE_LONG_BLOB
        | Kind::MYSQL_TYPE_BLOB
            if character_set == BINARY =>
        {
            cell::bytes(&written)
        }
        _ => {
            let written = String::from_utf8(written)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
            match kind {
                Kind::MYSQL_TYPE_FLOAT => written.parse().map_or(written, cell::single),
                Kind::MYSQL_TYPE_DOUBLE => written.parse().map_or(written, cell::float),
                Kind::MYSQL_TYPE_TIMESTAMP => format!("{written}+00:00"),
                _ => written,
            }
        }
    }
}
