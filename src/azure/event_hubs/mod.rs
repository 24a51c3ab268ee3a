//! Event Hubs: progress of workers that share nothing but Azure.
//!
//! What stands in an event is in `form`: what the reference program's monitor counts, and beside it what ours reads. [`HubEvents`]
//! publishes, [`HubEventReader`] reads all partitions from a time on.

mod form;
mod hub;
mod publish;
mod read;

pub use hub::Hub;
pub use publish::HubEvents;
pub use read::HubEventReader;
