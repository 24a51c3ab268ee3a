//! The build lock of a PostgreSQL database, and what is learned in the same round trip.

use std::time::Duration;

use tokio_postgres::SimpleQueryMessage;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        Error, Mode,
        schema::{Column, Table},
    },
    convert,
    notices::Notices,
    session::{Guarded, PostgresSession},
    simple::{code_is, collect},
};
use crate::protocol::Platform;

/// "sbm" and a number of our own: the advisory lock of a build. Advisory locks belong to one database.
const LOCK_KEY: i64 = 0x0073_626d_0000_0001;

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

impl PostgresSession {
    pub(super) async fn take_lock(
        &mut self,
        wait: Duration,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
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
    pub(super) async fn refuse_transaction_pooling(&self) -> Result<(), Error> {
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
    pub(super) async fn check_process(&mut self) -> Result<(), Error> {
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
}
