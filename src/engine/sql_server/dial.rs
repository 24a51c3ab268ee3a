//! One login to a SQL Server: the way there, encryption, and the server's word to go elsewhere.

use std::{fmt, io, net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{
    FutureExt,
    stream::{FuturesUnordered, StreamExt},
};
use secrecy::{ExposeSecret, SecretString};
use socket2::{SockRef, TcpKeepalive};
use tiberius::{AuthMethod, Client, Config, EncryptionLevel, SqlBrowser, error::Error as Driver};
use tokio::net::{TcpStream, lookup_host};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::{
    super::Error,
    address::{Address, At},
    convert,
    tap::Tap,
};
use crate::protocol::SslMode;

/// What the driver answers with.
pub(super) type DriverResult<T> = Result<T, Driver>;

/// A connection that is logged in.
pub(super) type TdsClient = Client<Compat<TcpStream>>;

/// How often a server may send a login elsewhere: Azure SQL does so once, to the node that has the database.
const MAX_HOPS: usize = 3;

/// What Microsoft's own client asks for; fewer, larger packets for long scripts.
const PACKET_SIZE: u32 = 8_000;

/// Who logs in.
#[derive(Clone)]
pub(super) enum Login {
    /// A login of the server or a user of the database.
    Password {
        /// Its name.
        user: String,
        /// Its password.
        password: SecretString,
    },
    /// An access token of Entra ID, which names the identity itself.
    Token(SecretString),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password",
            Self::Token(_) => "Token",
        })
    }
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encryption {
    /// Not at all.
    None,
    /// Whenever the server can; whoever it is.
    IfPossible,
    /// Always; whoever the server is.
    Unverified,
    /// Always, and the certificate must be trusted and name the server.
    Verified,
}

/// Everything for one login.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    /// Server and database, for people.
    pub(super) place: String,
    address: Address,
    pub(super) database: String,
    login: Arc<Login>,
    encryption: Encryption,
    authorities: Option<Arc<Vec<u8>>>,
    timeout: Duration,
}

impl Dial {
    pub(super) fn new(
        server: &str,
        database: &str,
        login: Arc<Login>,
        ssl_mode: SslMode,
        authorities: Option<Arc<Vec<u8>>>,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let address = Address::parse(server)?;
        let encryption = encryption(address.ssl_mode(ssl_mode), &login)?;
        Ok(Self {
            place: format!("{server}:{database}"),
            address,
            database: database.to_owned(),
            login,
            encryption,
            authorities,
            timeout,
        })
    }

    /// Logs in. The time-out is for all of it: names, SQL Server Browser, every hop, TLS.
    pub(super) async fn open(&self, tap: &Tap) -> Result<TdsClient, Error> {
        let dialled = tap.listen(self.follow());
        // The driver may panic on what a server sends; that is an error of this login alone.
        let guarded = AssertUnwindSafe(dialled).catch_unwind();
        let opened = tokio::time::timeout(self.timeout, guarded).await;
        tap.take();
        match opened {
            Ok(Ok(opened)) => opened.map_err(|error| convert::login_error(&self.place, &error)),
            Ok(Err(_)) => Err(self.error("the driver failed on what the server sent", false)),
            Err(_) => {
                let message = format!("no answer within {} s", self.timeout.as_secs_f64());
                Err(self.error(&message, true))
            }
        }
    }

    fn error(&self, message: &str, transient: bool) -> Error {
        Error::Connect {
            place: self.place.clone(),
            message: message.to_owned(),
            code: None,
            transient,
        }
    }

    /// Logs in where the server says.
    async fn follow(&self) -> DriverResult<TdsClient> {
        let mut address = self.address.clone();
        for _ in 0..MAX_HOPS {
            match self.log_in(&address).await {
                Err(Driver::Routing { host, port }) => {
                    log::debug!("{}: sent to {host}:{port}", self.place);
                    address = Address::of_route(&host, port);
                }
                result => return result,
            }
        }
        let message = format!("the server sent the login elsewhere {MAX_HOPS} times");
        Err(Driver::Protocol(message.into()))
    }

    async fn log_in(&self, address: &Address) -> DriverResult<TdsClient> {
        let (first, second) = match self.encryption {
            Encryption::None => (EncryptionLevel::NotSupported, None),
            Encryption::IfPossible => (EncryptionLevel::On, Some(EncryptionLevel::NotSupported)),
            Encryption::Unverified | Encryption::Verified => (EncryptionLevel::On, None),
        };
        match (self.log_in_with(address, first).await, second) {
            (Err(error), Some(second)) if convert::is_encryption_refusal(&error) => {
                self.log_in_with(address, second).await
            }
            (result, _) => result,
        }
    }

    async fn log_in_with(
        &self,
        address: &Address,
        level: EncryptionLevel,
    ) -> DriverResult<TdsClient> {
        let stream = reach(address).await?;
        Client::connect(self.config(address, level), stream.compat_write()).await
    }

