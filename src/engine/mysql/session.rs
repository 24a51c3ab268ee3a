//! One connection to a MySQL database, used by one build.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{
    FutureExt,
    future::{BoxFuture, join},
    pin_mut,
};
use mysql_async::{
    Conn, Error as MysqlError, Params, Row, consts::StatusFlags, prelude::Queryable,
};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        Answer, BatchResult, Error, Mode, Session, Value,
        schema::{Column, Table},
    },
    convert,
    dial::{CANCEL, Dial, Kill},
    lock::cells,
    options::Changes,
    read,
};
use crate::protocol::Platform;

/// How long a statement of our own may take. Making a table waits for everybody who has it open.
pub(super) const OWN_STATEMENT: Duration = Duration::from_secs(300);

/// How long a COMMIT is waited for. It is never cancelled; afterwards the ledger is asked.
const COMMIT: Duration = Duration::from_secs(1_800);

/// The warning about a table whose engine knows no transactions: what was changed there stays.
const NOT_ROLLED_BACK: u16 = 1196;

/// A connection, its lock and its transaction.
pub(super) struct MySqlSession {
    pub(super) dial: Dial,
    /// The connection, while it is usable. Shared with the task that keeps it alive.
    pub(super) link: Arc<Mutex<Option<Conn>>>,
    pub(super) keep_alive: Option<JoinHandle<()>>,
    pub(super) mode: Mode,
    /// The server's name for the database.
    pub(super) database: String,
    /// The same in lower case where the server folds names: one database has one such name.
    pub(super) folded_name: String,
    pub(super) lock_name: String,
    /// Whether the database has tables whose engine knows no transactions.
    pub(super) has_lasting_tables: bool,
    /// Whether a statement of a script has been sent.
    pub(super) has_run: bool,
    /// The longest command that the server takes, in bytes.
    pub(super) max_packet: usize,
    /// Whether the server has said with its last answer that a transaction is open.
    pub(super) in_transaction: bool,
    pub(super) changes: Changes,
}

