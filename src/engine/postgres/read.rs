//! Reading from a PostgreSQL database.

use std::time::Duration;

use futures::{StreamExt, pin_mut};
use tokio::sync::mpsc;
use tokio_postgres::{Client, SimpleQueryMessage, types::Type};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        Answer, Error, SqlError, cell,
        read::{Early, ROLLBACK, Reader, query_of, second_table, shifted},
    },
    session::{Guarded, PostgresSession},
    simple::{Failed, code_is, offset},
};
use crate::sql::Dialect;

/// Opens the transaction of a query, in which the server changes nothing, and leaves no choice in how it writes values.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; \
    SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL timezone = 'UTC'; \
    SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; SET LOCAL lc_monetary = 'C'; \
    SET LOCAL xmlbinary = 'base64'; SET LOCAL client_encoding = 'UTF8'";

/// `read_only_sql_transaction`.
const READ_ONLY: &str = "25006";

/// `query_canceled`.
const CANCELLED: &str = "57014";

/// Reads in a transaction of its own, which is rolled back whatever happens.
pub(super) async fn read(
    session: &mut PostgresSession,
    text: &str,
    timeout: Duration,
    stop: &CancellationToken,
    to: &mpsc::Sender<Answer>,
) -> Result<u64, Error> {
    let (query, start) = query_of(text, Dialect::Postgres)?;
    let client = session.client()?;
    let result = in_transaction(session, query, &Reader::new(timeout, stop, to)).await;
    if session.client.is_some() {
        let rolled_back = tokio::time::timeout(ROLLBACK, client.batch_execute("ROLLBACK")).await;
        if !matches!(rolled_back, Ok(Ok(()))) {
            log::debug!(
                "{}: rolling a query back: {rolled_back:?}",
                session.dial.place
            );
            session.drop_connection();
        }
    }
    session.notices.take();
    result.map_err(|error| shifted(error, start))
}

async fn in_transaction(
    session: &mut PostgresSession,
    query: &str,
    reader: &Reader,
) -> Result<u64, Error> {
    let client = session.client()?;
    // What opens the transaction has the limits of the query: a server can be slow with it, too.
    let work = async {
        let begun = client.batch_execute(BEGIN).await;
        begun.map_err(Refused::Begin)?;
        if reader.is_over() {
            return Ok(0);
        }
        ask(&client, query, reader).await
    };
    let (done, reason) = match session.until(reader.early(), work).await {
        Guarded::Done(done) => (Some(done), None),
        Guarded::Cancelled { done, stopped } => (done, Some(stopped)),
    };
    match (done, reason) {
        // The other side can go away between two rows, before anybody looks for it.
        (Some(Ok(rows)), None) => Ok(rows),
        (Some(Ok(rows)), Some(reason)) => reader.ended(reason, rows),
        (Some(Err(Refused::SecondTable)), _) => Err(second_table()),
        (Some(Err(Refused::Server(failed))), Some(reason))
            if reason == Early::Unread || code_is(&failed.error, CANCELLED) =>
        {
            reader.ended(reason, 0)
        }
        (Some(Err(Refused::Begin(error))), Some(reason)) if code_is(&error, CANCELLED) => {
            reader.ended(reason, 0)
        }
        (Some(Err(Refused::Begin(error))), _) => Err(session.error(&error)),
        (Some(Err(Refused::Server(failed))), _) => Err(refusal(session, query, &failed)),
        (None, reason) => reader.ended(reason.unwrap_or(Early::Timeout), 0),
    }
}

enum Refused {
    Begin(tokio_postgres::Error),
    Server(Failed),
    SecondTable,
}

impl From<tokio_postgres::Error> for Refused {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Server(Failed {
            completed: 0,
            error,
        })
    }
}

