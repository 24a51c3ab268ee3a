//! Service Bus: the queue of workers that share nothing but Azure.
//!
//! A job has one subscription of the topic, with a rule that lets in the messages of the job; concurrency types with groups use
//! sessions. [`ServiceBus`] is the namespace as one process uses it, [`ServiceBusQueue`] a handle of one job's queue. What stands in a
//! message is in `body` and `message`, what a receiver holds in `intake`, and what is done over HTTP in `management`.

mod body;
mod bus;
mod dead;
mod intake;
mod management;
mod message;
mod options;
mod queue;
mod send;

pub use bus::{Open, OpenError, ServiceBus};
pub use options::Options;
pub use queue::ServiceBusQueue;

/// The topic, unless a connection string names another.
pub const TOPIC: &str = "sqlbuildmanager";