impl fmt::Debug for MySqlSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlSession")
            .field("place", &self.dial.place)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl MySqlSession {
    pub(super) async fn open(dial: Dial) -> Result<Self, Error> {
        let connection = dial.open().await?;
        let mut session = Self {
            dial,
            link: Arc::new(Mutex::new(Some(connection))),
            keep_alive: None,
            mode: Mode::Transactional,
            database: String::new(),
            folded_name: String::new(),
            lock_name: String::new(),
            has_lasting_tables: false,
            has_run: false,
            max_packet: usize::MAX,
            in_transaction: false,
            changes: Changes::default(),
        };
        session.learn().await?;
        Ok(session)
    }

    pub(super) fn lost(&self) -> Error {
        self.gone("it was dropped".into())
    }

    /// The connection is gone, for this reason. What that means depends on what may have been written.
    pub(super) fn gone(&self, why: String) -> Error {
        if self.may_have_left() {
            Error::Kept(why)
        } else {
            Error::Lost(why)
        }
    }

    /// Whether a build that is rolled back may leave something in a table whose engine knows no transactions.
    pub(super) fn may_have_left(&self) -> bool {
        self.mode == Mode::Transactional && self.has_lasting_tables && self.has_run
    }

    /// An error of a statement. The connection is dropped when it did not survive.
    pub(super) fn failure(&self, link: &mut Option<Conn>, error: &MysqlError) -> Error {
        match convert::statement_error(error) {
            Error::Lost(why) => {
                link.take();
                self.gone(why)
            }
            error => error,
        }
    }

    /// Waits for `work`, in which the connection `id` talks to the server; cancels it there after `limit` or on `stop`.
    pub(super) async fn guarded<T>(
        &self,
        id: u32,
        limit: Duration,
        stop: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> Guarded<T, bool> {
        let early = async {
            tokio::select! {
                biased;
                () = tokio::time::sleep(limit) => false,
                () = stop.cancelled() => true,
            }
        };
        self.until(id, early, work).await
    }

    /// As [`guarded`](Self::guarded), until `early` gives a reason to cancel.
    pub(super) async fn until<T, R>(
        &self,
        id: u32,
        early: impl Future<Output = R>,
        work: impl Future<Output = T>,
    ) -> Guarded<T, R> {
        pin_mut!(work);
        let stopped = tokio::select! {
            biased;
            done = &mut work => return Guarded::Done(done),
            reason = early => reason,
        };
        let both = join(
            self.dial.kill(Kill::Statement, id),
            tokio::time::timeout(CANCEL, work),
        );
        let (killed, done) = both.await;
        if let Err(error) = killed {
            log::debug!("{}: cannot cancel: {error}", self.dial.place);
        }
        let done = done.ok();
        if done.is_none() {
            // The server may not notice for long that nobody is there any more.
            let dial = self.dial.clone();
            tokio::spawn(async move { dial.kill(Kill::Connection, id).await });
        }
        Guarded::Cancelled { done, stopped }
    }

    /// Runs statements of our own that nobody may stop.
    pub(super) async fn own<T>(
        &mut self,
        limit: Duration,
        work: impl for<'a> FnOnce(&'a mut Conn) -> BoxFuture<'a, Result<T, MysqlError>>,
    ) -> Result<T, Error> {
        let mut link = Arc::clone(&self.link).lock_owned().await;
        let Some(connection) = link.as_mut() else {
            return Err(self.lost());
        };
        let (id, never) = (connection.id(), CancellationToken::new());
        let work = work(connection);
        let Guarded::Done(done) = self.guarded(id, limit, &never, work).await else {
            link.take();
            return Err(self.gone(format!("no answer within {} s", limit.as_secs())));
        };
        match done {
            Ok(done) => {
                self.in_transaction = link.as_ref().is_some_and(is_in_transaction);
                Ok(done)
            }
            Err(error) => Err(self.failure(&mut link, &error)),
        }
    }

    /// Runs a query of our own that no session variable can change the meaning of, and reads its cells as text.
    pub(super) async fn query_text(&mut self, sql: &str) -> Result<Vec<Vec<Value>>, Error> {
        let sql = sql.to_owned();
        self.own(OWN_STATEMENT, move |connection| {
            async move { connection.query::<Row, _>(sql).await }.boxed()
        })
        .await
        .map(|rows| rows.into_iter().map(cells).collect())
    }

    /// Runs one statement of our own; the rows that it matched.
    pub(super) async fn statement(&mut self, sql: String, limit: Duration) -> Result<u64, Error> {
        self.own(limit, move |connection| {
            async move {
                connection.query_drop(sql).await?;
                Ok(matched(connection))
            }
            .boxed()
        })
        .await
    }

    pub(super) async fn drop_connection(&mut self) {
        if let Some(task) = self.keep_alive.take() {
            task.abort();
        }
        self.link.lock().await.take();
        self.in_transaction = false;
    }

    /// Takes back what scripts have done to the session.
    async fn take_back(&mut self) -> Result<(), Error> {
        let changes = std::mem::take(&mut self.changes);
        let undo = changes.undo(&self.quoted_database());
        for sql in undo.certain {
            self.statement(sql, OWN_STATEMENT).await?;
        }
        for sql in undo.tried {
            match self.statement(sql, OWN_STATEMENT).await {
                Err(error @ (Error::Lost(_) | Error::Kept(_))) => return Err(error),
                Err(error) => log::debug!("{}: {error}", self.dial.place),
                Ok(_) => {}
            }
        }
        // What hides our tables is looked for when they are needed.
        self.changes.temporary_tables = changes.temporary_tables;
        Ok(())
    }

    /// Whether what a rollback was for has stayed, because a table's engine knows no transactions.
    async fn some_stayed(&mut self) -> Result<bool, Error> {
        let warned = |connection: &Conn| connection.get_warnings() > 0;
        self.said_not_rolled_back(warned).await
    }

    /// The same after an error with which the server rolls back by itself.
    pub(super) async fn error_left_some(&mut self) -> Result<bool, Error> {
        self.said_not_rolled_back(|_| true).await
    }

    async fn said_not_rolled_back(&mut self, is_asked: fn(&Conn) -> bool) -> Result<bool, Error> {
        let warnings = self
            .own(OWN_STATEMENT, move |connection| {
                async move {
                    if !is_asked(connection) {
                        return Ok(Vec::new());
                    }
                    connection
                        .query::<(String, u16, String), _>("SHOW WARNINGS")
                        .await
                }
                .boxed()
            })
            .await?;
        Ok(warnings.iter().any(|(_, code, _)| *code == NOT_ROLLED_BACK))
    }
}

impl Drop for MySqlSession {
    fn drop(&mut self) {
        if let Some(task) = self.keep_alive.take() {
            task.abort();
        }
    }
}

/// What became of a wait.
pub(super) enum Guarded<T, R> {
    Done(T),
    /// Cancelled by us; what the server still answered, if it did, and why.
    Cancelled {
        done: Option<T>,
        stopped: R,
    },
}

/// What the server said with its last answer.
pub(super) fn is_in_transaction(connection: &Conn) -> bool {
    connection.last_ok_packet().is_some_and(|answer| {
        answer
            .status_flags()
            .contains(StatusFlags::SERVER_STATUS_IN_TRANS)
    })
}

/// The rows of the last statement: an UPDATE that changes nothing has rows too, which the server only tells in words.
fn matched(connection: &Conn) -> u64 {
    let info = connection.info();
    let matched = info
        .strip_prefix("Rows matched: ")
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok());
    matched.unwrap_or_else(|| connection.affected_rows())
}

#[async_trait]
impl Session for MySqlSession {
    async fn lock(
        &mut self,
        mode: Mode,
        wait: Duration,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        self.mode = mode;
        self.take_lock(wait, stop).await
    }

    async fn begin(&mut self) -> Result<(), Error> {
        if self.mode == Mode::Transactional {
            self.statement("START TRANSACTION READ WRITE".into(), OWN_STATEMENT)
                .await?;
        }
        Ok(())
    }

    async fn begin_script(&mut self) -> Result<(), Error> {
        self.take_back().await
    }

