//! One login to a MySQL server, and the second one that cancels a statement of the first.

use std::{fmt, path::PathBuf, time::Duration};

use mysql_async::{Conn, Opts, OptsBuilder, SslOpts, prelude::Queryable};
use secrecy::{ExposeSecret, SecretString};

use super::{
    super::{
        Error,
        address::Address,
        tokens::{self, Tokens},
    },
    convert,
};
use crate::protocol::{Connection, SslMode};

/// How long the server keeps a connection that says nothing. An orphan is gone after that, and its lock with it.
pub(super) const WAIT_TIMEOUT: Duration = Duration::from_secs(110);

/// How long a cancellation may take, from the login to the answer.
pub(super) const CANCEL: Duration = Duration::from_secs(5);

/// The largest packet that the driver handles. What the server takes is asked for, and checked, by the session.
const LARGEST_PACKET: usize = 1024 * 1024 * 1024;

/// Everything for one login, and for another one to the same place.
#[derive(Clone)]
pub(super) struct Dial {
    /// Server and database, for people.
    pub(super) place: String,
    /// How to log in; the second one when the server cannot encrypt and need not.
    ways: Vec<Opts>,
    /// What gives the password, and the server that it is for.
    tokens: Option<(Tokens, String)>,
    /// Whether a certificate of a trusted authority will do, whatever name is in it.
    authority_only: bool,
    timeout: Duration,
}

/// The driver's options hold the password, so they are not shown.
impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Dial {
    pub(super) fn new(
        place: String,
        address: &Address,
        database: &str,
        connection: &Connection,
        password: Option<&SecretString>,
        tokens: Option<Tokens>,
    ) -> Result<Self, Error> {
        let mode = address.ssl_mode(connection.ssl_mode);
        let mode = match &tokens {
            Some(_) => tokens::encrypted(mode)?,
            None => mode,
        };
        let mut builder = OptsBuilder::default()
            .ip_or_hostname(&address.host)
            .tcp_port(address.port)
            .user(connection.user.as_deref())
            .pass(password.map(ExposeSecret::expose_secret))
            .db_name(Some(database))
            // Otherwise the driver leaves the server that is named for a socket that the server names.
            .prefer_socket(false)
            .tcp_keepalive(Some(Duration::from_secs(15)))
            .max_allowed_packet(Some(LARGEST_PACKET))
            .wait_timeout(Some(
                usize::try_from(WAIT_TIMEOUT.as_secs()).unwrap_or(usize::MAX),
            ))
            .setup(vec![setup()])
            // A password in clear text goes to nobody but the server that is meant.
            .enable_cleartext_plugin(mode == SslMode::VerifyFull);
        if address.is_socket() {
            builder = builder.socket(Some(&address.host));
        }
        let encrypted = || Opts::from(builder.clone().ssl_opts(ssl_opts(mode, connection)));
        let plain = || Opts::from(builder.clone());
        let ways = match mode {
            _ if address.is_socket() && tokens.is_none() => vec![plain()],
            SslMode::Disable => vec![plain()],
            SslMode::Prefer => vec![encrypted(), plain()],
            _ => vec![encrypted()],
        };
        Ok(Self {
            place,
            ways,
            tokens: tokens.map(|tokens| (tokens, address.host.clone())),
            authority_only: mode == SslMode::VerifyCa,
            timeout: connection.connect_timeout,
        })
    }

    /// The ways with the password of this moment. Azure takes a token as clear text, so the server must be verified wholly.
    async fn present_ways(&self) -> Result<Vec<Opts>, Error> {
        let Some((tokens, host)) = &self.tokens else {
            return Ok(self.ways.clone());
        };
        let token = tokens.token(&self.place, host).await?;
        let with_token = |way: &Opts| {
            let builder = OptsBuilder::from_opts(way.clone());
            builder.pass(Some(token.expose_secret())).into()
        };
        Ok(self.ways.iter().map(with_token).collect())
    }

    /// Logs in.
    pub(super) async fn open(&self) -> Result<Conn, Error> {
        let ways = self.present_ways().await?;
        match tokio::time::timeout(self.timeout, self.try_each(&ways)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(convert::login_error(&self.place, &error)),
            Err(_) => Err(Error::Connect {
                place: self.place.clone(),
                message: format!("no answer within {} s", self.timeout.as_secs_f64()),
                code: None,
                transient: true,
            }),
        }
    }

    async fn try_each(&self, ways: &[Opts]) -> Result<Conn, mysql_async::Error> {
        let mut last = None;
        for way in ways {
            match login(way.clone()).await {
                Err(error) if convert::server_cannot_encrypt(&error) => last = Some(error),
                Err(error) if self.authority_only => match convert::presented_name(&error) {
                    Some(name) => return login(by_name(way, name)).await,
                    None => return Err(error),
                },
                result => return result,
            }
        }
        Err(last.unwrap_or(mysql_async::DriverError::ConnectionClosed.into()))
    }

    /// Ends what the connection `id` is doing: its statement, or the connection as a whole.
    pub(super) async fn kill(&self, what: Kill, id: u32) -> Result<(), String> {
        let kill = async {
            let ways = self.present_ways().await;
            let ways = ways.map_err(|error| mysql_async::Error::Other(error.to_string().into()))?;
            let mut connection = self.try_each(&ways).await?;
            let what = match what {
                Kill::Statement => "QUERY",
                Kill::Connection => "CONNECTION",
            };
            connection.query_drop(format!("KILL {what} {id}")).await?;
            connection.disconnect().await
        };
        match tokio::time::timeout(CANCEL, kill).await {
            Ok(result) => result.map_err(|error| convert::chain(&error)),
            Err(_) => Err(format!("no answer within {} s", CANCEL.as_secs())),
        }
    }
}