/// Lets the server prepare the query, which it only does with a single statement, and which tells the columns; then asks for
/// the answer as text, so that every type has one.
async fn ask(client: &Client, query: &str, reader: &Reader) -> Result<u64, Refused> {
    let statement = client.prepare(query).await?;
    let (names, types): (Vec<String>, Vec<Type>) = statement
        .columns()
        .iter()
        .map(|column| (column.name().to_owned(), column.type_().clone()))
        .unzip();
    drop(statement);
    let mut wanted = reader.send(Answer::Columns(names)).await;
    if !wanted {
        return Ok(0);
    }
    let stream = client.simple_query_raw(query).await?;
    pin_mut!(stream);
    let (mut rows, mut tables) = (0, 0);
    // An answer that nobody wants any more is read to its end all the same, which the cancellation brings about.
    while let Some(message) = stream.next().await {
        match message? {
            SimpleQueryMessage::Row(row) if wanted => {
                let cells = types.iter().enumerate();
                let cells = cells.map(|(index, kind)| Some(text(kind, row.try_get(index).ok()??)));
                wanted = reader.send(Answer::Row(cells.collect())).await;
                rows += u64::from(wanted);
            }
            SimpleQueryMessage::RowDescription(_) => tables += 1,
            _ => {}
        }
    }
    if tables > 1 {
        return Err(Refused::SecondTable);
    }
    Ok(rows)
}

/// What the server wrote, in the form that all platforms share.
fn text(kind: &Type, written: &str) -> String {
    match *kind {
        Type::BOOL => if written == "t" { "true" } else { "false" }.into(),
        Type::BYTEA => match written.strip_prefix("\\x") {
            Some(digits) => format!("0x{}", digits.to_ascii_uppercase()),
            None => written.into(),
        },
        Type::FLOAT4 => written
            .parse()
            .map_or_else(|_| written.into(), cell::single),
        Type::FLOAT8 => written.parse().map_or_else(|_| written.into(), cell::float),
        Type::TIMESTAMPTZ | Type::TIMETZ => with_minutes(written),
        _ => written.into(),
    }
}

/// An offset of whole hours gets its minutes: `+02` becomes `+02:00`.
fn with_minutes(written: &str) -> String {
    let short = written
        .rsplit_once(['+', '-'])
        .is_some_and(|(before, offset)| {
            before.contains(':') && offset.len() == 2 && offset.bytes().all(|b| b.is_ascii_digit())
        });
    if short {
        format!("{written}:00")
    } else {
        written.to_owned()
    }
}

fn refusal(session: &mut PostgresSession, query: &str, failed: &Failed) -> Error {
    match session.error(&failed.error) {
        Error::Sql(error) if error.code.as_deref() == Some(READ_ONLY) => {
            Error::NotAQuery(error.message)
        }
        Error::Sql(error) => Error::Sql(Box::new(SqlError {
            messages: session.notices.take(),
            offset: offset(query, failed),
            ..*error
        })),
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_writes_gets_the_form_of_all_platforms() {
        for (kind, written, expected) in [
            (Type::BOOL, "t", "true"),
            (Type::BOOL, "f", "false"),
            (Type::BYTEA, "\\x00ab", "0x00AB"),
            (Type::FLOAT8, "1e+300", "1e300"),
            (Type::FLOAT8, "-Infinity", "-Infinity"),
            (Type::FLOAT4, "0.1", "0.1"),
            (Type::NUMERIC, "1.50", "1.50"),
            (
                Type::TIMESTAMPTZ,
                "2024-01-02 03:04:05.5+00",
                "2024-01-02 03:04:05.5+00:00",
            ),
            (Type::TIMESTAMPTZ, "infinity", "infinity"),
            (
                Type::TIMESTAMPTZ,
                "0044-03-15 00:00:00+00 BC",
                "0044-03-15 00:00:00+00 BC",
            ),
            (Type::TIMETZ, "03:04:05-07", "03:04:05-07:00"),
            (Type::TIMETZ, "03:04:05+05:30", "03:04:05+05:30"),
            (Type::TEXT, "12:00+02", "12:00+02"),
        ] {
            assert_eq!(text(&kind, written), expected, "{kind}");
        }
    }
}
