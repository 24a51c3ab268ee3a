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

use super::{
    Engine, Error, Session,
    address::Address,
    tokens::{self, Tokens},
};
use crate::protocol::{Connection, Platform, SslMode};

/// PostgreSQL servers, all reached with one login.
#[derive(Debug)]
pub struct Postgres {
    connection: Connection,
    password: Option<SecretString>,
    /// What is sent in place of the password.
    tokens: Option<Tokens>,
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
            tokens: None,
            ledger_schema,
            tls: tls::Connectors::new(connection.ssl_root_cert.as_deref())?,
            servers: servers::Servers::default(),
        })
    }

    /// The same engine with access tokens in place of the password.
    pub(super) fn with_tokens(mut self, tokens: Tokens) -> Result<Self, Error> {
        tokens::encrypted(self.connection.ssl_mode)?;
        self.tokens = Some(tokens);
        Ok(self)
    }

    fn mode(&self, address: &Address) -> Result<SslMode, Error> {
        let mode = address.ssl_mode(self.connection.ssl_mode);
        match &self.tokens {
            Some(_) => tokens::encrypted(mode),
            None => Ok(mode),
        }
    }

    async fn password(
        &self,
        place: &str,
        address: &Address,
    ) -> Result<Option<SecretString>, Error> {
        match &self.tokens {
            Some(tokens) => tokens.token(place, &address.host).await.map(Some),
            None => Ok(self.password.clone()),
        }
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
        let place = format!("{server}:{database}");
        let mode = self.mode(&address)?;
        let mut config = connect::config(&address, &self.connection, mode, database);
        if let Some(password) = self.password(&place, &address).await? {
            config.password(password.expose_secret());
        }
        let dial = connect::Dial {
            place,
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
