//! One login to a PostgreSQL server.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Socket, config, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    super::{Error, address::Address},
    convert,
    notices::Notices,
    servers::Servers,
};
use crate::protocol::{Connection, SslMode};

/// The driver's settings, without the password.
pub(super) fn config(
    address: &Address,
    connection: &Connection,
    mode: SslMode,
    database: &str,
) -> Config {
    let mut config = Config::new();
    config
        .host(&address.host)
        .port(address.port)
        .dbname(database)
        .application_name(concat!("sbm ", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connection.connect_timeout)
        .keepalives_idle(Duration::from_secs(15))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(4)
        .tcp_user_timeout(Duration::from_secs(60))
        .ssl_mode(match mode {
            SslMode::Disable => config::SslMode::Disable,
            SslMode::Prefer => config::SslMode::Prefer,
            _ => config::SslMode::Require,
        });
    if let Some(user) = &connection.user {
        config.user(user);
    }
    config
}

/// Everything for one login, and for another one to the same place.
#[derive(Clone)]
pub(super) struct Dial {
    pub(super) place: String,
    pub(super) server: String,
    pub(super) servers: Servers,
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
    pub(super) timeout: Duration,
}

impl Dial {
    /// Logs in. The task moves the connection's messages until either side is gone.
    pub(super) async fn open(&self, notices: &Notices) -> Result<(Client, JoinHandle<()>), Error> {
        let login = self.config.connect(self.tls.clone());
        let (client, connection) = match tokio::time::timeout(self.timeout, login).await {
            Ok(Ok(pair)) => pair,
            Ok(Err(error)) => return Err(convert::login_error(&self.place, &error)),
            Err(_) => {
                return Err(Error::Connect {
                    place: self.place.clone(),
                    message: format!("no answer within {} s", self.timeout.as_secs_f64()),
                    code: None,
                    transient: true,
                });
            }
        };
        let task = tokio::spawn(drive(connection, notices.clone()));
        Ok((client, task))
    }
}

type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

async fn drive(mut connection: tokio_postgres::Connection<Socket, TlsStream>, notices: Notices) {
    loop {
        let message = std::future::poll_fn(|context| connection.poll_message(context)).await;
        match message {
            Some(Ok(tokio_postgres::AsyncMessage::Notice(notice))) => {
                notices.push(format!("{}: {}", notice.severity(), notice.message()));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return notices.set_lost(convert::chain(&error)),
            None => return,
        }
    }
}
