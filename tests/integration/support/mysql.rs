//! The MySQL or MariaDB server of the tests, and databases on it. Reached by the driver alone, with nothing of the engine.

use mysql_async::{Conn, OptsBuilder, Row, Value, prelude::Queryable};
use sbm::protocol::{Connection, SslMode};

use super::postgres::runtime;

/// Names the server: `mysql://user:password@host:port`, with a user who may do everything.
pub(crate) const VARIABLE: &str = "SBM_TEST_MYSQL_URL";

/// The server of the tests.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    host: String,
    port: u16,
    user: String,
    password: String,
}

impl Server {
    /// The server; without one the test is skipped.
    pub(crate) fn for_test(test: &str) -> Option<Self> {
        let Ok(url) = std::env::var(VARIABLE) else {
            super::skip(VARIABLE, test);
            return None;
        };
        let parsed = Self::parse(&url);
        Some(parsed.unwrap_or_else(|| panic!("{VARIABLE} is not mysql://user:password@host:port")))
    }

    fn parse(url: &str) -> Option<Self> {
        let (login, place) = url.strip_prefix("mysql://")?.rsplit_once('@')?;
        let (user, password) = login.split_once(':')?;
        let (host, port) = place.trim_end_matches('/').rsplit_once(':')?;
        Some(Self {
            host: host.to_owned(),
            port: port.parse().ok()?,
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The server in a target list.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// What an engine needs besides the password.
    pub(crate) fn connection(&self) -> Connection {
        Connection {
            user: Some(self.user.clone()),
            ssl_mode: SslMode::Auto,
            connect_timeout: std::time::Duration::from_secs(30),
            ..Connection::default()
        }
    }

    /// Runs statements in `database`; the rows of all of them, as text.
    pub(crate) fn try_run(
        &self,
        database: &str,
        sql: &str,
    ) -> mysql_async::Result<Vec<Vec<String>>> {
        let opts = OptsBuilder::default()
            .ip_or_hostname(&self.host)
            .tcp_port(self.port)
            .user(Some(&self.user))
            .pass(Some(&self.password))
            .db_name((!database.is_empty()).then_some(database))
            .prefer_socket(false);
        runtime().block_on(async move {
            let mut connection = Conn::new(opts).await?;
            let mut result = connection.query_iter(sql).await?;
            let mut rows = Vec::new();
            while result.columns().is_some() {
                while let Some(row) = result.next().await? {
                    rows.push(cells(row));
                }
            }
            result.next().await?;
            drop(result);
            connection.disconnect().await?;
            Ok(rows)
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
            self.run("", &format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"));
        }
        Databases {
            server: self.clone(),
            names,
        }
    }

    /// Ends all connections to `database`, and waits until they are gone.
    pub(crate) fn end_sessions(&self, database: &str) {
        let others = format!("information_schema.processlist WHERE db = '{database}'");
        super::builds::eventually("the end of all sessions", || {
            for row in self.run("", &format!("SELECT id FROM {others}")) {
                // It may be gone by now.
                self.try_run("", &format!("KILL CONNECTION {}", row[0]))
                    .ok();
            }
            self.run("", &format!("SELECT count(*) FROM {others}"))[0][0] == "0"
        });
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
            // A test that failed may have left somebody who holds a table, for whom a DROP would wait.
            let sessions =
                format!("SELECT id FROM information_schema.processlist WHERE db = '{name}'");
            for row in self.server.try_run("", &sessions).unwrap_or_default() {
                self.server
                    .try_run("", &format!("KILL CONNECTION {}", row[0]))
                    .ok();
            }
            self.server
                .try_run("", &format!("DROP DATABASE IF EXISTS {name}"))
                .ok();
        }
    }
}

fn cells(row: Row) -> Vec<String> {
    let cell = |cell: Option<Value>| match cell.unwrap_or(Value::NULL) {
        Value::NULL => "NULL".to_owned(),
        Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => other.as_sql(true),
    };
    row.unwrap_raw().into_iter().map(cell).collect()
}
