//! AMQP 1.0 as Service Bus and Event Hubs speak it: one connection per process and namespace, on which everything has a deadline.
//!
//! [`Address`] reads what a user gives, [`Client`] keeps the connection and makes it anew when it is lost, `Connection` has what is
//! done on it: rights by `$cbs`, links, and requests to `$management`.

mod address;
mod cbs;
mod client;
mod connection;
mod credential;
mod error;
mod outcomes;
mod request;
mod sas;
mod stream;
mod tap;
mod values;

pub use address::{Address, AddressError, SharedKey};
pub(super) use client::pause;
pub use client::{Client, Settings};
pub(super) use connection::{Connection, Session};
pub use credential::Credential;
pub use error::{Error, Kind};
pub(super) use outcomes::{DEAD_LETTER, LockToken, Outcome, Settling};
pub(super) use request::{Reply, Request};
pub(super) use values::{
    BATCH_FORMAT, Fields, bytes_of, decode, encode, integer, items, symbol, text, uuids,
};

use std::time::Duration;

/// How long one thing that a service is asked for may take.
pub const OPERATION: Duration = Duration::from_secs(30);
