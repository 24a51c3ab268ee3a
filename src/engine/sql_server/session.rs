//! One connection to a SQL Server database, used by one build.

use std::{fmt, panic::AssertUnwindSafe, time::Duration};

use async_trait::async_trait;
use futures::{FutureExt, TryStreamExt, future::BoxFuture};
use tiberius::{Row, ToSql};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        BatchResult, Error, Mode, Session, TransactionFate, Value,
        schema::{Column, Table},
    },
    convert::{self, quote_name},
    dial::{Dial, DriverResult, TdsClient},
    proof::{self, State},
    statements,
    tap::{Heard, Tap},
};
use crate::protocol::Platform;

/// How long the server may take to obey a cancellation before the connection is dropped.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// How long a statement of our own, or a COMMIT, may take.
const OWN_STATEMENT: Duration = Duration::from_secs(300);

/// Answers of `sp_getapplock`: the lock is ours from 0 on.
const LOCK_TIMED_OUT: i64 = -1;

/// The schema of our tables, unless the user names another one.
const DEFAULT_SCHEMA: &str = "dbo";

/// A connection, its lock and its transaction.
pub(super) struct SqlServerSession {
    place: String,
    client: Option<TdsClient>,
    /// Why there is no client any more.
    lost: String,
    tap: Tap,
    mode: Mode,
    /// The build's transaction, while it is open.
    transaction: Option<i64>,
    /// Whether a script may have changed the options of the session.
    dirty: bool,
    /// Whether a script may have told the server not to run what it is sent.
    muted: bool,
    /// Whether a transaction was committed in the last statement of our own that failed.
    committed: bool,
    schema: String,
    database: String,
    catalog: Vec<(String, Column)>,
}

impl fmt::Debug for SqlServerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlServerSession")
            .field("place", &self.place)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// What became of some work with the driver.
enum Driven<T> {
    /// The server answered.
    Done(T),
    /// The server refused, and the connection can be used on.
    Refused(Box<tiberius::error::TokenError>),
    /// The driver does not understand what the server sent; the connection is dropped.
    Unreadable(tiberius::error::Error),
    /// Cancelled on the server, which obeyed.
    Cancelled { stopped: bool },
    /// Cancelled, but the server did not obey in time; the connection is dropped.
    Deaf { stopped: bool },
    /// The connection is gone.
    Lost,
}

impl SqlServerSession {
    pub(super) async fn open(dial: Dial, ledger_schema: Option<String>) -> Result<Self, Error> {
        let tap = Tap::default();
        let client = dial.open(&tap).await?;
        let database = dial.database;
        Ok(Self {
            place: dial.place,
            client: Some(client),
            lost: "it was dropped".into(),
            tap,
            mode: Mode::Transactional,
            transaction: None,
            dirty: false,
            muted: false,
            committed: false,
            schema: ledger_schema.unwrap_or_else(|| DEFAULT_SCHEMA.into()),
            database,
            catalog: Vec::new(),
        })
    }

    fn lost(&self) -> Error {
        Error::Lost(self.lost.clone())
    }

