//! Talking to the driver: nothing that a server does or leaves undone reaches further than its own session.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tiberius::Row;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        super::{Error, TransactionFate, Value},
        convert,
        dial::{DriverResult, TdsClient},
    },
    SqlServerSession,
};

/// How long the server may take to obey a cancellation before the connection is dropped.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// How long a statement of our own, or a COMMIT, may take.
const OWN_STATEMENT: Duration = Duration::from_secs(300);

/// What became of some work with the driver.
pub(in super::super) enum Driven<T, E = bool> {
    /// The server answered.
    Done(T),
    /// The server refused, and the connection can be used on.
    Refused(Box<tiberius::error::TokenError>),
    /// The driver does not understand what the server sent; the connection is dropped.
    Unreadable(tiberius::error::Error),
    /// Cancelled on the server, which obeyed.
    Cancelled { stopped: E },
    /// Cancelled, but the server did not obey in time; the connection is dropped.
    Deaf { stopped: E },
    /// The connection is gone.
    Lost,
}

impl SqlServerSession {
    /// Does `work`; after `limit` or on `stop` it is cancelled on the server.
    ///
    /// The client is out of the session meanwhile, so that it is dropped with whatever drops this future: a client in the
    /// middle of an answer must not be used again.
    pub(super) async fn drive<T>(
        &mut self,
        limit: Duration,
        stop: &CancellationToken,
        work: impl for<'c> FnOnce(&'c mut TdsClient) -> BoxFuture<'c, DriverResult<T>>,
    ) -> Driven<T> {
        let end = async {
            tokio::select! {
                biased;
                () = tokio::time::sleep(limit) => false,
                () = stop.cancelled() => true,
            }
        };
        self.drive_until(end, work).await
    }

    /// Does `work`; when `end` comes first, it is cancelled on the server, and what that says is handed on.
    pub(in super::super) async fn drive_until<T, E>(
        &mut self,
        end: impl Future<Output = E>,
        work: impl for<'c> FnOnce(&'c mut TdsClient) -> BoxFuture<'c, DriverResult<T>>,
    ) -> Driven<T, E> {
        let Some(mut client) = self.client.take() else {
            return Driven::Lost;
        };
        let stopped = {
            // The driver may panic on what a server sends; that costs this session its connection, and nobody else anything.
            let guarded = AssertUnwindSafe(self.tap.listen(work(&mut client))).catch_unwind();
            tokio::select! {
                biased;
                done = guarded => return self.finish(client, done),
                stopped = end => stopped,
            }
        };
        let cancel = AssertUnwindSafe(self.tap.listen(client.cancel_query())).catch_unwind();
        match tokio::time::timeout(CANCEL_GRACE, cancel).await {
            Ok(Ok(Ok(()))) => {
                self.client = Some(client);
                Driven::Cancelled { stopped }
            }
            failed => {
                if let Ok(Ok(Err(error))) = failed {
                    log::debug!("{}: cannot cancel: {error}", self.place);
                }
                self.lost = "it did not obey a cancellation".into();
                Driven::Deaf { stopped }
            }
        }
    }

    /// Keeps the client where it can be used on.
    pub(super) fn finish<T, E>(
        &mut self,
        client: TdsClient,
        done: std::thread::Result<DriverResult<T>>,
    ) -> Driven<T, E> {
        use tiberius::error::Error as Driver;
        match done {
            Ok(Ok(value)) => {
                self.client = Some(client);
                Driven::Done(value)
            }
            Ok(Err(Driver::Server(error))) => {
                if error.class() >= convert::FATAL {
                    self.lost = error.message().to_owned();
                } else {
                    self.client = Some(client);
                }
                Driven::Refused(Box::new(error))
            }
            Ok(Err(Driver::Io { message, .. })) => {
                self.lost = message;
                Driven::Lost
            }
            Ok(Err(Driver::Protocol(message))) => {
                self.lost = format!("the driver does not understand the server: {message}");
                Driven::Lost
            }
            Ok(Err(error)) => {
                self.lost = error.to_string();
                Driven::Unreadable(error)
            }
            Err(_) => {
                self.lost = "the driver failed on what the server sent".into();
                Driven::Lost
            }
        }
    }

    /// Does work of our own, which nobody may stop. A server that does not answer loses the connection: what it made of a
    /// COMMIT, say, is then asked elsewhere.
    pub(super) async fn own<T>(
        &mut self,
        sql: &str,
        work: impl for<'c> FnOnce(&'c mut TdsClient) -> BoxFuture<'c, DriverResult<T>>,
    ) -> Result<T, Error> {
        let never = CancellationToken::new();
        self.tap.take();
        let driven = self.drive(OWN_STATEMENT, &never, work).await;
        match driven {
            Driven::Done(value) => Ok(value),
            Driven::Refused(error) => {
                let heard = self.tap.take();
                self.committed = heard.course.committed;
                let alive = TransactionFate::Alive;
                Err(convert::statement_error(&error, sql, heard, alive))
            }
            Driven::Unreadable(error) => Err(Error::Lost(error.to_string())),
            Driven::Cancelled { .. } | Driven::Deaf { .. } => {
                self.client = None;
                self.lost = format!("no answer within {} s", OWN_STATEMENT.as_secs());
                Err(self.lost())
            }
            Driven::Lost => Err(self.lost()),
        }
    }

    /// Runs a batch of our own; the rows of each of its results.
    pub(super) async fn batch(&mut self, sql: &str) -> Result<Vec<Vec<Vec<Value>>>, Error> {
        let text = sql.to_owned();
        self.own(sql, |client| all_rows(client, text).boxed()).await
    }

    /// The first number of the last result of a batch of our own.
    pub(super) async fn number(&mut self, sql: &str) -> Result<i64, Error> {
        let results = self.batch(sql).await?;
        let number = results
            .last()
            .and_then(|rows| rows.first()?.first()?.as_int());
        number.ok_or_else(|| self.incomplete())
    }

    pub(super) fn incomplete(&mut self) -> Error {
        self.client = None;
        self.lost = "an answer of the server is incomplete".into();
        self.lost()
    }
}

pub(super) async fn all_rows(
    client: &mut TdsClient,
    sql: String,
) -> DriverResult<Vec<Vec<Vec<Value>>>> {
    let results = client.simple_query(sql).await?.into_results().await?;
    Ok(results
        .iter()
        .map(|rows| rows.iter().map(values).collect())
        .collect())
}

pub(super) fn values(row: &Row) -> Vec<Value> {
    row.cells().map(|(_, cell)| convert::value(cell)).collect()
}
