//! One connection to a PostgreSQL database, used by one build.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::{
    future::{join, join_all},
    pin_mut,
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_postgres::{Client, SimpleQueryMessage, types::Type};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        Answer, BatchResult, Error, Mode, Session, Statement, TransactionFate, Value,
        schema::{Column, Table, quote_name},
    },
    connect::Dial,
    convert,
    notices::Notices,
    read as reading,
    simple::{Failed, Sets, code_is, collect, first, first_cell, offset, read},
};
use crate::protocol::Platform;

/// How long a cancelled statement may take to come back before the connection is dropped.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// How many statements of our own are sent before the first is answered.
const AT_ONCE: usize = 8;

/// How long a statement of our own may take.
const OWN_STATEMENT: Duration = Duration::from_secs(300);

/// How long a COMMIT is waited for: deferred triggers and synchronous standbys take their time. It is never cancelled;
/// afterwards the ledger is asked.
const COMMIT: Duration = Duration::from_secs(1_800);

/// Half of what the server allows an idle transaction, less some room.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

/// A connection, its lock and its transaction.
pub(super) struct PostgresSession {
    pub(super) dial: Dial,
    pub(super) client: Option<Arc<Client>>,
    pub(super) driver: Option<JoinHandle<()>>,
    pub(super) keep_alive: Option<JoinHandle<()>>,
    pub(super) busy: Arc<AtomicBool>,
    pub(super) notices: Notices,
    pub(super) ledger_schema: Option<String>,
    pub(super) mode: Mode,
    pub(super) wait: Duration,
    pub(super) stop: CancellationToken,
    /// The transaction, or in autocommit the process on the server, that must not change.
    pub(super) identity: Option<String>,
    pub(super) schema: String,
    /// Which of our tables are there.
    pub(super) tables: Vec<Table>,
    /// Those among them that the login may not use.
    pub(super) unwritable: Vec<Table>,
    /// Their columns, once they are asked for.
    pub(super) catalog: Option<Vec<(Table, Column)>>,
    /// Whether something of our own is to be made permanent before the build's transaction.
    pub(super) changed: bool,
}

