//! One connection to a PostgreSQL database, used by one build.

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::{StreamExt, future::join, pin_mut};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, SimpleQueryMessage, types::Type};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        BatchResult, Error, Mode, Session, TransactionFate, Value,
        schema::{Column, Table, quote_name},
    },
    connect::Dial,
    convert,
};
use crate::{
    protocol::Platform,
    sql::{self, Dialect},
};

/// "sbm" and a number of our own: the advisory lock of a build. Advisory locks belong to one database.
const LOCK_KEY: i64 = 0x0073_626d_0000_0001;

/// How long a cancelled statement may take to come back before the connection is dropped.
const CANCEL_GRACE: Duration = Duration::from_secs(5);

/// How long a statement of our own may take.
const OWN_STATEMENT: Duration = Duration::from_secs(300);

/// How long a COMMIT is waited for: deferred triggers and synchronous standbys take their time. It is never cancelled;
/// afterwards the ledger is asked.
const COMMIT: Duration = Duration::from_secs(1_800);

/// Half of what the server allows an idle transaction, less some room.
const KEEP_ALIVE: Duration = Duration::from_secs(45);

/// Set by each build for its own connection, so that the server ends an idle orphan within two minutes; and so that the package's
/// time-outs decide, not a time-out of the role.
const LIMITS: [(&str, &str); 6] = [
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "'120s'"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "15"),
    ("tcp_keepalives_count", "4"),
    ("tcp_user_timeout", "'90s'"),
];

/// What the server says besides results, and why a connection ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Notices {
    messages: Arc<Mutex<Vec<String>>>,
    lost: Arc<OnceLock<String>>,
}

impl Notices {
    /// Messages kept between two batches at most; a script that prints a million lines does not fill the memory.
    const MAX: usize = 1_000;

    pub(super) fn push(&self, message: String) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        if messages.len() < Self::MAX {
            messages.push(message);
        }
    }

    pub(super) fn set_lost(&self, reason: String) {
        // Only the first reason is of interest.
        self.lost.get_or_init(|| reason);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lost(&self) -> Option<String> {
        self.lost.get().cloned()
    }
}

