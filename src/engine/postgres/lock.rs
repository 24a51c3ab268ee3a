//! The build lock of a PostgreSQL database, and what is learned in the same round trip.

use std::time::Duration;

use futures::future::try_join_all;
use tokio_util::sync::CancellationToken;

use super::{
    super::{Error, Mode, Session, schema::Table},
    convert,
    notices::Notices,
    session::{Guarded, PostgresSession},
    simple::{Failed, code_is, collect, first_cell},
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

/// How often a server looks whether its client is still there while a statement runs, where it can: otherwise an orphan would
/// hold the lock until its statement ends. PostgreSQL has it since version 14, and in that one on Linux alone.
const CONNECTION_CHECK: &str = "10s";

impl PostgresSession {
    pub(super) async fn take_lock(
        &mut self,
        wait: Duration,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let checks_clients = self.dial.servers.checks_clients(&self.dial.server);
        self.take_lock_of(wait, stop, checks_clients).await
    }

    /// `checks_clients`: whether a server of this name is known to look after its clients, which is then asked for outright.
    async fn take_lock_of(
        &mut self,
        wait: Duration,
        stop: &CancellationToken,
        checks_clients: bool,
    ) -> Result<(), Error> {
        let client = self.client()?;
        let sql = self.lock_statement(wait, checks_clients);
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
            // What was sent decides: other sessions may have learned or forgotten it since.
            Guarded::Done(Err(failed)) if checks_clients && is_unknown_setting(&failed) => {
                self.dial.servers.forget(&self.dial.server);
                self.own(client.batch_execute("ROLLBACK")).await?;
                return Box::pin(self.take_lock_of(wait, stop, false)).await;
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

    /// Transaction, limits, lock, and where our tables are: one round trip.
    ///
    /// A server that has just been logged in to knows nothing of its catalogs: what is joined, compared or called here costs
    /// more than all else. So what can be sorted out on this side is, and the columns are asked for in another way.
    ///
    /// The isolation level is fixed: in a stricter one the snapshot would be older than the lock, and neither the tables nor
    /// the ledger row of the build that held it would be seen.
    fn lock_statement(&self, wait: Duration, checks_clients: bool) -> String {
        let (begin, end, set, local, lock, identity) = match self.mode {
            Mode::Transactional => (
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; ",
                "",
                "SET LOCAL",
                "true",
                "pg_advisory_xact_lock",
                "pg_catalog.txid_current()",
            ),
            Mode::Autocommit => (
                "BEGIN ISOLATION LEVEL READ COMMITTED; ",
                "; COMMIT",
                "SET",
                "false",
                "pg_advisory_lock",
                "pg_catalog.pg_backend_pid()",
            ),
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
        let check = if checks_clients {
            format!("{set} client_connection_check_interval TO '{CONNECTION_CHECK}'")
        } else {
            format!(
                "SELECT pg_catalog.set_config('client_connection_check_interval', '{CONNECTION_CHECK}', {local}) \
                 WHERE pg_catalog.current_setting('client_connection_check_interval', true) IS NOT NULL \
                 AND pg_catalog.version() LIKE '%linux%'"
            )
        };
        format!(
            "{begin}{limits}{check}; {set} lock_timeout TO {}; SELECT pg_catalog.{lock}({LOCK_KEY}); \
             {set} lock_timeout TO DEFAULT; SELECT {identity}, pg_catalog.current_schema(); \
             SELECT c.relnamespace::pg_catalog.regnamespace, c.relname, c.relkind, c.relpersistence, \
             {} AND {}, {} AND {} \
             FROM pg_catalog.pg_class c WHERE c.relname IN ('{audit}', '{ledger}'){end}",
            wait.as_millis().clamp(1, i32::MAX as u128),
            may("INSERT"),
            may("SELECT"),
            may("UPDATE"),
            may("DELETE"),
        )
    }

    fn read_lock_answer(&mut self, rows: &[Vec<Option<String>>]) -> Result<(), Error> {
        let check = |row: &Vec<Option<String>>| *row == [Some(CONNECTION_CHECK.to_owned())];
        if rows.first().is_some_and(check) {
            self.dial.servers.learn(&self.dial.server);
        }
        let mut rows = rows.iter().filter(|row| row.len() > 1);
        let Some([identity, schema]) = rows.next().map(Vec::as_slice) else {
            return Err(Error::Lost("the answer to the lock is incomplete".into()));
        };
        self.identity.clone_from(identity);
        let found: Vec<Found> = rows.filter_map(|row| Found::of(row)).collect();
        if self.schema.is_empty() {
            self.schema = self.choose_schema(schema.as_deref(), &found)?;
        }
        let here = found.iter().filter(|found| found.schema == self.schema);
        (self.tables, self.unwritable) = (Vec::new(), Vec::new());
        self.catalog = None;
        for found in here {
            self.tables.push(found.table);
            if !found.writable {
                self.unwritable.push(found.table);
            }
        }
        Ok(())
    }

    /// The columns of our tables, as far as there are any. The server tells them of a query that is never carried out, which
    /// makes it read what it needs for the rows of the build anyway.
    pub(super) async fn look_at_tables(&mut self) -> Result<(), Error> {
        if self.catalog.is_some() {
            return Ok(());
        }
        let client = self.client()?;
        let tables = self.tables.clone();
        let queries: Vec<String> = tables
            .iter()
            .map(|table| format!("SELECT * FROM {}", self.table_name(*table)))
            .collect();
        let described = try_join_all(queries.iter().map(|query| client.prepare(query)));
        let described = self.own(described).await.map_err(once_more)?;
        let columns = tables
            .iter()
            .zip(&described)
            .flat_map(|(table, described)| {
                let columns = described.columns().iter();
                columns.map(|column| (*table, convert::column(column)))
            });
        self.catalog = Some(columns.collect());
        Ok(())
    }

    /// Where our tables are, chosen once per session. A ledger that exists is the one, whatever the search path says by
    /// now: a script may have changed it, and a run must find its rows again.
    fn choose_schema(&self, current: Option<&str>, found: &[Found]) -> Result<String, Error> {
        if let Some(schema) = &self.ledger_schema {
            return Ok(schema.clone());
        }
        for table in [Table::Ledger, Table::Audit] {
            let mut schemas: Vec<&str> = found
                .iter()
                .filter(|found| found.table == table)
                .map(|found| found.schema.as_str())
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
        let pid = first_cell(&pid).map_err(|error| convert::statement_error(&error, None))?;
        if pid == self.identity {
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

/// Whether the server does not know a setting, or its value, that the one before it under this name knew.
fn is_unknown_setting(failed: &Failed) -> bool {
    ["42704", "22023"]
        .iter()
        .any(|code| code_is(&failed.error, code))
}

/// One of our tables in some schema.
struct Found {
    schema: String,
    table: Table,
    writable: bool,
}

impl Found {
    /// None when it is a view, an index or a table of some session alone.
    fn of(row: &[Option<String>]) -> Option<Self> {
        let [
            Some(schema),
            Some(name),
            Some(kind),
            Some(persistence),
            add,
            change,
        ] = row
        else {
            return None;
        };
        let table = Table::ALL
            .into_iter()
            .find(|table| name == table.name(Platform::PostgreSql))?;
        if !matches!(kind.as_str(), "r" | "p") || persistence == "t" {
            return None;
        }
        let may = |right: &Option<String>| right.as_deref() == Some("t");
        Some(Self {
            schema: unquoted(schema),
            table,
            writable: may(add) && (table == Table::Audit || may(change)),
        })
    }
}

/// A name of which the server has put into quotes what needs them.
fn unquoted(name: &str) -> String {
    let inner = name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'));
    inner.map_or_else(|| name.to_owned(), |inner| inner.replace("\"\"", "\""))
}

/// Behind a pooler somebody else may have left a statement of the same name. The next name is another.
fn once_more(error: Error) -> Error {
    match error {
        Error::Sql(mut error) if error.code.as_deref() == Some("42P05") => {
            error.transient = true;
            Error::Sql(error)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_the_quotes_that_the_server_adds() {
        for (told, name) in [
            ("public", "public"),
            ("\"Public\"", "Public"),
            ("\"a\"\"b\"", "a\"b"),
            ("\"\"\"\"", "\""),
        ] {
            assert_eq!(unquoted(told), name);
        }
    }

    #[test]
    fn only_tables_that_all_sessions_see_are_found() {
        let found = |schema: &str, name: &str, kind: &str, persistence: &str, change: &str| {
            let cells = [schema, name, kind, persistence, "t", change];
            Found::of(&cells.map(|cell| Some(cell.to_owned()))).map(|found| found.writable)
        };
        let (audit, ledger) = ("sqlbuild_logging", "sqlbuild_ledger");
        assert_eq!(found("s", audit, "r", "p", "f"), Some(true));
        assert_eq!(found("s", ledger, "p", "u", "t"), Some(true));
        assert_eq!(found("s", ledger, "r", "p", "f"), Some(false));
        assert_eq!(found("s", ledger, "v", "p", "t"), None);
        assert_eq!(found("s", ledger, "r", "t", "t"), None);
        assert_eq!(found("s", "other", "r", "p", "t"), None);
    }
}
