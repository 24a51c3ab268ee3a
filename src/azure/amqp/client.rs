//! The connection of a process to a namespace, made when it is needed and anew when it is lost.

use std::{fmt, sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio::{sync::Mutex, time::sleep};

use super::{Address, Connection, Credential, Error};
use crate::{azure::Trust, clock::Moment};

/// The pauses between tries to connect: they double from the first to the last.
const FIRST: Duration = Duration::from_millis(250);
const LAST: Duration = Duration::from_secs(15);

/// How a namespace is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether AMQP is spoken within a WebSocket, on port 443, where firewalls let nothing else pass.
    pub web_socket: bool,
    /// How long tokens last that are made from a key; an hour when none.
    pub token_lifetime: Option<Duration>,
}

/// A namespace, as it is used by one process: with one connection. Copies share it.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    address: Address,
    credential: Credential,
    settings: Settings,
    tls: Arc<ClientConfig>,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    connection: Option<Arc<Connection>>,
    /// Tries in a row that did not succeed, and when the next is due.
    failures: u32,
    next: Option<Moment>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.0.address)
    }
}

impl Client {
    /// Nothing is connected before it is used.
    pub fn new(
        address: Address,
        credential: Credential,
        settings: Settings,
        trust: &Trust,
    ) -> Result<Self, Error> {
        let tls = trust.tls().map_err(|error| Error::Unreachable {
            place: address.to_string(),
            why: error.to_string(),
        })?;
        Ok(Self(Arc::new(Shared {
            address,
            credential,
            settings,
            tls: Arc::new(tls),
            slot: Mutex::default(),
        })))
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.0.address
    }

    /// As whom it is used.
    pub(in crate::azure) fn credential(&self) -> &Credential {
        &self.0.credential
    }

    /// The connection; a new one when there is none. All who wait for it share one try, after a pause when the last failed.
    pub(in crate::azure) async fn connection(&self) -> Result<Arc<Connection>, Error> {
        let mut slot = self.0.slot.lock().await;
        if let Some(connection) = slot.connection.take_if(|connection| connection.is_ended()) {
            log::debug!("{connection:?} has ended");
        }
        if let Some(connection) = &slot.connection {
            return Ok(Arc::clone(connection));
        }
        if let Some(next) = slot.next {
            sleep(next.remaining()).await;
        }
        let shared = &self.0;
        let opened = Connection::open(
            &shared.address,
            &shared.credential,
            &shared.settings,
            &shared.tls,
        );
        match opened.await {
            Ok(connection) => {
                *slot = Slot {
                    connection: Some(Arc::clone(&connection)),
                    ..Slot::default()
                };
                Ok(connection)
            }
            Err(error) => {
                slot.failures = slot.failures.saturating_add(1);
                slot.next = Some(Moment::now() + pause(slot.failures));
                Err(error)
            }
        }
    }

    /// The connection, with the right to use `entity`.
    pub(in crate::azure) async fn connection_for(
        &self,
        entity: &str,
    ) -> Result<Arc<Connection>, Error> {
        let connection = self.connection().await?;
        connection.authorise(entity).await?;
        Ok(connection)
    }
}

/// The pause after so many failures in a row, a little different each time.
pub(in crate::azure) fn pause(failures: u32) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10));
    doubled.min(LAST).mul_f64(0.75 + 0.5 * fastrand::f64())
}