impl fmt::Debug for PostgresSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSession")
            .field("place", &self.dial.place)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl PostgresSession {
    pub(super) async fn open(dial: Dial, ledger_schema: Option<String>) -> Result<Self, Error> {
        let notices = Notices::default();
        let (client, driver) = dial.open(&notices).await?;
        Ok(Self {
            dial,
            client: Some(Arc::new(client)),
            driver: Some(driver),
            keep_alive: None,
            busy: Arc::new(AtomicBool::new(true)),
            notices,
            ledger_schema,
            mode: Mode::Transactional,
            wait: Duration::ZERO,
            stop: CancellationToken::new(),
            identity: None,
            schema: String::new(),
            tables: Vec::new(),
            unwritable: Vec::new(),
            catalog: None,
            changed: false,
        })
    }

    pub(super) fn client(&self) -> Result<Arc<Client>, Error> {
        let lost = || {
            Error::Lost(
                self.notices
                    .lost()
                    .unwrap_or_else(|| "it was dropped".into()),
            )
        };
        self.client.clone().ok_or_else(lost)
    }

    /// Waits for `work`, which talks to the server; cancels it there after `limit` or on `stop`.
    pub(super) async fn guarded<T>(
        &mut self,
        limit: Duration,
        stop: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> Guarded<T> {
        let end = async {
            tokio::select! {
                biased;
                () = tokio::time::sleep(limit) => false,
                () = stop.cancelled() => true,
            }
        };
        self.until(end, work).await
    }

    /// Waits for `work`, which talks to the server; cancels it there when `end` comes first, and hands on what that says.
    pub(super) async fn until<T, E>(
        &mut self,
        end: impl Future<Output = E>,
        work: impl Future<Output = T>,
    ) -> Guarded<T, E> {
        self.busy.store(true, Ordering::Relaxed);
        pin_mut!(work);
        let stopped = tokio::select! {
            biased;
            done = &mut work => {
                self.busy.store(false, Ordering::Relaxed);
                return Guarded::Done(done);
            }
            stopped = end => stopped,
        };
        let cancelled = self.client.as_ref().map(|client| client.cancel_token());
        let cancel = async {
            if let Some(token) = cancelled
                && let Err(error) = token.cancel_query(self.dial.tls.clone()).await
            {
                log::debug!(
                    "{}: cannot cancel: {}",
                    self.dial.place,
                    convert::chain(&error)
                );
            }
        };
        let both = join(
            tokio::time::timeout(CANCEL_GRACE, cancel),
            tokio::time::timeout(CANCEL_GRACE, work),
        );
        match both.await.1 {
            Ok(done) => {
                self.busy.store(false, Ordering::Relaxed);
                Guarded::Cancelled {
                    done: Some(done),
                    stopped,
                }
            }
            Err(_) => {
                self.drop_connection();
                Guarded::Cancelled {
                    done: None,
                    stopped,
                }
            }
        }
    }

    /// Runs statements of our own that nobody may stop.
    pub(super) async fn own<T>(
        &mut self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        let never = CancellationToken::new();
        match self.guarded(OWN_STATEMENT, &never, work).await {
            Guarded::Done(result) => result.map_err(|error| self.error(&error)),
            Guarded::Cancelled { .. } => {
                self.drop_connection();
                Err(Error::Lost(format!(
                    "no answer within {} s",
                    OWN_STATEMENT.as_secs()
                )))
            }
        }
    }

    pub(super) fn error(&mut self, error: &tokio_postgres::Error) -> Error {
        let error = convert::statement_error(error, self.notices.lost());
        if matches!(&error, Error::Lost(_))
            || matches!(&error, Error::Sql(error) if error.code.is_none())
        {
            self.drop_connection();
        }
        error
    }

    pub(super) fn drop_connection(&mut self) {
        if let Some(task) = self.keep_alive.take() {
            task.abort();
        }
        self.client = None;
        if let Some(mut driver) = self.driver.take() {
            // The driver says good-bye to the server and ends; one that cannot is ended.
            tokio::spawn(async move {
                if tokio::time::timeout(CANCEL_GRACE, &mut driver)
                    .await
                    .is_err()
                {
                    driver.abort();
                }
            });
        }
    }

    /// An idle transaction is ended by the server after two minutes; while one database of a target works, the others
    /// say now and then that somebody is still there.
    pub(super) fn start_keep_alive(&mut self, client: &Arc<Client>) {
        if self.keep_alive.is_some() {
            return;
        }
        let (client, busy) = (Arc::downgrade(client), Arc::clone(&self.busy));
        self.keep_alive = Some(tokio::spawn(async move {
            loop {
                tokio::time::sleep(KEEP_ALIVE).await;
                let Some(client) = client.upgrade() else {
                    return;
                };
                if !busy.load(Ordering::Relaxed) && client.batch_execute("").await.is_err() {
                    return;
                }
            }
        }));
    }

    /// After a failed batch: whether the transaction still is ours, by what the server says to a query in it.
    async fn fate(&mut self, proof: Option<Proof>) -> TransactionFate {
        match proof {
            _ if self.mode == Mode::Autocommit => TransactionFate::Alive,
            Some(Ok(_)) => TransactionFate::EndedByScript,
            Some(Err(error)) if code_is(&error, "25P02") => TransactionFate::Alive,
            _ => {
                let Ok(client) = self.client() else {
                    return TransactionFate::RolledBack;
                };
                match self.own(client.simple_query(PROOF)).await {
                    Ok(_) => TransactionFate::EndedByScript,
                    Err(Error::Sql(error)) if error.code.as_deref() == Some("25P02") => {
                        TransactionFate::Alive
                    }
                    Err(_) => {
                        self.drop_connection();
                        TransactionFate::RolledBack
                    }
                }
            }
        }
    }

    /// Puts together the error of a batch: where it happened, and what became of the transaction.
    async fn batch_error(&mut self, sql: &str, failed: &Failed, proof: Option<Proof>) -> Error {
        let mut error = self.error(&failed.error);
        let fate = self.fate(proof).await;
        if let Error::Sql(error) = &mut error {
            error.messages = self.notices.take();
            error.offset = offset(sql, failed);
            if error.code.is_some() {
                error.fate = fate;
            }
        }
        error
    }
}

impl Drop for PostgresSession {
    fn drop(&mut self) {
        self.drop_connection();
    }
}

const PROOF: &str = "SELECT pg_catalog.txid_current()";

const COMMIT_STATEMENT: &str = "SELECT pg_catalog.txid_current(); COMMIT";

/// SQLSTATEs that leave open whether a COMMIT was carried out, also when a pooler or a server that goes down says them.
fn is_in_doubt(code: &str) -> bool {
    code.starts_with("08") || code.starts_with("57P") || code.starts_with("XX") || code == "40003"
}

type Proof = Result<Vec<SimpleQueryMessage>, tokio_postgres::Error>;

pub(super) enum Guarded<T, E = bool> {
    Done(T),
    /// Cancelled by us; what the server still answered, if it did.
    Cancelled {
        done: Option<T>,
        stopped: E,
    },
}

#[async_trait]
impl Session for PostgresSession {
    async fn lock(
        &mut self,
        mode: Mode,
        wait: Duration,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        self.mode = mode;
        self.wait = wait;
        self.stop = stop.clone();
        self.take_lock(wait, stop).await?;
        if mode == Mode::Autocommit {
            self.refuse_transaction_pooling().await?;
        }
        if let Some(table) = self.unwritable.first() {
            return Err(Error::Settings(format!(
                "this login may not read and write {}.{}; let `sbm ledger script --platform PostgreSQL` print \
                 the grants for an administrator",
                self.schema,
                table.name(Platform::PostgreSql)
            )));
        }
        Ok(())
    }

    async fn begin(&mut self) -> Result<(), Error> {
        if self.mode == Mode::Autocommit || !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        // The lock belongs to the transaction that made the tables; the build's own transaction takes it anew.
        let client = self.client()?;
        self.own(client.batch_execute("COMMIT")).await?;
        let stop = self.stop.clone();
        self.take_lock(self.wait, &stop).await
    }

    async fn run(
        &mut self,
        sql: &str,
        timeout: Duration,
        stop: &CancellationToken,
    ) -> Result<BatchResult, Error> {
        if self.mode == Mode::Autocommit {
            self.check_process().await?;
        }
        let client = self.client()?;
        let transactional = self.mode == Mode::Transactional;
        let proof = async {
            if transactional {
                Some(client.simple_query(PROOF).await)
            } else {
                None
            }
        };
        let started = Instant::now();
        // Both are sent at once, so the proof costs no round trip.
        let work = join(read(&client, sql, false), proof);
        let (done, cancelled) = match self.guarded(timeout, stop, work).await {
            Guarded::Done(done) => (Some(done), None),
            Guarded::Cancelled { done, stopped } => (done, Some(stopped)),
        };
        let interrupted = |stopped, fate| match stopped {
            true => Error::Stopped,
            false => Error::Timeout { timeout, fate },
        };
        match (done, cancelled) {
            // It ended in time after all. But the cancellation is on its way and may hit whatever comes next.
            (Some((Ok(_), _)), Some(stopped)) => Err(interrupted(stopped, TransactionFate::Alive)),
            (Some((Ok(sets), proof)), None) => {
                let ours = match &proof {
                    Some(Ok(messages)) => match first_cell(messages) {
                        Ok(proof) => proof == self.identity,
                        Err(error) => return Err(self.error(&error)),
                    },
                    Some(Err(error)) => return Err(self.error(error)),
                    None => true,
                };
                log::trace!("{}: batch took {:?}", self.dial.place, started.elapsed());
                if ours {
                    Ok(BatchResult {
                        rows: sets.counts,
                        messages: self.notices.take(),
                    })
                } else {
                    Err(Error::TransactionEnded)
                }
            }
            (Some((Err(failed), proof)), Some(stopped)) if code_is(&failed.error, "57014") => {
                Err(interrupted(stopped, self.fate(proof).await))
            }
            (Some((Err(failed), proof)), _) => Err(self.batch_error(sql, &failed, proof).await),
            (None, Some(true)) => Err(Error::Stopped),
            (None, _) => Err(Error::Timeout {
                timeout,
                fate: TransactionFate::RolledBack,
            }),
        }
    }

    async fn commit(&mut self) -> Result<(), Error> {
        let client = self.client()?;
        // The query makes the COMMIT of a transaction that is aborted an error, where the server would only roll back.
        let work = collect(&client, COMMIT_STATEMENT);
        self.busy.store(true, Ordering::Relaxed);
        let Ok(done) = tokio::time::timeout(COMMIT, work).await else {
            self.drop_connection();
            return Err(Error::Lost(format!(
                "no answer to COMMIT within {} s",
                COMMIT.as_secs()
            )));
        };
        self.busy.store(false, Ordering::Relaxed);
        let error = match done {
            Ok(sets)
                if self.mode == Mode::Transactional
                    && self.identity.is_some()
                    && first(&sets) != self.identity =>
            {
                return Err(Error::TransactionEnded);
            }
            Ok(_) => {
                if self.mode == Mode::Transactional {
                    // There is no build's transaction any more.
                    self.identity = None;
                }
                return Ok(());
            }
            Err(failed) => self.error(&failed.error),
        };
        match error {
            Error::Sql(error) if error.code.as_deref().is_none_or(is_in_doubt) => {
                self.drop_connection();
                Err(Error::Lost(format!(
                    "the answer to COMMIT leaves it open: {}",
                    error.message
                )))
            }
            error => Err(error),
        }
    }

    async fn rollback(&mut self) -> Result<(), Error> {
        let client = self.client()?;
        let (Mode::Transactional, Some(identity)) = (self.mode, self.identity.clone()) else {
            return self.own(client.batch_execute("ROLLBACK")).await;
        };
        let sql = format!("ROLLBACK; SELECT pg_catalog.txid_status({identity})");
        let work = async { collect(&client, &sql).await.map_err(|failed| failed.error) };
        let sets = self.own(work).await?;
        self.identity = None;
        if first(&sets).as_deref() == Some("committed") {
            Err(Error::TransactionEnded)
        } else {
            Ok(())
        }
    }

    async fn settle(&mut self) -> Result<(), Error> {
        let client = self.client()?;
        let sql = settling(self.mode);
        let work = async { collect(&client, sql).await.map_err(|failed| failed.error) };
        let sets = self.own(work).await?;
        check_settled(&sets)
    }

    async fn record(&mut self, statements: &[Statement]) -> Result<Vec<u64>, Error> {
        // Without a transaction, what follows a failed statement would change something.
        let at_once = match self.mode {
            Mode::Transactional => statements.len().min(AT_ONCE),
            Mode::Autocommit => 0,
        };
        let (first, rest) = statements.split_at(at_once);
        let client = self.client()?;
        let settle = collect(&client, settling(self.mode));
        let first = first
            .iter()
            .map(|statement| send(&client, &statement.sql, &statement.parameters));
        // Each is sent when it is first polled, so the server gets them in this order.
        let work = join(settle, join_all(first));
        let (settled, done) = self.own(async { Ok(work.await) }).await?;
        check_settled(&settled.map_err(|failed| self.error(&failed.error))?)?;
        let done: Result<Vec<u64>, _> = done.into_iter().collect();
        let mut changed = done.map_err(|error| self.error(&error))?;
        for statement in rest {
            changed.push(self.execute(&statement.sql, &statement.parameters).await?);
        }
        Ok(changed)
    }

    async fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<u64, Error> {
        self.changed = true;
        let client = self.client()?;
        if parameters.is_empty() {
            let work = async { collect(&client, sql).await.map_err(|failed| failed.error) };
            return self.own(work).await.map(|sets| sets.counts.iter().sum());
        }
        self.own(send(&client, sql, parameters)).await
    }

    async fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, Error> {
        let client = self.client()?;
        let sql = convert::placeholders(sql);
        let typed = typed(parameters);
        let rows = self.own(client.query_typed(&sql, &typed)).await?;
        rows.iter()
            .map(|row| (0..row.len()).map(|index| row.try_get(index)).collect())
            .collect::<Result<_, _>>()
            .map_err(|error| self.error(&error))
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
        self.look_at_tables().await?;
        let columns = self.catalog.iter().flatten();
        let columns = columns.filter(|(of, _)| *of == table);
        Ok(columns.map(|(_, column)| column.clone()).collect())
    }

    fn table_name(&self, table: Table) -> String {
        format!(
            "{}.{}",
            quote_name(&self.schema),
            table.name(Platform::PostgreSql)
        )
    }
}

/// Undoes what scripts may have done to the session, and checks what the commit would check.
fn settling(mode: Mode) -> &'static str {
    match mode {
        Mode::Transactional => {
            "RESET ROLE; SET CONSTRAINTS ALL IMMEDIATE; SELECT pg_catalog.current_setting('client_encoding')"
        }
        Mode::Autocommit => "RESET ROLE; SELECT pg_catalog.current_setting('client_encoding')",
    }
}

fn check_settled(sets: &Sets) -> Result<(), Error> {
    match first(sets) {
        Some(encoding) if encoding != "UTF8" => Err(Error::Settings(format!(
            "a script has set client_encoding to {encoding}; scripts are sent in UTF8, so the server has misread them"
        ))),
        _ => Ok(()),
    }
}

/// One statement with parameters, in one round trip.
async fn send(
    client: &Client,
    sql: &str,
    parameters: &[Value],
) -> Result<u64, tokio_postgres::Error> {
    let sql = convert::placeholders(sql);
    client.execute_typed(&sql, &typed(parameters)).await
}

fn typed(parameters: &[Value]) -> Vec<(&(dyn tokio_postgres::types::ToSql + Sync), Type)> {
    parameters
        .iter()
        .map(|value| {
            (
                value as &(dyn tokio_postgres::types::ToSql + Sync),
                convert::type_of(value),
            )
        })
        .collect()
}