    /// Does `work`; after `limit` or on `stop` it is cancelled on the server.
    ///
    /// The client is out of the session meanwhile, so that it is dropped with whatever drops this future: a client in the
    /// middle of an answer must not be used again.
    async fn drive<T>(
        &mut self,
        limit: Duration,
        stop: &CancellationToken,
        work: impl for<'c> FnOnce(&'c mut TdsClient) -> BoxFuture<'c, DriverResult<T>>,
    ) -> Driven<T> {
        let Some(mut client) = self.client.take() else {
            return Driven::Lost;
        };
        let stopped = {
            // The driver may panic on what a server sends; that costs this session its connection, and nobody else anything.
            let guarded = AssertUnwindSafe(self.tap.listen(work(&mut client))).catch_unwind();
            tokio::select! {
                biased;
                done = guarded => return self.finish(client, done),
                () = tokio::time::sleep(limit) => false,
                () = stop.cancelled() => true,
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
    fn finish<T>(
        &mut self,
        client: TdsClient,
        done: std::thread::Result<DriverResult<T>>,
    ) -> Driven<T> {
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
    async fn own<T>(
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
    async fn batch(&mut self, sql: &str) -> Result<Vec<Vec<Vec<Value>>>, Error> {
        let text = sql.to_owned();
        self.own(sql, |client| all_rows(client, text).boxed()).await
    }

    /// The first number of the last result of a batch of our own.
    async fn number(&mut self, sql: &str) -> Result<i64, Error> {
        let results = self.batch(sql).await?;
        let number = results
            .last()
            .and_then(|rows| rows.first()?.first()?.as_int());
        number.ok_or_else(|| self.incomplete())
    }

    fn incomplete(&mut self) -> Error {
        self.client = None;
        self.lost = "an answer of the server is incomplete".into();
        self.lost()
    }

    /// Puts back the options that a script may have changed. Also wanted before our own statements: with `SET NOEXEC ON`
    /// they would not run, and `SET ROWCOUNT` would cut them.
    async fn clean(&mut self) -> Result<(), Error> {
        if !std::mem::take(&mut self.dirty) {
            return Ok(());
        }
        if std::mem::take(&mut self.muted) {
            self.batch(statements::SPEAK).await?;
        }
        self.batch(statements::CLEAN).await?;
        Ok(())
    }

    /// Asks for the state of the transaction, right after a batch of a script.
    async fn state(&mut self) -> Result<State, Error> {
        if let Some(state) = self.ask_state().await? {
            return Ok(state);
        }
        // No row: the script has told the server not to run what it is sent, and means that for its later batches, too.
        self.muted = true;
        for option in ["NOEXEC", "PARSEONLY", "FMTONLY"] {
            self.batch(&format!("SET {option} OFF")).await?;
            if let Some(state) = self.ask_state().await? {
                self.batch(&format!("SET {option} ON")).await?;
                return Ok(state);
            }
        }
        Err(self.incomplete())
    }

    async fn ask_state(&mut self) -> Result<Option<State>, Error> {
        let results = self.batch(proof::QUESTION).await?;
        Ok(results.last().and_then(|rows| read_state(rows)))
    }

    /// What became of the transaction when a batch failed or was cancelled.
    async fn fate(&mut self, heard: &Heard) -> TransactionFate {
        let Some(id) = self.transaction else {
            return TransactionFate::Alive;
        };
        let numbers: Vec<u32> = heard.errors.iter().map(|(number, _)| *number).collect();
        match self.state().await {
            Ok(state) => {
                if state.is_doomed(id)
                    && let Err(error) = self.batch(statements::ROLL_BACK).await
                {
                    log::debug!("{}: rolling back: {error}", self.place);
                }
                proof::fate(state, id, heard.course, &numbers)
            }
            Err(error) => {
                log::debug!("{}: cannot ask for the transaction: {error}", self.place);
                self.client = None;
                self.without_connection(heard)
            }
        }
    }

    /// Without a connection nothing is committed any more; but a script may have done so before.
    fn without_connection(&self, heard: &Heard) -> TransactionFate {
        if heard.course.committed {
            TransactionFate::EndedByScript
        } else {
            TransactionFate::RolledBack
        }
    }

    /// After a batch without an error: the transaction must be the build's own.
    async fn prove(&mut self) -> Result<(), Error> {
        let Some(id) = self.transaction else {
            return Ok(());
        };
        let state = self.state().await?;
        if state.is_alive(id) {
            return Ok(());
        }
        if state.is_doomed(id) {
            // A batch that leaves such a transaction gets an error of the server, so this is not expected.
            self.batch(statements::ROLL_BACK).await?;
            return Err(Error::Lost(
                "the transaction can only be rolled back".into(),
            ));
        }
        Err(Error::TransactionEnded)
    }

    /// The lock's answer and what came with it.
    fn read_lock(&mut self, results: Vec<Vec<Vec<Value>>>, wait: Duration) -> Result<(), Error> {
        let mut results = results.into_iter();
        let answer = results
            .next()
            .and_then(|rows| rows.first()?.first()?.as_int());
        match answer {
            Some(0..) => {}
            Some(LOCK_TIMED_OUT) => return Err(Error::Busy { wait }),
            Some(number) => {
                let why = match number {
                    -2 => "the request was cancelled",
                    -3 => "it would have been a dead-lock",
                    _ => "the call is wrong",
                };
                return Err(Error::Lost(format!(
                    "no lock: {why} (sp_getapplock answers {number})"
                )));
            }
            None => return Err(self.incomplete()),
        }
        let name = results
            .next()
            .and_then(|rows| Some(rows.first()?.first()?.as_text()?.to_owned()));
        let Some(name) = name else {
            return Err(self.incomplete());
        };
        self.database = name;
        self.catalog.clear();
        let mut unwritable = None;
        for row in results.next().unwrap_or_default() {
            let [table, column, width, select, insert] = row.as_slice() else {
                return Err(self.incomplete());
            };
            let (Some(table), Some(column)) = (table.as_text(), column.as_text()) else {
                return Err(self.incomplete());
            };
            if select.as_int() == Some(0) || insert.as_int() == Some(0) {
                unwritable = Some(table.to_owned());
            }
            let column = Column {
                name: column.to_owned(),
                max_chars: width.as_int().and_then(|width| u32::try_from(width).ok()),
            };
            self.catalog.push((table.to_owned(), column));
        }
        match unwritable {
            Some(table) => Err(Error::Settings(format!(
                "this login may not read and write {}.{table}; let `sbm ledger script --platform SqlServer` print the \
                 grants for an administrator",
                self.schema
            ))),
            None => Ok(()),
        }
    }

    /// An error with which the server answered a COMMIT, if it leaves no doubt that nothing was committed.
    fn commit_error(&mut self, error: Error) -> Error {
        let Error::Sql(answer) = &error else {
            return error;
        };
        let number: Option<u32> = answer.code.as_deref().and_then(|code| code.parse().ok());
        let passes = number.is_some_and(|number| number != 1205 && convert::is_transient(number));
        if !self.committed && !passes && self.client.is_some() {
            return error;
        }
        // The service failed, or committed first and failed then: the ledger knows.
        self.client = None;
        self.lost = answer.message.clone();
        self.lost()
    }
}

#[async_trait]
impl Session for SqlServerSession {
    async fn lock(
        &mut self,
        mode: Mode,
        wait: Duration,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        self.mode = mode;
        self.dirty = false;
        let sql = statements::lock(wait, &self.schema);
        let limit = wait.saturating_add(Duration::from_secs(30));
        let text = sql.clone();
        self.tap.take();
        let driven = self
            .drive(limit, stop, |client| all_rows(client, text).boxed())
            .await;
        match driven {
            Driven::Done(results) => self.read_lock(results, wait),
            Driven::Refused(error) => Err(convert::statement_error(
                &error,
                &sql,
                self.tap.take(),
                TransactionFate::Alive,
            )),
            Driven::Cancelled { stopped: true } | Driven::Deaf { stopped: true } => {
                Err(Error::Stopped)
            }
            Driven::Cancelled { .. } | Driven::Deaf { .. } => Err(Error::Busy { wait }),
            Driven::Unreadable(_) | Driven::Lost => Err(self.lost()),
        }
    }

    async fn begin(&mut self) -> Result<(), Error> {
        if self.mode == Mode::Autocommit {
            return Ok(());
        }
        self.clean().await?;
        let results = self.batch(statements::BEGIN).await?;
        match results.last().and_then(|rows| read_state(rows)) {
            Some(State {
                depth: 1,
                health: 1,
                id,
            }) => {
                self.transaction = Some(id);
                Ok(())
            }
            _ => Err(self.incomplete()),
        }
    }

    async fn begin_script(&mut self) -> Result<(), Error> {
        self.clean().await
    }

    async fn run(
        &mut self,
        sql: &str,
        timeout: Duration,
        stop: &CancellationToken,
    ) -> Result<BatchResult, Error> {
        self.tap.take();
        self.dirty = true;
        // Within a transaction the proof finds out.
        self.muted |= self.transaction.is_none();
        let text = sql.to_owned();
        let driven = self
            .drive(timeout, stop, |client| {
                async move {
                    let mut stream = client.simple_query(text).await?;
                    while stream.try_next().await?.is_some() {}
                    Ok(())
                }
                .boxed()
            })
            .await;
        let heard = self.tap.take();
        let interrupted = |stopped, fate| match stopped {
            true => Error::Stopped,
            false => Error::Timeout { timeout, fate },
        };
        match driven {
            Driven::Done(()) => {
                self.prove().await?;
                Ok(BatchResult {
                    rows: heard.rows,
                    messages: heard.messages,
                })
            }
            Driven::Refused(error) => {
                let fate = self.fate(&heard).await;
                Err(convert::statement_error(&error, sql, heard, fate))
            }
            Driven::Unreadable(error) => {
                let fate = self.without_connection(&heard);
                Err(convert::unreadable(&error, heard, fate))
            }
            Driven::Cancelled { stopped } => Err(interrupted(stopped, self.fate(&heard).await)),
            Driven::Deaf { stopped } => Err(interrupted(stopped, self.without_connection(&heard))),
            // What a script has committed stays, whatever became of the connection.
            Driven::Lost if self.transaction.is_some() && heard.course.committed => {
                Err(Error::TransactionEnded)
            }
            Driven::Lost => Err(self.lost()),
        }
    }

    async fn savepoint(&mut self, name: &str) -> Result<(), Error> {
        self.batch(&format!("SAVE TRANSACTION {name}")).await?;
        Ok(())
    }

    async fn roll_back_to(&mut self, name: &str) -> Result<(), Error> {
        self.batch(&format!("ROLLBACK TRANSACTION {name}")).await?;
        self.prove().await
    }

    /// Savepoints of SQL Server cannot be given up, cost next to nothing, and may share a name.
    async fn release(&mut self, _: &str) -> Result<(), Error> {
        Ok(())
    }

    /// Nothing is left for the commit to check: constraints of SQL Server are never deferred.
    async fn settle(&mut self) -> Result<(), Error> {
        self.clean().await?;
        self.prove().await
    }

    async fn commit(&mut self) -> Result<(), Error> {
        self.clean().await?;
        let sql = match self.transaction {
            Some(id) => statements::commit(id),
            None => statements::COMMIT_OPEN.to_owned(),
        };
        match self.number(&sql).await {
            Ok(0) => {
                self.transaction = None;
                Ok(())
            }
            // Not the build's transaction any more, or one that stayed open: only the ledger can tell.
            Ok(_) => Err(Error::TransactionEnded),
            Err(error) => Err(self.commit_error(error)),
        }
    }

    async fn rollback(&mut self) -> Result<(), Error> {
        self.clean().await?;
        match self.number(statements::ROLL_BACK).await? {
            0 => {
                self.transaction = None;
                Ok(())
            }
            _ => Err(self.incomplete()),
        }
    }

    async fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<u64, Error> {
        self.clean().await?;
        if parameters.is_empty() {
            // DDL wants to be a batch; called like a procedure it would be one of its own scope.
            self.batch(sql).await?;
            return Ok(self.tap.take().rows.iter().sum());
        }
        let text = convert::placeholders(sql, parameters);
        let parameters = parameters.to_vec();
        self.own(sql, |client| {
            async move {
                let typed = convert::bound(&parameters);
                let bound: Vec<&dyn ToSql> =
                    typed.iter().map(|value| value as &dyn ToSql).collect();
                Ok(client.execute(text, &bound).await?.total())
            }
            .boxed()
        })
        .await
    }

    async fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, Error> {
        self.clean().await?;
        let text = convert::placeholders(sql, parameters);
        let parameters = parameters.to_vec();
        self.own(sql, |client| {
            async move {
                let typed = convert::bound(&parameters);
                let bound: Vec<&dyn ToSql> =
                    typed.iter().map(|value| value as &dyn ToSql).collect();
                let rows = client
                    .query(text, &bound)
                    .await?
                    .into_first_result()
                    .await?;
                Ok(rows.iter().map(values).collect())
            }
            .boxed()
        })
        .await
    }

    async fn columns(&mut self, table: Table) -> Result<Vec<Column>, Error> {
        let name = table.name(Platform::SqlServer);
        let columns = self
            .catalog
            .iter()
            .filter(|(table, _)| table.eq_ignore_ascii_case(name));
        Ok(columns.map(|(_, column)| column.clone()).collect())
    }

    /// With the database, so that it is reached even when a script left for another one.
    fn table_name(&self, table: Table) -> String {
        format!(
            "{}.{}.{}",
            quote_name(&self.database),
            quote_name(&self.schema),
            quote_name(table.name(Platform::SqlServer))
        )
    }
}

async fn all_rows(client: &mut TdsClient, sql: String) -> DriverResult<Vec<Vec<Vec<Value>>>> {
    let results = client.simple_query(sql).await?.into_results().await?;
    Ok(results
        .iter()
        .map(|rows| rows.iter().map(values).collect())
        .collect())
}

fn values(row: &Row) -> Vec<Value> {
    row.cells().map(|(_, cell)| convert::value(cell)).collect()
}

fn read_state(rows: &[Vec<Value>]) -> Option<State> {
    let [depth, health, id] = rows.first()?.as_slice() else {
        return None;
    };
    Some(State {
        depth: depth.as_int()?,
        health: health.as_int()?,
        id: id.as_int()?,
    })
}
