//! Databases: how each platform connects, locks, runs batches, and proves what became of them.
//!
//! A build holds one [`Session`] per database of its target. The ledger and the audit table are written by shared code
//! ([`ledger`], [`audit`], [`schema`]) through [`Session::query`] and [`Session::execute`]; a platform contributes what
//! differs.

mod address;
pub mod audit;
mod authorities;
mod cell;
mod error;
pub mod ledger;
mod mysql;
mod postgres;
mod read;
mod retry;
pub mod schema;
mod sql_server;
mod sqlite;
mod tokens;
mod value;

use std::{
    fmt::{Debug, Display},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use secrecy::SecretString;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use error::{Error, SqlError, TransactionFate};
pub use mysql::MySql;
pub use postgres::Postgres;
pub use retry::{Backoff, connect_with_retry};
pub use sql_server::SqlServer;
pub use sqlite::Sqlite;
pub use value::Value;

use crate::{
    azure::Service,
    protocol::{Connection, Platform},
};

/// A database platform that can be logged in to.
#[async_trait]
pub trait Engine: Debug + Display + Send + Sync {
    /// Which platform this is.
    fn platform(&self) -> Platform;

    /// Logs in to one database, once and within the connect time-out. [`connect_with_retry`] repeats it.
    async fn connect(&self, server: &str, database: &str) -> Result<Box<dyn Session>, Error>;
}

/// Whether a build is one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All or nothing.
    Transactional,
    /// Each statement stands by itself.
    Autocommit,
}

/// One statement of our own.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The text, with `?` placeholders.
    pub sql: String,
    /// What takes their places.
    pub parameters: Vec<Value>,
}

/// One connection to one database, used by one build.
///
/// The order of calls is `lock`, table changes by `execute`, `begin`, then scripts, then `commit` or `rollback`. Dropping
/// a session drops its connection, and with it the lock and what is not committed.
#[async_trait]
pub trait Session: Debug + Send {
    /// Takes the build lock of the database, waiting up to `wait`; [`Error::Busy`] when somebody else keeps it.
    ///
    /// The lock lasts until the session is dropped, or until `commit` or `rollback` where the platform's lock belongs
    /// to the transaction. It dies with the connection.
    async fn lock(
        &mut self,
        mode: Mode,
        wait: Duration,
        stop: &CancellationToken,
    ) -> Result<(), Error>;

    /// Opens the transaction of the build, still under the lock. Makes permanent what `execute` did since `lock`.
    async fn begin(&mut self) -> Result<(), Error>;

