//! SQL Server and Azure SQL, by way of tiberius.

mod address;
mod cells;
mod convert;
mod dial;
mod proof;
mod read;
mod session;
mod statements;
pub(super) mod tables;
mod tap;

use std::{fmt, fs, sync::Arc};

use async_trait::async_trait;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use secrecy::SecretString;

use super::{Engine, Error, Session, tokens::Tokens};
use crate::protocol::{Connection, Platform};

/// SQL Servers, all reached with one login.
#[derive(Debug)]
pub struct SqlServer {
    connection: Connection,
    login: Arc<dial::Login>,
    /// What gives the token for each login, in place of `login`.
    tokens: Option<Tokens>,
    ledger_schema: Option<String>,
    authorities: Option<Arc<Vec<u8>>>,
}

impl SqlServer {
    /// An engine for `connection`. Without a user, `secret` is an access token of Entra ID; with one, its password. Reads the
    /// certificate authorities; connects to nothing.
    pub fn new(
        connection: &Connection,
        secret: Option<SecretString>,
        ledger_schema: Option<String>,
    ) -> Result<Self, Error> {
        let login = match (&connection.user, secret) {
            (Some(user), password) => dial::Login::Password {
                user: user.clone(),
                password: password.unwrap_or_default(),
            },
            (None, Some(token)) => dial::Login::Token(token),
            (None, None) => {
                let why = "SQL Server needs a user name and a password, or an access token";
                return Err(Error::Settings(why.into()));
            }
        };
        Self::made(connection, login, None, ledger_schema)
    }

    /// An engine whose access tokens come from an identity.
    pub(super) fn with_tokens(
        connection: &Connection,
        tokens: Tokens,
        ledger_schema: Option<String>,
    ) -> Result<Self, Error> {
        // Only says that there will be a token.
        let login = dial::Login::Token(SecretString::default());
        Self::made(connection, login, Some(tokens), ledger_schema)
    }

    fn made(
        connection: &Connection,
        login: dial::Login,
        tokens: Option<Tokens>,
        ledger_schema: Option<String>,
    ) -> Result<Self, Error> {
        let engine = Self {
            connection: connection.clone(),
            login: Arc::new(login),
            tokens,
            ledger_schema,
            authorities: authorities(connection.ssl_root_cert.as_deref())?,
        };
        // What no server could be reached with is said before anything connects.
        engine.dial("localhost", "", Arc::clone(&engine.login))?;
        Ok(engine)
    }

    async fn login(&self, server: &str, database: &str) -> Result<Arc<dial::Login>, Error> {
        let Some(tokens) = &self.tokens else {
            return Ok(Arc::clone(&self.login));
        };
        let host = address::Address::parse(server)?.host;
        let token = tokens.token(&format!("{server}:{database}"), &host).await?;
        Ok(Arc::new(dial::Login::Token(token)))
    }

    fn dial(
        &self,
        server: &str,
        database: &str,
        login: Arc<dial::Login>,
    ) -> Result<dial::Dial, Error> {
        dial::Dial::new(
            server,
            database,
            login,
            self.connection.ssl_mode,
            self.authorities.clone(),
            self.connection.connect_timeout,
        )
    }
}

impl fmt::Display for SqlServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SQL Server")
    }
}

#[async_trait]
impl Engine for SqlServer {
    fn platform(&self) -> Platform {
        Platform::SqlServer
    }

    async fn connect(&self, server: &str, database: &str) -> Result<Box<dyn Session>, Error> {
        let login = self.login(server, database).await?;
        let dial = self.dial(server, database, login)?;
        let session = session::SqlServerSession::open(dial, self.ledger_schema.clone()).await?;
        Ok(Box::new(session))
    }
}

/// The PEM file with the authorities to trust besides the built-in ones.
fn authorities(path: Option<&str>) -> Result<Option<Arc<Vec<u8>>>, Error> {
    let Some(path) = path else {
        return Ok(None);
    };
    let unusable = |why: String| Error::Settings(format!("--sslrootcert {path}: {why}"));
    let pem = fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        certificate.map_err(|error| unusable(format!("not PEM: {error}")))?;
        count += 1;
    }
    if count == 0 {
        return Err(unusable("it holds no certificate in PEM form".into()));
    }
    Ok(Some(Arc::new(pem)))
}
