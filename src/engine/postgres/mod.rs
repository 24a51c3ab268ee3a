//! PostgreSQL, by way of tokio-postgres.

mod connect;
mod convert;
mod lock;
mod notices;
mod read;
mod servers;
mod session;
mod simple;
mod tls;

use std::fmt;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use super::{Engine, Error, Session, address::Address};
use crate::protocol::{Connection, Platform};

/// PostgreSQL servers, all reached with one login.
#[derive(Debug)]
pub struct Postgres {
    connection: Connection,
    password: Option<SecretString>,
    ledger_schema: Option<String>,
    tls: tls::Connectors,
    servers: servers::Servers,
}

impl Postgres {
    /// An engine for `connection`. Reads the certificate authorities; connects to nothing.
    pub fn new(
        connection: &Connection,
        password: Option<SecretString>,
        ledger_schema: Option<String>,
    ) -> Result<Self, Error> {
        Ok(Self {
            connection: connection.clone(),
            password,
            ledger_schema,
            tls: tls::Connectors::new(connection.ssl_root_cert.as_deref())?,
            servers: servers::Servers::default(),
        })
    }

    fn config(&self, address: &Address, database: &str) -> tokio_postgres::Config {
        let mut config = connect::config(address, &self.connection, database);
        if let Some(password) = &self.password {
            config.password(password.expose_secret());
        }
        config
    }
}

impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgreSQL")
    }
}

#[async_trait]
impl Engine for Postgres {
    fn platform(&self) -> Platform {
        Platform::PostgreSql
    }

    async fn connect(&self, server: &str, database: &str) -> Result<Box<dyn Session>, Error> {
        let address = Address::parse(server, 5432)?;
        let config = self.config(&address, database);
        let mode = address.ssl_mode(self.connection.ssl_mode);
        let dial = connect::Dial {
            place: format!("{server}:{database}"),
            server: server.to_owned(),
            servers: self.servers.clone(),
            config,
            tls: self.tls.for_mode(mode),
            timeout: self.connection.connect_timeout,
        };
        let session = session::PostgresSession::open(dial, self.ledger_schema.clone()).await?;
        Ok(Box::new(session))
    }
}