/// A connection, its lock and its transaction.
pub(super) struct PostgresSession {
    dial: Dial,
    client: Option<Arc<Client>>,
    driver: Option<JoinHandle<()>>,
    keep_alive: Option<JoinHandle<()>>,
    busy: Arc<AtomicBool>,
    notices: Notices,
    ledger_schema: Option<String>,
    mode: Mode,
    wait: Duration,
    stop: CancellationToken,
    /// The transaction, or in autocommit the process on the server, that must not change.
    identity: Option<String>,
    schema: String,
    catalog: Vec<(String, Column)>,
    unwritable: Vec<String>,
    /// Whether something of our own is to be made permanent before the build's transaction.
    changed: bool,
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
            catalog: Vec::new(),
            unwritable: Vec::new(),
            changed: false,
        })
    }

    fn client(&self) -> Result<Arc<Client>, Error> {
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
    async fn guarded<T>(
        &mut self,
        limit: Duration,
        stop: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> Guarded<T> {
        self.busy.store(true, Ordering::Relaxed);
        pin_mut!(work);
        let stopped = tokio::select! {
            biased;
            done = &mut work => {
                self.busy.store(false, Ordering::Relaxed);
                return Guarded::Done(done);
            }
            () = tokio::time::sleep(limit) => false,
            () = stop.cancelled() => true,
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
    async fn own<T>(
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

    fn error(&mut self, error: &tokio_postgres::Error) -> Error {
        let error = convert::statement_error(error, self.notices.lost());
        if matches!(&error, Error::Lost(_))
            || matches!(&error, Error::Sql(error) if error.code.is_none())
        {
            self.drop_connection();
        }
        error
    }

    fn drop_connection(&mut self) {
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
    fn start_keep_alive(&mut self, client: &Arc<Client>) {
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

    async fn take_lock(&mut self, wait: Duration, stop: &CancellationToken) -> Result<(), Error> {
        let client = self.client()?;
        let sql = self.lock_statement(wait);
        let limit = wait.saturating_add(Duration::from_secs(30));
        let work = collect(&client, &sql);
        let sets = match self.guarded(limit, stop, work).await {
            Guarded::Done(Ok(sets)) => sets,
            Guarded::Done(Err(failed)) if code_is(&failed.error, "55P03") => {
                return Err(Error::Busy { wait });
            }
            Guarded::Done(Err(failed)) if code_is(&failed.error, "0A000") => {
                // What a standby says to READ WRITE; during a failover the next login reaches the primary.
                self.drop_connection();
                return Err(Error::Lost("the server is a standby".into()));
            }
            Guarded::Done(Err(failed)) => return Err(self.error(&failed.error)),
            Guarded::Cancelled { stopped: true, .. } => return Err(Error::Stopped),
            Guarded::Cancelled { .. } => return Err(Error::Busy { wait }),
        };
        self.read_lock_answer(&sets.rows)?;
        self.start_keep_alive(&client);
        self.notices.take();
        Ok(())
    }

    /// Transaction, limits, lock, and what is to be known of our tables: one round trip.
    ///
    /// The isolation level is fixed: in a stricter one the snapshot would be older than the lock, and the ledger row of
    /// the build that held it would not be seen.
    fn lock_statement(&self, wait: Duration) -> String {
        let (begin, set, lock, identity) = match self.mode {
            Mode::Transactional => (
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; ",
                "SET LOCAL",
                "pg_advisory_xact_lock",
                "pg_catalog.txid_current()",
            ),
            Mode::Autocommit => ("", "SET", "pg_advisory_lock", "pg_catalog.pg_backend_pid()"),
        };
        let limits: String = LIMITS
            .iter()
            .map(|(name, value)| format!("{set} {name} TO {value}; "))
            .collect();
        let (audit, ledger) = (
            Table::Audit.name(Platform::PostgreSql),
            Table::Ledger.name(Platform::PostgreSql),
        );
        let may = |right: &str| format!("pg_catalog.has_table_privilege(c.oid, '{right}')");
        format!(
            "{begin}{limits}{set} lock_timeout TO {}; SELECT pg_catalog.{lock}({LOCK_KEY}); \
             {set} lock_timeout TO DEFAULT; SELECT {identity}, pg_catalog.current_schema(); \
             SELECT n.nspname, c.relname, a.attname, \
             CASE WHEN a.atttypid = 1043 AND a.atttypmod > 0 THEN a.atttypmod - 4 END, \
             {} AND {} AND (c.relname = '{audit}' OR {} AND {}) \
             FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relname IN ('{audit}', '{ledger}') AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't' \
             AND a.attnum > 0 AND NOT a.attisdropped",
            wait.as_millis().clamp(1, i32::MAX as u128),
            may("INSERT"),
            may("SELECT"),
            may("UPDATE"),
            may("DELETE"),
        )
    }

    fn read_lock_answer(&mut self, rows: &[Vec<Option<String>>]) -> Result<(), Error> {
        let mut rows = rows.iter().filter(|row| row.len() > 1);
        let Some([identity, schema]) = rows.next().map(Vec::as_slice) else {
            return Err(Error::Lost("the answer to the lock is incomplete".into()));
        };
        self.identity.clone_from(identity);
        self.catalog.clear();
        self.unwritable.clear();
        let rows: Vec<&Vec<Option<String>>> = rows.collect();
        if self.schema.is_empty() {
            self.schema = self.choose_schema(schema.as_deref(), &rows)?;
        }
        for row in rows {
            if let [Some(schema), Some(table), Some(column), width, writable] = row.as_slice() {
                if *schema != self.schema {
                    continue;
                }
                let max_chars = width.as_ref().and_then(|width| width.parse().ok());
                self.catalog.push((
                    table.clone(),
                    Column {
                        name: column.clone(),
                        max_chars,
                    },
                ));
                if writable.as_deref() != Some("t") && !self.unwritable.contains(table) {
                    self.unwritable.push(table.clone());
                }
            }
        }
        Ok(())
    }

    /// Where our tables are, chosen once per session. A ledger that exists is the one, whatever the search path says by
    /// now: a script may have changed it, and a run must find its rows again.
    fn choose_schema(
        &self,
        current: Option<&str>,
        rows: &[&Vec<Option<String>>],
    ) -> Result<String, Error> {
        if let Some(schema) = &self.ledger_schema {
            return Ok(schema.clone());
        }
        for table in [Table::Ledger, Table::Audit] {
            let name = table.name(Platform::PostgreSql);
            let mut schemas: Vec<&str> = rows
                .iter()
                .filter(|row| row.get(1).and_then(|cell| cell.as_deref()) == Some(name))
                .filter_map(|row| row.first()?.as_deref())
                .collect();
            schemas.sort_unstable();
            schemas.dedup();
            match (table, schemas.as_slice()) {
                (_, [schema]) => return Ok((*schema).to_owned()),
                (Table::Ledger, [_, _, ..]) => {
                    return Err(Error::Settings(format!(
                        "{} has a ledger in each of the schemas {}; say which with --ledgerschema",
                        self.dial.place,
                        schemas.join(", ")
                    )));
                }
                _ => {}
            }
        }
        current.map(str::to_owned).ok_or_else(|| {
            Error::Settings(
                "the search path names no schema for audit table and ledger; name one with --ledgerschema".into(),
            )
        })
    }

    /// A session lock is useless when each transaction may run in another session of the server. A second login that is
    /// given our own session, although we still hold it, gives such a pooler away.
    async fn refuse_transaction_pooling(&self) -> Result<(), Error> {
        let (client, _driver) = self.dial.open(&Notices::default()).await?;
        let pid = client.simple_query("SELECT pg_catalog.pg_backend_pid()");
        let pid = tokio::time::timeout(self.dial.timeout, pid)
            .await
            .map_err(|_| Error::Lost("no answer to the test for a pooler".into()))?
            .map_err(|error| convert::statement_error(&error, None))?;
        let shared = pid.iter().any(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned) == self.identity,
            _ => false,
        });
        if shared {
            return Err(Error::Settings(format!(
                "{} is behind a transaction pooler, where a build that is not transactional cannot hold a lock; \
                 connect to the server itself or to a session pool",
                self.dial.place
            )));
        }
        Ok(())
    }

    /// In autocommit: whether this is still the server process that holds the lock, and whether it still does.
    async fn check_process(&mut self) -> Result<(), Error> {
        let client = self.client()?;
        let sql = format!(
            "SELECT pg_catalog.pg_backend_pid() FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted \
             AND pid = pg_catalog.pg_backend_pid() AND classid = {} AND objid = {}",
            LOCK_KEY >> 32,
            LOCK_KEY & 0xffff_ffff
        );
        let work = async { collect(&client, &sql).await.map_err(|failed| failed.error) };
        let sets = self.own(work).await?;
        let pid = sets
            .rows
            .first()
            .and_then(|row| row.first().cloned().flatten());
        if pid.is_some() && pid == self.identity {
            return Ok(());
        }
        self.drop_connection();
        Err(Error::Lost(
            "the session has lost its lock: a script gave it up, or a pooler gave the session to another server process"
                .into(),
        ))
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

enum Guarded<T> {
    Done(T),
    /// Cancelled by us; what the server still answered, if it did.
    Cancelled {
        done: Option<T>,
        stopped: bool,
    },
}

/// The rows of all results, and the counts.
struct Sets {
    rows: Vec<Vec<Option<String>>>,
    counts: Vec<u64>,
}

/// A failed simple query: after how many statements it failed.
struct Failed {
    completed: usize,
    error: tokio_postgres::Error,
}

/// Runs `sql` and keeps its rows: for statements of our own only.
async fn collect(client: &Client, sql: &str) -> Result<Sets, Failed> {
    read(client, sql, true).await
}

async fn read(client: &Client, sql: &str, keep_rows: bool) -> Result<Sets, Failed> {
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
                let cells = (0..row.len()).map(|index| row.get(index).map(str::to_owned));
                sets.rows.push(cells.collect());
            }
            SimpleQueryMessage::CommandComplete(count) => sets.counts.push(count),
            _ => {}
        }
    }
    Ok(sets)
}

fn code_is(error: &tokio_postgres::Error, code: &str) -> bool {
    error.code().is_some_and(|found| found.code() == code)
}

/// Where the error is: at the position that the server gives, else at the statement that failed.
fn offset(sql: &str, failed: &Failed) -> Option<usize> {
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
                "this login may not read and write {}.{table}; let `sbm ledger script --platform PostgreSQL` print \
                 the grants for an administrator",
                self.schema
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
                    Some(Ok(messages)) => first_cell(messages) == self.identity,
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
        if self.mode == Mode::Autocommit {
            return Ok(());
        }
        let client = self.client()?;
        let sql = "RESET ROLE; SET CONSTRAINTS ALL IMMEDIATE; SELECT pg_catalog.current_setting('client_encoding')";
        let work = async { collect(&client, sql).await.map_err(|failed| failed.error) };
        let sets = self.own(work).await?;
        match first(&sets) {
            Some(encoding) if encoding != "UTF8" => Err(Error::Settings(format!(
                "a script has set client_encoding to {encoding}; scripts are sent in UTF8, so the server has misread them"
            ))),
            _ => Ok(()),
        }
    }

    async fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<u64, Error> {
        self.changed = true;
        let client = self.client()?;
        if parameters.is_empty() {
            let work = async { collect(&client, sql).await.map_err(|failed| failed.error) };
            return self.own(work).await.map(|sets| sets.counts.iter().sum());
        }
        let sql = convert::placeholders(sql);
        let typed = typed(parameters);
        self.own(client.execute_typed(&sql, &typed)).await
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

    async fn columns(&mut self, table: Table) -> Result<Vec<Column>, Error> {
        let name = table.name(Platform::PostgreSql);
        let columns = self.catalog.iter().filter(|(table, _)| table == name);
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

fn first(sets: &Sets) -> Option<String> {
    sets.rows.first()?.first()?.clone()
}

fn first_cell(messages: &[SimpleQueryMessage]) -> Option<String> {
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}