    /// Gets ready for the next script: options that the one before set for itself do not reach this one, where the platform
    /// has such options.
    async fn begin_script(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Sends one batch of a script and reads all its results.
    ///
    /// After `timeout`, or when `stop` is cancelled, the batch is cancelled on the server; a server that does not obey
    /// within five seconds loses the connection. In a transactional build success means that the transaction is still
    /// the one that `begin` opened; otherwise the answer is [`Error::TransactionEnded`].
    async fn run(
        &mut self,
        sql: &str,
        timeout: Duration,
        stop: &CancellationToken,
    ) -> Result<BatchResult, Error>;

    /// Marks the place to which `roll_back_to` returns. A name may be used again.
    async fn savepoint(&mut self, name: &str) -> Result<(), Error> {
        self.execute(&format!("SAVEPOINT {name}"), &[]).await?;
        Ok(())
    }

    /// Undoes everything since the savepoint, which is gone then.
    async fn roll_back_to(&mut self, name: &str) -> Result<(), Error> {
        self.execute(&format!("ROLLBACK TO SAVEPOINT {name}"), &[])
            .await?;
        self.release(name).await
    }

    /// Gives up a savepoint that was not needed.
    async fn release(&mut self, name: &str) -> Result<(), Error> {
        self.execute(&format!("RELEASE SAVEPOINT {name}"), &[])
            .await?;
        Ok(())
    }

    /// After the scripts and before rows of our own: undoes what scripts may have done to the session, and checks what
    /// would otherwise be checked by the commit, so that a trial tells the truth and the first of several commits is not
    /// alone.
    async fn settle(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// The end of a build before its commit: [`settle`](Self::settle), then the statements one after the other, up to the first
    /// that fails; the number of rows that each changed.
    ///
    /// In a transactional build a platform may send all of it at once: what follows a failed statement changes nothing then.
    async fn record(&mut self, statements: &[Statement]) -> Result<Vec<u64>, Error> {
        self.settle().await?;
        let mut changed = Vec::with_capacity(statements.len());
        for statement in statements {
            changed.push(self.execute(&statement.sql, &statement.parameters).await?);
        }
        Ok(changed)
    }

    /// Commits; without a build's transaction, ends one that a script has left open. An error that
    /// [is an answer](Error::is_answer) means that nothing was committed; any other leaves it open, and only the ledger can
    /// tell. Never cancelled once sent.
    async fn commit(&mut self) -> Result<(), Error>;

    /// Rolls back. [`Error::TransactionEnded`] when the server says that a script has committed the build's transaction
    /// unnoticed, [`Error::Kept`] when a connection is gone that may have left something. Dropping the session rolls back as well, but tells nobody when it is done.
    async fn rollback(&mut self) -> Result<(), Error>;

    /// Runs one statement of our own with `?` placeholders; the number of rows it changed.
    async fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<u64, Error>;

    /// Runs one query of our own with `?` placeholders.
    async fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, Error>;

    /// Runs one query of a user where nothing can be changed, and hands its answer on piece by piece into `to`; the number of
    /// rows. For a session that is in no build.
    ///
    /// Ends early, and without error, when nobody reads `to` any more. `timeout` is the time for the whole answer; it and
    /// `stop` cancel the query as in `run`. What is no query, gives more than one table, or would change something is
    /// [`Error::NotAQuery`]; rows may have been handed on before that is known. Offsets of errors are those of `query`.
    async fn read(
        &mut self,
        query: &str,
        timeout: Duration,
        stop: &CancellationToken,
        to: &mpsc::Sender<Answer>,
    ) -> Result<u64, Error>;

    /// The columns of one of our tables in the ledger schema; empty when there is no such table.
    async fn columns(&mut self, table: schema::Table) -> Result<Vec<schema::Column>, Error>;

    /// The name under which the ledger knows the database that was logged in to as `given`: one database has one such name,
    /// however target lists write it.
    fn database_name(&self, given: &str) -> String {
        given.to_owned()
    }

    /// The bytes of the longest statement that the server takes, where it has a limit that it tells.
    fn longest_statement(&self) -> Option<usize> {
        None
    }

    /// The name by which our statements reach one of our tables, whatever a script did to the search path.
    fn table_name(&self, table: schema::Table) -> String;
}

/// One piece of the answer to a query, in the order in which the server sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The names of the columns; always first, exactly once.
    Columns(Vec<String>),
    /// A row: each cell as text that depends on no setting of server or session; `None` is NULL.
    ///
    /// Numbers are in invariant form, truth values `true` and `false`, bytes `0x` and upper-case hex digits, UUIDs in lower
    /// case, times in ISO 8601 with a blank (`2024-01-02 03:04:05.123456`) and an offset where the type has one.
    Row(Vec<Option<String>>),
}

/// What a batch gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchResult {
    /// For each statement with a count, the rows it changed or returned.
    pub rows: Vec<u64>,
    /// What the server said: notices and prints.
    pub messages: Vec<String>,
}

/// The engine for `platform`.
pub fn connect(
    platform: Platform,
    connection: &Connection,
    password: Option<SecretString>,
    ledger_schema: Option<String>,
) -> Result<Arc<dyn Engine>, Error> {
    if let Some(login) = &connection.identity {
        let credential = tokens::credential(login)?;
        return connect_as(platform, connection, credential, ledger_schema);
    }
    match platform {
        Platform::PostgreSql => Ok(Arc::new(Postgres::new(
            connection,
            password,
            ledger_schema,
        )?)),
        Platform::SqlServer => Ok(Arc::new(SqlServer::new(
            connection,
            password,
            ledger_schema,
        )?)),
        Platform::Sqlite => Ok(Arc::new(Sqlite::new())),
        Platform::MySql => Ok(Arc::new(MySql::new(connection, password)?)),
    }
}

/// The same with the access tokens of an identity in place of a password: a new one for each login when the one before is about
/// to end. They are only sent over encrypted connections.
pub fn connect_as(
    platform: Platform,
    connection: &Connection,
    credential: Arc<dyn TokenCredential>,
    ledger_schema: Option<String>,
) -> Result<Arc<dyn Engine>, Error> {
    let tokens = |service| tokens::Tokens::new(credential, service);
    Ok(match platform {
        Platform::PostgreSql => {
            let tokens = tokens(Service::OpenSourceDatabases);
            let engine = Postgres::new(connection, None, ledger_schema)?;
            Arc::new(engine.with_tokens(tokens)?)
        }
        Platform::SqlServer => {
            let tokens = tokens(Service::Sql);
            Arc::new(SqlServer::with_tokens(connection, tokens, ledger_schema)?)
        }
        Platform::Sqlite => Arc::new(Sqlite::new()),
        Platform::MySql => {
            let tokens = tokens(Service::OpenSourceDatabases);
            Arc::new(MySql::new(connection, None)?.with_tokens(tokens)?)
        }
    })
}
