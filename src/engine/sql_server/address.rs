//! What a server text of a target list means.

use std::net::IpAddr;

use super::super::Error;
use crate::protocol::SslMode;

/// Where a SQL Server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The machine; an IPv6 address has no brackets.
    pub(super) host: String,
    pub(super) at: At,
}

/// How the port is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// It is known.
    Port(u16),
    /// SQL Server Browser on the machine knows the port of this instance.
    Instance(String),
}

const DEFAULT_PORT: u16 = 1433;

/// Protocols of Microsoft's clients that this program does not speak.
const OTHER_PROTOCOLS: [&str; 3] = ["np:", "lpc:", "admin:"];

impl Address {
    /// Reads `host`, `host,port`, `host:port` and `host\instance`, with `tcp:` before it or not. A host may be `.` or
    /// `(local)`, and an IPv6 address may have brackets, which a port after `:` needs. As for every client, a port makes
    /// the name of an instance superfluous.
    pub(super) fn parse(server: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Settings(format!("server `{server}`: {why}"));
        let text = server.trim();
        let text = match text.get(..4) {
            Some(prefix) if prefix.eq_ignore_ascii_case("tcp:") => {
                text.get(4..).unwrap_or_default()
            }
            _ => text,
        };
        let lower = text.to_ascii_lowercase();
        if OTHER_PROTOCOLS
            .iter()
            .any(|prefix| lower.starts_with(prefix))
            || text.starts_with(r"\\")
        {
            return Err(wrong(
                "only TCP is spoken; write host, host,port or host\\instance",
            ));
        }
        if lower.starts_with("(localdb)") {
            return Err(wrong("LocalDB cannot be reached over TCP; name a server"));
        }
        let (place, port) = match split_port(text) {
            Some((place, port)) => match port.parse() {
                Ok(port) if port > 0 => (place, Some(port)),
                _ => return Err(wrong("the port must be a number from 1 to 65535")),
            },
            None => (text, None),
        };
        let (machine, instance) = place.split_once('\\').unwrap_or((place, ""));
        let host = match without_brackets(machine.trim()) {
            "" => return Err(wrong("it names no host")),
            "." => "localhost",
            local if local.eq_ignore_ascii_case("(local)") => "localhost",
            host => host.strip_suffix('.').unwrap_or(host),
        };
        let at = match (port, instance.trim()) {
            (Some(port), _) => At::Port(port),
            (None, "") => At::Port(DEFAULT_PORT),
            (None, name) if name.eq_ignore_ascii_case("mssqlserver") => At::Port(DEFAULT_PORT),
            (None, name) => At::Instance(name.to_owned()),
        };
        Ok(Self {
            host: host.to_owned(),
            at,
        })
    }

    /// Where a server sends a login. It may name an instance behind the host, which the port makes superfluous; one that was
    /// asked for belongs to the server that sends.
    pub(super) fn of_route(host: &str, port: u16) -> Self {
        let machine = host.split_once('\\').map_or(host, |(machine, _)| machine);
        Self {
            host: machine.to_ascii_lowercase(),
            at: At::Port(port),
        }
    }

    fn is_local(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
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

/// Takes `,port` or `:port` off; the colons of an IPv6 address without brackets are no port.
fn split_port(text: &str) -> Option<(&str, &str)> {
    let (place, port) = text.rsplit_once(',').or_else(|| {
        text.rsplit_once(':').filter(|(place, port)| {
            (!place.contains(':') || place.ends_with(']')) && !port.contains('\\')
        })
    })?;
    Some((place.trim(), port.trim()))
}

fn without_brackets(machine: &str) -> &str {
    machine
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_in_every_form() {
        let port = At::Port;
        for (text, host, at) in [
            ("db.example.com", "db.example.com", port(1433)),
            (" db,1500 ", "db", port(1500)),
            ("db, 1500", "db", port(1500)),
            ("db:1500", "db", port(1500)),
            ("TCP:db,1500", "db", port(1500)),
            (
                "tcp:db.database.windows.net",
                "db.database.windows.net",
                port(1433),
            ),
            ("db.example.com.", "db.example.com", port(1433)),
            (".", "localhost", port(1433)),
            ("(LOCAL)", "localhost", port(1433)),
            ("(local),1500", "localhost", port(1500)),
            (r"db\MSSQLSERVER", "db", port(1433)),
            (r"db\two", "db", At::Instance("two".into())),
            (
                r".\SQLEXPRESS",
                "localhost",
                At::Instance("SQLEXPRESS".into()),
            ),
            (r"db\two,1500", "db", port(1500)),
            (r"[::1]\two", "::1", At::Instance("two".into())),
            ("::1", "::1", port(1433)),
            ("[::1]", "::1", port(1433)),
            ("[::1]:1500", "::1", port(1500)),
            ("::1,1500", "::1", port(1500)),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.host.as_str(), &address.at), (host, &at), "{text}");
        }
    }

    #[test]
    fn the_instance_in_a_route_is_left_out() {
        for route in ["node.example.com", r"NODE.example.com\MSSQLSERVER"] {
            let address = Address::of_route(route, 11_003);
            assert_eq!(address.host, "node.example.com");
            assert_eq!(address.at, At::Port(11_003));
        }
    }

    #[test]
    fn what_cannot_be_reached_is_refused_with_the_reason() {
        for (text, why) in [
            ("db,x", "port"),
            ("db,", "port"),
            ("db:99999", "port"),
            ("db,0", "port"),
            ("", "no host"),
            (",1433", "no host"),
            (r"\two", "no host"),
            (r"np:\\db\pipe\sql\query", "TCP"),
            (r"\\.\pipe\sql\query", "TCP"),
            ("lpc:db", "TCP"),
            ("admin:db", "TCP"),
            (r"(localdb)\MSSQLLocalDB", "LocalDB"),
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(matches!(error, Error::Settings(_)));
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn only_servers_on_this_machine_may_be_unverified_by_default() {
        let mode = |server: &str| Address::parse(server).unwrap().ssl_mode(SslMode::Auto);
        for local in [".", "(local)", "localhost,1500", "127.0.0.1", "[::1]"] {
            assert_eq!(mode(local), SslMode::Prefer, "{local}");
        }
        for remote in ["db", "10.0.0.1", "localhost.example.com"] {
            assert_eq!(mode(remote), SslMode::VerifyFull, "{remote}");
        }
    }
}
