//! An Event Hubs namespace: hubs, whose partitions are logs that any number of readers read from where they like.
//!
//! Owner levels (epochs), checkpoints, which clients keep in blobs, and capture are not there.

mod hub;
pub(crate) mod management;
mod namespace;
mod position;
#[cfg(test)]
mod tests;

pub(crate) use hub::Event;
pub use hub::{HubDescription, HubSettings, PartitionDescription};
pub use namespace::EventHubs;
pub(crate) use namespace::PartitionAddress;
pub(crate) use position::Position;
