//! Where a server of PostgreSQL or MySQL is, as a target list writes it.

use std::net::IpAddr;

use super::Error;
use crate::protocol::SslMode;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    /// Reads `host`, `host:port`, `host,port`, `[IPv6]`, `[IPv6]:port`, or the path of a Unix socket or of its folder.
    pub(super) fn parse(server: &str, default_port: u16) -> Result<Self, Error> {
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
        let port = port.map_or(Ok(default_port), str::parse).map_err(|_| {
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

    /// Whether the host is the path of a socket.
    pub(super) fn is_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    fn is_local(&self) -> bool {
        self.is_socket()
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
            let address = Address::parse(text, 5432).unwrap();
            assert_eq!(
                (address.host.as_str(), address.port),
                (host, port),
                "{text}"
            );
        }
        assert!(Address::parse("db:x", 5432).is_err());
        assert!(Address::parse("db:99999", 5432).is_err());
        assert!(Address::parse(":5432", 5432).is_err());
    }

    #[test]
    fn only_local_servers_may_be_unverified_by_default() {
        let mode = |server: &str| {
            Address::parse(server, 5432)
                .unwrap()
                .ssl_mode(SslMode::Auto)
        };
        for local in ["localhost", "127.0.0.1:5433", "[::1]", "/tmp"] {
            assert_eq!(mode(local), SslMode::Prefer, "{local}");
        }
        for remote in ["db.example.com", "10.0.0.1", "localhost.example.com"] {
            assert_eq!(mode(remote), SslMode::VerifyFull, "{remote}");
        }
    }
}
