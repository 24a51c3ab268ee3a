//! Reading from a SQL Server database.

use std::time::Duration;

use futures::{FutureExt, TryStreamExt};
use tiberius::QueryItem;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        Answer, Error, Session, TransactionFate,
        read::{Early, ROLLBACK, Reader, query_of, second_table, shifted},
    },
    cells, convert,
    dial::{DriverResult, TdsClient},
    session::{SqlServerSession, talk::Driven},
};
use crate::sql::Dialect;

/// Reads in a transaction of its own. The server has none that only reads, so that it is still open afterwards is proved, and
/// then it is rolled back.
pub(super) async fn read(
    session: &mut SqlServerSession,
    text: &str,
    timeout: Duration,
    stop: &CancellationToken,
    to: &mpsc::Sender<Answer>,
) -> Result<u64, Error> {
    let (query, start) = query_of(text, Dialect::TSql)?;
    session.dirty = true;
    let reader = Reader::new(timeout, stop, to);
    // What opens the transaction has the limits of the query: a server can be slow with it, too.
    tokio::select! {
        biased;
        begun = session.begin() => begun?,
        reason = reader.early() => {
            session.drop_connection("a query ended before its transaction had begun");
            return reader.ended(reason, 0);
        }
    }
    let result = in_transaction(session, query, reader).await;
    let proved = match &result {
        Ok(_) => session.prove().await,
        Err(_) => Ok(()),
    };
    if session.is_connected() {
        match tokio::time::timeout(ROLLBACK, session.rollback()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log::debug!("rolling a query back: {error}"),
            Err(_) => session.drop_connection("the rollback of a query took too long"),
        }
    }
    match (result, proved) {
        (Ok(_), Err(Error::TransactionEnded)) => Err(Error::NotAQuery(
            "it ended the transaction in which it ran; what it committed stays".into(),
        )),
        (Ok(_), Err(error)) => Err(error),
        (result, _) => result.map_err(|error| shifted(error, start)),
    }
}

/// What the driver was asked for.
enum Whole {
    Rows(u64),
    SecondTable,
}

async fn in_transaction(
    session: &mut SqlServerSession,
    query: &str,
    reader: Reader,
) -> Result<u64, Error> {
    session.tap.take();
    let (text, sender) = (query.to_owned(), reader.clone());
    let early = async { reader.early().await };
    let driven = session
        .drive_until(early, |client| ask(client, text, sender).boxed())
        .await;
    let heard = session.tap.take();
    match driven {
        Driven::Done(Whole::Rows(rows)) => Ok(rows),
        Driven::Done(Whole::SecondTable) => {
            // The rest of the answer is not read, and the connection is of no use any more.
            session.drop_connection("an answer had more than one table");
            Err(second_table())
        }
        Driven::Refused(error) => Err(convert::statement_error(
            &error,
            query,
            heard,
            TransactionFate::RolledBack,
        )),
        Driven::Unreadable(error) => Err(convert::unreadable(
            &error,
            heard,
            TransactionFate::RolledBack,
        )),
        Driven::Cancelled { stopped } => {
            if stopped == Early::Unread && session.prove().await.is_err() {
                session.drop_connection("the transaction of a query is gone");
            }
            reader.ended(stopped, 0)
        }
        Driven::Deaf { stopped } => reader.ended(stopped, 0),
        Driven::Lost => Err(session.lost()),
    }
}

async fn ask(client: &mut TdsClient, query: String, reader: Reader) -> DriverResult<Whole> {
    let mut stream = client.simple_query(query).await?;
    let (mut rows, mut tables) = (0, 0);
    while let Some(item) = stream.try_next().await? {
        let answer = match item {
            QueryItem::Metadata(table) => {
                tables += 1;
                if tables > 1 {
                    return Ok(Whole::SecondTable);
                }
                let names = table
                    .columns()
                    .iter()
                    .map(|column| column.name().to_owned());
                Answer::Columns(names.collect())
            }
            QueryItem::Row(row) => {
                rows += 1;
                Answer::Row(
                    row.cells()
                        .map(|(column, cell)| cells::text(column, cell))
                        .collect(),
                )
            }
        };
        if !reader.send(answer).await {
            // Whoever polls this sees the same reason, and cancels the query on the server.
            return std::future::pending().await;
        }
    }
    Ok(Whole::Rows(rows))
}