    async fn run(
        &mut self,
        sql: &str,
        timeout: Duration,
        stop: &CancellationToken,
    ) -> Result<BatchResult, Error> {
        self.run_batch(sql, timeout, stop).await
    }

    async fn roll_back_to(&mut self, name: &str) -> Result<(), Error> {
        self.statement(format!("ROLLBACK TO SAVEPOINT {name}"), OWN_STATEMENT)
            .await?;
        if self.some_stayed().await? {
            return Err(Error::TransactionEnded);
        }
        self.release(name).await
    }

    async fn settle(&mut self) -> Result<(), Error> {
        if self.mode == Mode::Autocommit {
            self.statement("UNLOCK TABLES".into(), OWN_STATEMENT)
                .await?;
        }
        self.take_back().await?;
        if std::mem::take(&mut self.changes.temporary_tables) {
            let names = Table::ALL.map(|table| self.table_name(table)).join(", ");
            self.statement(
                format!("DROP TEMPORARY TABLE IF EXISTS {names}"),
                OWN_STATEMENT,
            )
            .await?;
        }
        self.check_lock().await
    }

    async fn commit(&mut self) -> Result<(), Error> {
        const SQL: &str = "COMMIT AND NO CHAIN NO RELEASE";
        if self.mode == Mode::Autocommit {
            self.statement(SQL.into(), COMMIT).await?;
            self.statement("UNLOCK TABLES".into(), OWN_STATEMENT)
                .await?;
            return self
                .statement("SET SESSION autocommit = 1".into(), OWN_STATEMENT)
                .await
                .map(drop);
        }
        if !self.in_transaction {
            return Err(Error::TransactionEnded);
        }
        let mut link = Arc::clone(&self.link).lock_owned().await;
        let Some(connection) = link.as_mut() else {
            return Err(self.lost());
        };
        let in_doubt = match tokio::time::timeout(COMMIT, connection.query_drop(SQL)).await {
            Ok(Ok(())) => {
                self.in_transaction = false;
                return Ok(());
            }
            Ok(Err(MysqlError::Server(answer))) if convert::is_certain(answer.code) => {
                return Err(convert::statement_error(&MysqlError::Server(answer)));
            }
            Ok(Err(error)) => format!(
                "the answer to COMMIT leaves it open: {}",
                convert::chain(&error)
            ),
            Err(_) => format!("no answer to COMMIT within {} s", COMMIT.as_secs()),
        };
        link.take();
        self.in_transaction = false;
        Err(self.gone(in_doubt))
    }

    async fn rollback(&mut self) -> Result<(), Error> {
        self.statement("ROLLBACK AND NO CHAIN NO RELEASE".into(), OWN_STATEMENT)
            .await?;
        if self.mode == Mode::Autocommit {
            self.statement("UNLOCK TABLES".into(), OWN_STATEMENT)
                .await?;
            // A row about what has happened would never be committed otherwise.
            self.statement("SET SESSION autocommit = 1".into(), OWN_STATEMENT)
                .await?;
        } else if self.some_stayed().await? {
            return Err(Error::TransactionEnded);
        }
        Ok(())
    }

    async fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<u64, Error> {
        let sql = sql.to_owned();
        if parameters.is_empty() {
            return self.statement(sql, OWN_STATEMENT).await;
        }
        let parameters = Params::Positional(parameters.iter().map(convert::cell).collect());
        self.own(OWN_STATEMENT, move |connection| {
            async move {
                connection.exec_drop(sql, parameters).await?;
                Ok(matched(connection))
            }
            .boxed()
        })
        .await
    }

    async fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, Error> {
        let sql = sql.to_owned();
        let parameters = match parameters {
            [] => Params::Empty,
            given => Params::Positional(given.iter().map(convert::cell).collect()),
        };
        self.own(OWN_STATEMENT, move |connection| {
            async move { connection.exec::<Row, _, _>(sql, parameters).await }.boxed()
        })
        .await
        .map(|rows| rows.into_iter().map(cells).collect())
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
        let sql = "SELECT COLUMN_NAME, CHARACTER_MAXIMUM_LENGTH FROM information_schema.COLUMNS \
                   WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION";
        let parameters = [
            self.database.as_str().into(),
            table.name(Platform::MySql).into(),
        ];
        let rows = self.query(sql, &parameters).await?;
        let column = |row: Vec<Value>| {
            Some(Column {
                name: row.first()?.as_text()?.to_owned(),
                max_chars: row
                    .get(1)
                    .and_then(Value::as_int)
                    .and_then(|chars| u32::try_from(chars).ok()),
            })
        };
        Ok(rows.into_iter().filter_map(column).collect())
    }

    fn database_name(&self, _given: &str) -> String {
        self.folded_name.clone()
    }

    fn longest_statement(&self) -> Option<usize> {
        // One byte says what kind of command it is.
        self.max_packet.checked_sub(1)
    }

    fn table_name(&self, table: Table) -> String {
        format!("{}.{}", self.quoted_database(), table.name(Platform::MySql))
    }
}
