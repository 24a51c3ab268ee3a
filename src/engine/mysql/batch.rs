//! The statements of a batch, sent one at a time, so that each has its place and its proof.

use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use mysql_async::{Conn, Error as MysqlError, prelude::Queryable};
use tokio_util::sync::CancellationToken;

use super::{
    super::{BatchResult, Error, Mode, Session, TransactionFate, Value},
    convert,
    session::{Guarded, MySqlSession, is_in_transaction},
};
use crate::sql::{self, Dialect, Hazard, HazardKind};

/// Warnings kept of one statement.
const WARNINGS: usize = 50;

/// Words in a batch that asks about the statement before: then nothing of ours may come between two of its statements.
const ASKS: &[&str] = &[
    "row_count",
    "found_rows",
    "diagnostics",
    "show warnings",
    "show errors",
    "show count",
    "warning_count",
    "error_count",
];

/// What a statement gave.
#[derive(Default)]
struct Ran {
    rows: Vec<u64>,
    messages: Vec<String>,
    in_transaction: bool,
}

impl MySqlSession {
    pub(super) async fn run_batch(
        &mut self,
        sql: &str,
        timeout: Duration,
        stop: &CancellationToken,
    ) -> Result<BatchResult, Error> {
        let started = Instant::now();
        let hazards = sql::hazards(sql, Dialect::MySql);
        let warnings = !asks_about_the_last(sql);
        let mut result = BatchResult::default();
        for range in sql::statements(sql, Dialect::MySql) {
            let mut statement = Statement {
                text: sql.get(range.clone()).unwrap_or_default(),
                kind: kind_of(&hazards, &range),
                range,
                warnings,
                timeout,
                left: timeout.saturating_sub(started.elapsed()),
            };
            if !result.rows.is_empty() && statement.left.is_zero() {
                let fate = TransactionFate::Alive;
                return Err(Error::Timeout { timeout, fate });
            }
            statement.left = statement.left.max(Duration::from_millis(1));
            match self.run_statement(&statement, stop).await {
                Ok(ran) => {
                    result.rows.extend(ran.rows);
                    result.messages.extend(ran.messages);
                }
                Err(Error::Sql(mut error)) => {
                    error.messages = result.messages;
                    return Err(Error::Sql(error));
                }
                Err(error) => return Err(error),
            }
        }
        log::trace!("{}: batch took {:?}", self.dial.place, started.elapsed());
        Ok(result)
    }

    async fn run_statement(
        &mut self,
        statement: &Statement<'_>,
        stop: &CancellationToken,
    ) -> Result<Ran, Error> {
        self.check_size(statement)?;
        self.check_encoding(statement).await?;
        self.changes.note(
            statement.text,
            statement.kind != Some(HazardKind::MayCommit),
        );
        let mut link = Arc::clone(&self.link).lock_owned().await;
        let Some(connection) = link.as_mut() else {
            return Err(self.lost());
        };
        let id = connection.id();
        self.has_run = true;
        let work = send(connection, statement.text, statement.warnings);
        match self.guarded(id, statement.left, stop, work).await {
            Guarded::Done(Ok(ran)) => {
                self.in_transaction = ran.in_transaction;
                if self.is_ours(statement.kind) {
                    Ok(ran)
                } else {
                    Err(Error::TransactionEnded)
                }
            }
            Guarded::Done(Err(error)) => {
                let error = self.failure(&mut link, &error);
                drop(link);
                Err(self.complete(error, statement).await)
            }
            Guarded::Cancelled { done, stopped } => {
                if done
                    .as_ref()
                    .is_none_or(|done| done.as_ref().is_err_and(MysqlError::is_fatal))
                {
                    link.take();
                }
                drop(link);
                // What was to be cancelled may have ended by an error of its own just then.
                let code = match done {
                    Some(Err(MysqlError::Server(answer))) => Some(answer.code),
                    _ => None,
                };
                let fate = self.fate(statement.kind, code).await;
                let timeout = statement.timeout;
                Err(match (stopped, fate) {
                    (true, TransactionFate::EndedByScript) => Error::TransactionEnded,
                    (true, _) => Error::Stopped,
                    (false, fate) => Error::Timeout { timeout, fate },
                })
            }
        }
    }

    /// Whether the transaction is still the build's after a statement that succeeded.
    fn is_ours(&self, kind: Option<HazardKind>) -> bool {
        self.mode == Mode::Autocommit || self.in_transaction && !ends_transaction(kind)
    }

    /// Adds the place and the fate of the transaction to an error of a statement.
    async fn complete(&mut self, error: Error, statement: &Statement<'_>) -> Error {
        let Error::Sql(mut error) = error else {
            return error;
        };
        let within = convert::syntax_place(statement.text, &error);
        error.offset = Some(statement.range.start + within.unwrap_or(0));
        let code = error.code.as_deref().and_then(|code| code.parse().ok());
        error.fate = self.fate(statement.kind, code).await;
        error.transient &= error.fate != TransactionFate::EndedByScript;
        Error::Sql(error)
    }

