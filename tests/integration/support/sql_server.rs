//! The SQL Server of the tests, and databases on it. Reached by the driver alone, with nothing of the engine.

use std::time::{Duration, Instant};

use sbm::protocol::{Connection, SslMode};
use tiberius::{AuthMethod, Client, ColumnData, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::TokioAsyncWriteCompatExt;

use super::postgres::runtime;

/// Names the server: `sqlserver://user:password@host:port`, with a user who may make databases. The server must encrypt; its
/// certificate is not looked at.
pub(crate) const VARIABLE: &str = "SBM_TEST_SQLSERVER_URL";

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
        Some(
            parsed
                .unwrap_or_else(|| panic!("{VARIABLE} is not sqlserver://user:password@host:port")),
        )
    }

    fn parse(url: &str) -> Option<Self> {
        let (login, place) = url.strip_prefix("sqlserver://")?.rsplit_once('@')?;
        let (user, password) = login.split_once(':')?;
        let (host, port) = place.trim_end_matches('/').rsplit_once(':')?;
        Some(Self {
            host: host.to_owned(),
            port: port.parse().ok()?,
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    /// The server in a target list.
    pub(crate) fn name(&self) -> String {
        format!("{},{}", self.host, self.port)
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
            ssl_mode: SslMode::Require,
            connect_timeout: Duration::from_secs(30),
            ..Connection::default()
        }
    }

    /// Runs statements in `database`; the rows of all of them, as text.
    pub(crate) fn try_run(&self, database: &str, sql: &str) -> tiberius::Result<Vec<Vec<String>>> {
        let mut config = Config::new();
        config.host(&self.host);
        config.port(self.port);
        config.database(database);
        config.authentication(AuthMethod::sql_server(&self.user, &self.password));
        config.encryption(EncryptionLevel::On);
        config.trust_cert();
        runtime().block_on(async move {
            let stream = TcpStream::connect(config.get_addr()).await?;
            let mut client = Client::connect(config, stream.compat_write()).await?;
            let results = client.simple_query(sql).await?.into_results().await?;
            let rows = results.into_iter().flatten();
            Ok(rows
                .map(|row| row.cells().map(|(_, cell)| text(cell)).collect())
                .collect())
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
            self.make(name);
        }
        Databases {
            server: self.clone(),
            names,
        }
    }

    /// The server copies a database that it has for this, which may be in use by another test.
    fn make(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        let sql = format!("CREATE DATABASE {name}");
        while let Err(error) = self.try_run("master", &sql) {
            assert!(Instant::now() < deadline, "{sql}: {error}");
            std::thread::sleep(Duration::from_millis(fastrand::u64(50..500)));
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
            let alone = format!("ALTER DATABASE {name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE");
            self.server.try_run("master", &alone).ok();
            self.server
                .try_run("master", &format!("DROP DATABASE {name}"))
                .ok();
        }
    }
}

fn text(cell: &ColumnData<'_>) -> String {
    match cell {
        ColumnData::U8(Some(number)) => number.to_string(),
        ColumnData::I16(Some(number)) => number.to_string(),
        ColumnData::I32(Some(number)) => number.to_string(),
        ColumnData::I64(Some(number)) => number.to_string(),
        ColumnData::Bit(Some(truth)) => u8::from(*truth).to_string(),
        ColumnData::String(Some(text)) => text.to_string(),
        ColumnData::Guid(Some(id)) => id.to_string(),
        ColumnData::DateTime(Some(time)) => {
            let midnight = jiff::civil::date(1900, 1, 1).at(0, 0, 0, 0);
            let milliseconds = i64::from(time.seconds_fragments()) * 1_000 / 300;
            let span = jiff::Span::new()
                .days(time.days())
                .milliseconds(milliseconds);
            (midnight + span)
                .strftime("%Y-%m-%d %H:%M:%S%.3f")
                .to_string()
        }
        other => {
            let text = format!("{other:?}");
            if text.ends_with("(None)") {
                "NULL".into()
            } else {
                text
            }
        }
    }
}