/// What to end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kill {
    /// The statement that runs.
    Statement,
    /// The connection, with its transaction and its lock.
    Connection,
}

/// The driver panics at some answers of a server; that costs the login, not the process.
async fn login(opts: Opts) -> Result<Conn, mysql_async::Error> {
    let mut task = tokio::task::JoinSet::new();
    task.spawn(Conn::new(opts));
    match task.join_next().await {
        Some(Ok(result)) => result,
        Some(Err(_)) => Err(mysql_async::Error::Other(
            "the driver cannot understand how the server asks for the login".into(),
        )),
        None => Err(mysql_async::DriverError::ConnectionClosed.into()),
    }
}

/// The driver does not know the words in which its TLS library refuses a name, so its own way not to look at names is of no
/// use. The chain is checked before the name; the second login is then verified by a name that is in the certificate.
fn by_name(way: &Opts, name: String) -> Opts {
    let ssl_opts = way.ssl_opts().cloned();
    let ssl_opts = ssl_opts.map(|opts| opts.with_danger_tls_hostname_override(Some(name)));
    OptsBuilder::from_opts(way.clone())
        .ssl_opts(ssl_opts)
        .into()
}

/// What every connection begins with, whatever is usual on the server.
fn setup() -> String {
    format!(
        "SET SESSION autocommit = 1, wait_timeout = {}, sql_select_limit = DEFAULT",
        WAIT_TIMEOUT.as_secs()
    )
}

fn ssl_opts(mode: SslMode, connection: &Connection) -> SslOpts {
    let opts = SslOpts::default();
    let opts = match mode {
        SslMode::Disable | SslMode::Prefer | SslMode::Require => opts
            .with_danger_accept_invalid_certs(true)
            .with_danger_skip_domain_validation(true),
        SslMode::VerifyCa => opts.with_danger_skip_domain_validation(true),
        SslMode::Auto | SslMode::VerifyFull => opts,
    };
    match &connection.ssl_root_cert {
        Some(path) => opts
            .with_disable_built_in_roots(true)
            .with_root_certs(vec![PathBuf::from(path).into()]),
        None => opts,
    }
}