    /// After a statement that failed with `code`, or was cancelled: what became of the transaction, by the flag that comes
    /// with every answer.
    async fn fate(&mut self, kind: Option<HazardKind>, code: Option<u16>) -> TransactionFate {
        if self.mode == Mode::Autocommit {
            return TransactionFate::Alive;
        }
        let by_server = code.is_some_and(convert::rolls_back);
        // Asked first: the next statement clears what the server said.
        let left = by_server && self.error_left_some().await.unwrap_or(true);
        let whole = if left || self.may_have_left() || ends_transaction(kind) {
            TransactionFate::EndedByScript
        } else {
            TransactionFate::RolledBack
        };
        if self.statement("DO 0".into(), CHECK).await.is_err() {
            self.drop_connection().await;
            return whole;
        }
        let unknown = kind == Some(HazardKind::MayCommit) && code != Some(convert::SYNTAX);
        if self.in_transaction && !unknown {
            TransactionFate::Alive
        } else if by_server {
            whole
        } else {
            // Somebody has ended it, and the server has not said that it was the server.
            TransactionFate::EndedByScript
        }
    }

    /// A server closes the connection when it gets more than it takes; so nothing is sent then.
    fn check_size(&self, statement: &Statement<'_>) -> Result<(), Error> {
        let (size, limit) = (statement.text.len(), self.longest_statement());
        match limit.filter(|limit| size > *limit) {
            Some(limit) => {
                let message = sql::too_long(size, limit);
                Err(convert::refused(message, statement.range.start))
            }
            None => Ok(()),
        }
    }

    /// Statements are sent in UTF-8. Where a script has told the server otherwise, text beyond ASCII would be misread.
    async fn check_encoding(&mut self, statement: &Statement<'_>) -> Result<(), Error> {
        if !self.changes.encoding || statement.text.is_ascii() {
            return Ok(());
        }
        let rows = self.query_text("SELECT @@character_set_client").await?;
        let encoding = rows
            .first()
            .and_then(|row| row.first().and_then(Value::as_text))
            .unwrap_or_default();
        if encoding.starts_with("utf8") {
            return Ok(());
        }
        let message = format!(
            "a script has set character_set_client to {encoding}; scripts are sent in UTF-8, so the server would misread \
             this statement"
        );
        Err(convert::refused(message, statement.range.start))
    }
}

/// How long the question for the state of the transaction may take.
const CHECK: Duration = Duration::from_secs(30);

/// A statement of a batch.
struct Statement<'a> {
    text: &'a str,
    range: Range<usize>,
    kind: Option<HazardKind>,
    warnings: bool,
    /// The time-out of the batch, and what is left of it.
    timeout: Duration,
    left: Duration,
}

/// Why the statement at `range` may end the transaction, if it may.
fn kind_of(hazards: &[Hazard], range: &Range<usize>) -> Option<HazardKind> {
    let first = hazards.partition_point(|hazard| hazard.range.start < range.start);
    hazards
        .get(first..)?
        .iter()
        .take_while(|hazard| hazard.range.start < range.end)
        .map(|hazard| hazard.kind)
        .find(|kind| ends_transaction(Some(*kind)))
}

fn ends_transaction(kind: Option<HazardKind>) -> bool {
    matches!(
        kind,
        Some(HazardKind::EndsTransaction | HazardKind::ImplicitCommit | HazardKind::MayCommit)
    )
}

fn asks_about_the_last(sql: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    ASKS.iter().any(|words| sql.contains(words))
}

/// Sends one statement and reads all its results; rows are counted and not kept.
async fn send(connection: &mut Conn, statement: &str, warnings: bool) -> Result<Ran, MysqlError> {
    let mut ran = Ran::default();
    let mut result = connection.query_iter(statement).await?;
    while let Some(columns) = result.columns() {
        if columns.is_empty() {
            ran.rows.push(result.affected_rows());
            result.next().await?;
            continue;
        }
        let mut count = 0;
        while result.next().await?.is_some() {
            count += 1;
        }
        ran.rows.push(count);
    }
    // An error in a later result of the statement.
    result.next().await?;
    drop(result);
    ran.in_transaction = is_in_transaction(connection);
    if warnings && connection.get_warnings() > 0 {
        let rows: Vec<(String, u16, String)> = connection
            .query(format!("SHOW WARNINGS LIMIT {WARNINGS}"))
            .await?;
        let lines = rows
            .into_iter()
            .map(|(level, code, message)| format!("{level} {code}: {message}"));
        ran.messages.extend(lines);
    }
    Ok(ran)
}
