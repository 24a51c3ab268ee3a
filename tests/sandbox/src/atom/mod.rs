//! The management of Service Bus over HTTP: topics, subscriptions and rules as Atom entries.

mod address;
mod answer;
mod authorize;
mod describe;
mod duration;
mod read;
mod routes;
mod xml;

pub use authorize::Doorkeeper;
pub use routes::router;
