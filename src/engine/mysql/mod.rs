//! MySQL and MariaDB, by way of `mysql_async`.
//!
//! Their statements about tables commit by themselves, so a package is one transaction only when
//! [`hazards`](crate::sql::hazards) finds nothing that does; the worker decides that before it connects.

mod batch;
mod convert;
mod dial;
mod lock;
mod options;
mod read;
mod session;
pub(super) mod tables;

use std::fmt;

use async_trait::async_trait;
use secrecy::SecretString;

use super::{
    Engine, Error, Session,
    address::Address,
    authorities,
    tokens::{self, Tokens},
};
use crate::protocol::{Connection, Platform};

/// MySQL and MariaDB servers, all reached with one login.
#[derive(Debug)]
pub struct MySql {
    connection: Connection,
    password: Option<SecretString>,
    /// What is sent in place of the password.
    tokens: Option<Tokens>,
}

impl MySql {
    /// An engine for `connection`. Reads the certificate authorities; connects to nothing.
    pub fn new(connection: &Connection, password: Option<SecretString>) -> Result<Self, Error> {
        authorities::roots(connection.ssl_root_cert.as_deref())?;
        // The driver asks for the process's provider; who has chosen one before keeps it.
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .ok();
        Ok(Self {
            connection: connection.clone(),
            password,
            tokens: None,
        })
    }

    /// The same engine with access tokens in place of the password.
    pub(super) fn with_tokens(mut self, tokens: Tokens) -> Result<Self, Error> {
        tokens::encrypted(self.connection.ssl_mode)?;
        self.tokens = Some(tokens);
        Ok(self)
    }
}

impl fmt::Display for MySql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MySQL")
    }
}

#[async_trait]
impl Engine for MySql {
    fn platform(&self) -> Platform {
        Platform::MySql
    }

    async fn connect(&self, server: &str, database: &str) -> Result<Box<dyn Session>, Error> {
        let address = Address::parse(server, 3306)?;
        let dial = dial::Dial::new(
            format!("{server}:{database}"),
            &address,
            database,
            &self.connection,
            self.password.as_ref(),
            self.tokens.clone(),
        )?;
        Ok(Box::new(session::MySqlSession::open(dial).await?))
    }
}
