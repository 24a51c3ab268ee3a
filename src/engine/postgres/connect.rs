//! Where a PostgreSQL server is, and one login to it.

use std::{net::IpAddr, time::Duration};

use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Socket, config, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{super::Error, convert, notices::Notices};
use crate::protocol::{Connection, SslMode};

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// Reads `host`, `host:port`, `host,port`, `[IPv6]`, `[IPv6]:port`, or the folder of a Unix socket.
    pub(super) fn parse(server: &str) -> Result<Self, Error> {
        let server = server.trim();
        let server = server.strip_prefix("tcp:").unwrap_or(server);
        let split = server.rsplit_once([':', ',']).filter(|(host, _)| {
            !server.starts_with('/') && (!host.contains(':') || host.ends_with(']'))
        });
        let (host, port) = match split {
            Some((host, port)) => (host.trim(), Some(port.trim())),
            None => (server, None),
        };
        let host = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        let port = port.map_or(Ok(5432), str::parse).map_err(|_| {
            Error::Settings(format!(
                "server `{server}`: the port must be a number from 1 to 65535"
            ))
        })?;
        if host.is_empty() {
            return Err(Error::Settings(format!("server `{server}` names no host")));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }

    fn is_local(&self) -> bool {
        self.host.starts_with('/')
            || self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// What `auto` means for this server: traffic that leaves the machine is encrypted to a verified server.
    pub(super) fn ssl_mode(&self, mode: SslMode) -> SslMode {
        match mode {
            SslMode::Auto if self.is_local() => SslMode::Prefer,
            SslMode::Auto => SslMode::VerifyFull,
            mode => mode,
        }
    }

    /// The driver's settings, without the password.
    pub(super) fn config(&self, connection: &Connection, database: &str) -> Config {
        let mut config = Config::new();
        config
            .host(&self.host)
            .port(self.port)
            .dbname(database)
            .application_name(concat!("sbm ", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connection.connect_timeout)
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(4)
            .tcp_user_timeout(Duration::from_secs(60))
            .ssl_mode(match self.ssl_mode(connection.ssl_mode) {
                SslMode::Disable => config::SslMode::Disable,
                SslMode::Prefer => config::SslMode::Prefer,
                _ => config::SslMode::Require,
            });
        if let Some(user) = &connection.user {
            config.user(user);
        }
        config
    }
}

/// Everything for one login, and for another one to the same place.
#[derive(Clone)]
pub(super) struct Dial {
    pub(super) place: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_in_every_form() {
        for (text, host, port) in [
            ("db.example.com", "db.example.com", 5432),
            ("db:6432", "db", 6432),
            ("db,6432", "db", 6432),
            ("[::1]", "::1", 5432),
            ("[::1]:6432", "::1", 6432),
            ("::1", "::1", 5432),
            ("/var/run/postgresql", "/var/run/postgresql", 5432),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(
                (address.host.as_str(), address.port),
                (host, port),
                "{text}"
            );
        }
        assert!(Address::parse("db:x").is_err());
        assert!(Address::parse("db:99999").is_err());
        assert!(Address::parse(":5432").is_err());
    }

    #[test]
    fn only_local_servers_may_be_unverified_by_default() {
        let mode = |server: &str| Address::parse(server).unwrap().ssl_mode(SslMode::Auto);
        for local in ["localhost", "127.0.0.1:5433", "[::1]", "/tmp"] {
            assert_eq!(mode(local), SslMode::Prefer, "{local}");
        }
        for remote in ["db.example.com", "10.0.0.1", "localhost.example.com"] {
            assert_eq!(mode(remote), SslMode::VerifyFull, "{remote}");
        }
    }
}
