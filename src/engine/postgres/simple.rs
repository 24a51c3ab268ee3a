//! Simple queries: several statements in one message, read as they come.

use futures::{StreamExt, pin_mut};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::sql::{self, Dialect};

/// The rows of all results, and the counts.
pub(super) struct Sets {
    pub(super) rows: Vec<Vec<Option<String>>>,
    pub(super) counts: Vec<u64>,
}

/// A failed simple query: after how many statements it failed.
pub(super) struct Failed {
    pub(super) completed: usize,
    pub(super) error: tokio_postgres::Error,
}

/// Runs `sql` and keeps its rows: for statements of our own only.
pub(super) async fn collect(client: &Client, sql: &str) -> Result<Sets, Failed> {
    read(client, sql, true).await
}

pub(super) async fn read(client: &Client, sql: &str, keep_rows: bool) -> Result<Sets, Failed> {
    let mut sets = Sets {
        rows: Vec::new(),
        counts: Vec::new(),
    };
    let failed = |sets: &Sets, error| Failed {
        completed: sets.counts.len(),
        error,
    };
    let stream = client
        .simple_query_raw(sql)
        .await
        .map_err(|error| failed(&sets, error))?;
    pin_mut!(stream);
    while let Some(message) = stream.next().await {
        match message.map_err(|error| failed(&sets, error))? {
            SimpleQueryMessage::Row(row) if keep_rows => {
                let cells = (0..row.len()).map(|index| cell(&row, index));
                let cells = cells.collect::<Result<_, _>>();
                sets.rows.push(cells.map_err(|error| failed(&sets, error))?);
            }
            SimpleQueryMessage::CommandComplete(count) => sets.counts.push(count),
            _ => {}
        }
    }
    Ok(sets)
}

pub(super) fn code_is(error: &tokio_postgres::Error, code: &str) -> bool {
    error.code().is_some_and(|found| found.code() == code)
}

/// Where the error is: at the position that the server gives, else at the statement that failed.
pub(super) fn offset(sql: &str, failed: &Failed) -> Option<usize> {
    use tokio_postgres::error::ErrorPosition::Original;
    if let Some(Original(position)) = failed
        .error
        .as_db_error()
        .and_then(|error| error.position())
    {
        let chars = usize::try_from(*position).ok()?.saturating_sub(1);
        return sql
            .char_indices()
            .nth(chars)
            .map(|(offset, _)| offset)
            .or(Some(sql.len()));
    }
    let statements = sql::statements(sql, Dialect::Postgres);
    statements.get(failed.completed).map(|range| range.start)
}

pub(super) fn first(sets: &Sets) -> Option<String> {
    sets.rows.first()?.first()?.clone()
}

/// The first cell of the first row, where there is one.
pub(super) fn first_cell(
    messages: &[SimpleQueryMessage],
) -> Result<Option<String>, tokio_postgres::Error> {
    let mut rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.next().map_or(Ok(None), |row| cell(row, 0))
}

/// A cell; an error when a network has spoilt it. The driver's `get` would panic.
fn cell(row: &SimpleQueryRow, index: usize) -> Result<Option<String>, tokio_postgres::Error> {
    Ok(row.try_get(index)?.map(str::to_owned))
}
