//! AMQP 1.0 as Service Bus and Event Hubs speak it, from the server's side.
//!
//! Only the types and the codec come from a library: the acceptor of `fe2o3-amqp` neither lets a server choose delivery tags,
//! which are lock tokens here, nor see the credit of a link. A connection is one task and one state machine
//! ([`connection::Connection`]) that takes frames and leaves bytes to be written, so most of it needs no socket to be tested.

pub(crate) mod address;
mod asked;
mod attach;
pub(crate) mod connection;
mod encode;
mod error;
mod frame;
mod link;
pub(crate) mod message;
mod performative;
mod raw;
pub(crate) mod request;
mod sasl;
mod serve;
mod session;
mod settle;
#[cfg(test)]
mod tests;
mod transfer;

pub(crate) use error::Refusal;
pub(crate) use serve::serve;