    /// Never `EncryptionLevel::Off`: the driver then encrypts the login alone, and waits forever for a server that cannot.
    fn config(&self, address: &Address, level: EncryptionLevel) -> Config {
        let mut config = Config::new();
        config.host(&address.host);
        match &address.at {
            At::Port(port) => config.port(*port),
            // The server says whether it is this instance, so that an outdated answer of the Browser does no harm.
            At::Instance(name) => config.instance_name(name),
        }
        config.database(&self.database);
        config.application_name(concat!("sbm ", env!("CARGO_PKG_VERSION")));
        config.packet_size(PACKET_SIZE);
        config.encryption(level);
        if self.encryption == Encryption::Verified {
            config.trust_webpki_roots();
            if let Some(authorities) = &self.authorities {
                config.trust_cert_ca_bundle(authorities.as_slice());
            }
        } else {
            config.trust_cert();
        }
        config.authentication(match &*self.login {
            Login::Password { user, password } => {
                AuthMethod::sql_server(user, password.expose_secret())
            }
            Login::Token(token) => AuthMethod::aad_token(token.expose_secret()),
        });
        // Time-outs are this program's own: the driver's leave a connection that cannot be used any more.
        config.handshake_timeout(None);
        config.command_timeout(None);
        // Half of a surrogate pair in a row that a script selects is no reason to fail the build.
        config.lossy_utf16_decoding(true);
        config
    }
}

/// A token is as good as a password, and never goes over the wire in clear.
fn encryption(mode: SslMode, login: &Login) -> Result<Encryption, Error> {
    let is_token = matches!(login, Login::Token(_));
    Ok(match mode {
        SslMode::Disable if is_token => {
            let why =
                "--sslmode disable: an access token is only sent over an encrypted connection";
            return Err(Error::Settings(why.into()));
        }
        SslMode::VerifyCa => {
            let why = "--sslmode verify-ca: the certificates of SQL Server are verified wholly or not at all; use \
                       verify-full";
            return Err(Error::Settings(why.into()));
        }
        SslMode::Disable => Encryption::None,
        SslMode::Prefer if is_token => Encryption::Unverified,
        SslMode::Prefer => Encryption::IfPossible,
        SslMode::Require => Encryption::Unverified,
        SslMode::Auto | SslMode::VerifyFull => Encryption::Verified,
    })
}

/// A TCP connection that notices within half a minute that its server is gone.
async fn reach(address: &Address) -> DriverResult<TcpStream> {
    let stream = match &address.at {
        At::Port(port) => first_of(lookup_host((address.host.as_str(), *port)).await?).await?,
        At::Instance(name) => {
            let mut browser = Config::new();
            // The driver puts a port behind the host, which an IPv6 address wants brackets for.
            let is_ipv6 = address.host.contains(':');
            browser.host(if is_ipv6 {
                format!("[{}]", address.host)
            } else {
                address.host.clone()
            });
            browser.instance_name(name);
            TcpStream::connect_named(&browser).await?
        }
    };
    stream.set_nodelay(true)?;
    let keep_alive = TcpKeepalive::new()
        .with_time(Duration::from_secs(15))
        .with_interval(Duration::from_secs(5));
    SockRef::from(&stream).set_tcp_keepalive(&keep_alive)?;
    Ok(stream)
}

/// Connects to whichever address answers first. The listener of an availability group has one in each subnet, and only the
/// primary's answers; tried one after the other, the silent ones would use up the time-out.
async fn first_of(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut tries: FuturesUnordered<_> = addresses.map(TcpStream::connect).collect();
    let mut refused = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    while let Some(tried) = tries.next().await {
        match tried {
            Ok(stream) => return Ok(stream),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_address_that_answers_is_enough() {
        let closed = || {
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
            listener.local_addr().unwrap()
        };
        let open = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let open_address = open.local_addr().unwrap();
        let addresses = [closed(), open_address, closed()];
        let stream = first_of(addresses.into_iter()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open_address);
        let refused = first_of([closed(), closed()].into_iter()).await;
        assert_eq!(
            refused.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        let nowhere = first_of(std::iter::empty()).await;
        assert_eq!(nowhere.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    fn login(token: bool) -> Login {
        let secret = SecretString::from("canary");
        if token {
            Login::Token(secret)
        } else {
            Login::Password {
                user: "me".into(),
                password: secret,
            }
        }
    }

    fn dial(server: &str, mode: SslMode, token: bool) -> Result<Dial, Error> {
        Dial::new(
            server,
            "db",
            Arc::new(login(token)),
            mode,
            None,
            Duration::from_secs(1),
        )
    }

    #[test]
    fn every_mode_has_its_encryption() {
        let of = |server: &str, mode| dial(server, mode, false).unwrap().encryption;
        assert_eq!(of("db", SslMode::Auto), Encryption::Verified);
        assert_eq!(of(".", SslMode::Auto), Encryption::IfPossible);
        assert_eq!(of(".", SslMode::VerifyFull), Encryption::Verified);
        assert_eq!(of("db", SslMode::Disable), Encryption::None);
        assert_eq!(of("db", SslMode::Prefer), Encryption::IfPossible);
        assert_eq!(of("db", SslMode::Require), Encryption::Unverified);
        assert!(dial("db", SslMode::VerifyCa, false).is_err());
    }

    #[test]
    fn a_token_is_never_sent_in_clear() {
        let of = |server: &str, mode| dial(server, mode, true).map(|dial| dial.encryption);
        assert!(of("db", SslMode::Disable).is_err());
        assert_eq!(of("db", SslMode::Prefer).unwrap(), Encryption::Unverified);
        assert_eq!(
            of("localhost", SslMode::Auto).unwrap(),
            Encryption::Unverified
        );
        assert_eq!(of("db", SslMode::Auto).unwrap(), Encryption::Verified);
    }

    #[test]
    fn no_way_of_printing_shows_the_secret() {
        for token in [true, false] {
            let text = format!("{:?}", dial("db", SslMode::Auto, token).unwrap());
            assert!(
                !text.contains("canary") && !text.contains("\"me\""),
                "{text}"
            );
        }
    }
}
