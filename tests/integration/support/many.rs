//! Many PostgreSQL databases, and sessions that keep builds waiting.

use std::sync::mpsc;

use futures::{StreamExt, stream};
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use super::postgres::{Server, VARIABLE, runtime};

/// Connections that make, ask or remove databases at once.
const AT_ONCE: usize = 8;

/// Databases that are made, asked and removed by several connections at once.
#[derive(Debug)]
pub(crate) struct Many {
    pub(crate) server: Server,
    pub(crate) names: Vec<String>,
}

impl Many {
    /// `count` empty databases; none when there is no server, and then the test is skipped.
    pub(crate) fn new(count: usize, test: &str) -> Option<Self> {
        let server = Server::for_test(test)?;
        let prefix = format!("sbm_{:08x}", fastrand::u32(..));
        let names = (0..count).map(|index| format!("{prefix}_{index}"));
        let many = Self {
            server,
            names: names.collect(),
        };
        many.statements("CREATE DATABASE {} STRATEGY file_copy");
        Some(many)
    }

    /// One line of a target list per database, all on the server under its usual name.
    pub(crate) fn lines(&self) -> Vec<String> {
        let server = self.server.name();
        let lines = self.names.iter().map(|name| format!("{server}:{name}"));
        lines.collect()
    }

    /// The first cell of a query in each database.
    pub(crate) fn values(&self, sql: &str) -> Vec<String> {
        let rows = self.rows(sql).into_iter();
        rows.map(|rows| rows[0][0].clone()).collect()
    }

    /// The rows of a query in each database.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Vec<Vec<String>>> {
        let asked = stream::iter(&self.names)
            .map(|name| async move { ask(name, sql).await })
            .buffered(AT_ONCE);
        runtime().block_on(asked.collect())
    }

    /// How many builds wait for a [`Holder`].
    pub(crate) fn waiting(&self) -> usize {
        let (prefix, _) = self.names[0].rsplit_once('_').unwrap();
        let sql = format!(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
             WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted AND starts_with(datname, '{prefix}_')"
        );
        self.server.run("postgres", &sql)[0][0].parse().unwrap()
    }

    /// Runs a statement about each database, `{}` standing for its name.
    fn statements(&self, sql: &str) {
        let run = stream::iter(&self.names)
            .map(|name| async move { ask("postgres", &sql.replace("{}", name)).await })
            .buffer_unordered(AT_ONCE);
        runtime().block_on(run.for_each(|_| async {}));
    }
}

impl Drop for Many {
    fn drop(&mut self) {
        self.statements("DROP DATABASE IF EXISTS {} WITH (FORCE)");
    }
}

async fn ask(database: &str, sql: &str) -> Vec<Vec<String>> {
    let (client, connection) = config(database).connect(NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    let messages = client.simple_query(sql).await;
    drop(client);
    driver.await.unwrap().ok();
    let messages = messages.unwrap_or_else(|error| panic!("{database}: {sql}: {error:?}"));
    messages.iter().filter_map(cells).collect()
}

fn cells(message: &SimpleQueryMessage) -> Option<Vec<String>> {
    let SimpleQueryMessage::Row(row) = message else {
        return None;
    };
    let cells = (0..row.len()).map(|index| row.get(index).unwrap_or("NULL").to_owned());
    Some(cells.collect())
}

fn config(database: &str) -> Config {
    let mut config: Config = std::env::var(VARIABLE).unwrap().parse().unwrap();
    config.dbname(database);
    config
}

/// A script that waits as long as a [`Holder`] of its database lives.
pub(crate) const WAIT_FOR_HOLDER: &str = "SELECT pg_advisory_xact_lock(4711);\n";

/// A session that keeps builds with [`WAIT_FOR_HOLDER`] waiting in its database until it is dropped.
#[derive(Debug)]
pub(crate) struct Holder {
    server: Server,
    database: String,
    release: Option<mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Holder {
    pub(crate) fn new(server: &Server, database: &str) -> Self {
        let (release, released) = mpsc::channel::<()>();
        let (tell, held) = mpsc::channel();
        let name = database.to_owned();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let (client, connection) = config(&name).connect(NoTls).await.unwrap();
                let driver = tokio::spawn(connection);
                let lock = "SELECT pg_advisory_lock(4711)";
                client.simple_query(lock).await.unwrap();
                tell.send(()).unwrap();
                tokio::task::spawn_blocking(move || released.recv().ok())
                    .await
                    .unwrap();
                drop(client);
                driver.await.unwrap().ok();
            });
        });
        held.recv().unwrap();
        Self {
            server: server.clone(),
            database: database.to_owned(),
            release: Some(release),
            thread: Some(thread),
        }
    }

    /// The process of the server that waits for this session, when one does.
    pub(crate) fn waiting(&self) -> Option<String> {
        let sql =
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let rows = self.server.run(&self.database, sql);
        rows.into_iter().next().map(|mut row| row.remove(0))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.release.take());
        // A session that was ended from outside has nothing more to say.
        self.thread.take().unwrap().join().ok();
    }
}
