//! One connection to a SQL Server database, used by one build.

mod answers;
pub(super) mod talk;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use futures::{FutureExt, TryStreamExt};
use tiberius::ToSql;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::{
    answers::read_state,
    talk::{Driven, all_rows, values},
};

use super::{
    super::{
        Answer, BatchResult, Error, Mode, Session, TransactionFate, Value,
        schema::{Column, Table},
    },
    convert::{self, quote_name},
    dial::{Dial, TdsClient},
    proof::State,
    read as reading, statements,
    tap::Tap,
};
use crate::protocol::Platform;

/// The schema of our tables, unless the user names another one.
const DEFAULT_SCHEMA: &str = "dbo";

/// A connection, its lock and its transaction.
pub(super) struct SqlServerSession {
    place: String,
    client: Option<TdsClient>,
    /// Why there is no client any more.
    lost: String,
    pub(super) tap: Tap,
    mode: Mode,
    /// The build's transaction, while it is open.
    transaction: Option<i64>,
    /// Whether a script may have changed the options of the session.
    pub(super) dirty: bool,
    /// Whether a script has asked for figures or plans besides the results.
    figures: bool,
    /// Whose rights the session had when it took the lock.
    who: Option<String>,
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
            figures: false,
            who: None,
            muted: false,
            committed: false,
            schema: ledger_schema.unwrap_or_else(|| DEFAULT_SCHEMA.into()),
            database,
            catalog: Vec::new(),
        })
    }

    pub(super) fn lost(&self) -> Error {
        Error::Lost(self.lost.clone())
    }

    pub(super) fn is_connected(&self) -> bool {
        self.client.is_some()
    }

    /// Leaves the server, which then rolls back.
    pub(super) fn drop_connection(&mut self, why: &str) {
        self.client = None;
        self.lost = why.to_owned();
    }

    /// Puts back what a script may have changed of the session. Also wanted before our own statements: with `SET NOEXEC ON`
    /// they would not run, and `SET ROWCOUNT` would cut them.
    async fn clean(&mut self) -> Result<(), Error> {
        if !std::mem::take(&mut self.dirty) {
            return Ok(());
        }
        if std::mem::take(&mut self.muted) {
            self.speak().await?;
        }
        self.put_back().await
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
        self.figures |= statements::asks_for_figures(sql);
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

    async fn read(
        &mut self,
        query: &str,
        timeout: Duration,
        stop: &CancellationToken,
        to: &mpsc::Sender<Answer>,
    ) -> Result<u64, Error> {
        reading::read(self, query, timeout, stop, to).await
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
