//! Misbehaviour on demand, by HTTP.
//!
//! A fault waits for requests that it fits and is used up by them; what it does is the same for all HTTP services. Tests run side
//! by side, so a fault can be told which requests it is for: by method and by a piece of path and query.

mod counters;
mod disturbance;
mod guard;
mod plan;
mod routes;
mod service;

pub use counters::Counters;
pub use guard::Faults;
pub use plan::{Cut, Fault};
pub use routes::{Controls, router};
pub use service::Service;
