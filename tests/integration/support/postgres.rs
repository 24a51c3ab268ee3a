//! The PostgreSQL server of the tests, and databases on it.

use tokio::runtime::Runtime;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

/// Names the server: `postgresql://user@host:port/database`, with a user who may make databases.
pub(crate) const VARIABLE: &str = "SBM_TEST_POSTGRES_URL";

/// The server of the tests.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    config: Config,
}

impl Server {
    /// The server; without one the test is skipped.
    pub(crate) fn for_test(test: &str) -> Option<Self> {
        let Ok(url) = std::env::var(VARIABLE) else {
            super::skip(VARIABLE, test);
            return None;
        };
        Some(Self {
            config: url.parse().unwrap(),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.config.get_ports()[0]
    }

    /// The server in a target list.
    pub(crate) fn name(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    pub(crate) fn user(&self) -> &str {
        self.config.get_user().unwrap()
    }

    /// Runs statements in `database`; the rows of all of them, as text.
    pub(crate) fn try_run(
        &self,
        database: &str,
        sql: &str,
    ) -> Result<Vec<Vec<String>>, tokio_postgres::Error> {
        let mut config = self.config.clone();
        config.dbname(database);
        runtime().block_on(async move {
            let (client, connection) = config.connect(NoTls).await?;
            let driver = tokio::spawn(connection);
            let messages = client.simple_query(sql).await;
            drop(client);
            driver.await.unwrap().ok();
            Ok(messages?.iter().filter_map(cells).collect())
        })
    }

    pub(crate) fn run(&self, database: &str, sql: &str) -> Vec<Vec<String>> {
        self.try_run(database, sql)
            .unwrap_or_else(|error| panic!("{database}: {sql}: {error:?}"))
    }

    /// Makes databases with a new common name: `sbm_<random>_0`, `…_1` and so on.
    pub(crate) fn databases(&self, count: usize) -> Databases {
        let prefix = format!("sbm_{:08x}", fastrand::u32(..));
        let names: Vec<String> = (0..count)
            .map(|index| format!("{prefix}_{index}"))
            .collect();
        for name in &names {
            self.run(
                "postgres",
                &format!("CREATE DATABASE {name} STRATEGY file_copy"),
            );
        }
        Databases {
            server: self.clone(),
            names,
        }
    }
}

/// Databases that are removed at the end of their test.
#[derive(Debug)]
pub(crate) struct Databases {
    pub(crate) server: Server,
    pub(crate) names: Vec<String>,
}

impl Drop for Databases {
    fn drop(&mut self) {
        for name in &self.names {
            self.server
                .try_run(
                    "postgres",
                    &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
                )
                .ok();
        }
    }
}

fn cells(message: &SimpleQueryMessage) -> Option<Vec<String>> {
    let SimpleQueryMessage::Row(row) = message else {
        return None;
    };
    Some(
        (0..row.len())
            .map(|index| row.get(index).unwrap_or("NULL").to_owned())
            .collect(),
    )
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
