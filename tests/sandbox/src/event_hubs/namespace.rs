//! The door to a namespace.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::hub::Hub;
use super::{Event, HubDescription, HubSettings, PartitionDescription, Position};
use crate::amqp::Refusal;
use crate::amqp::message::Incoming;
use crate::clock::Clock;

/// An Event Hubs namespace. Names of hubs differ in more than upper and lower case.
#[derive(Debug)]
pub struct EventHubs {
    clock: Arc<dyn Clock>,
    hubs: Mutex<BTreeMap<String, Hub>>,
}

/// A partition that a link is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionAddress {
    pub(crate) hub: String,
    /// Tells the hub from another of the same name that was made when this one was deleted.
    pub(crate) id: u64,
    pub(crate) number: usize,
}

impl EventHubs {
    /// A namespace without hubs.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            hubs: Mutex::default(),
        }
    }

    /// Makes a hub; one that is there stays as it is.
    pub fn create(&self, name: &str, settings: HubSettings) -> HubDescription {
        let now = self.clock.now();
        let mut hubs = self.lock();
        let id = hubs.values().map(|hub| hub.id).max().unwrap_or(0) + 1;
        hubs.entry(name.to_lowercase())
            .or_insert_with(|| Hub::new(id, name, settings, now))
            .describe()
    }

    /// A hub, if there is one of the name.
    pub fn hub(&self, name: &str) -> Option<HubDescription> {
        self.lock().get(&name.to_lowercase()).map(Hub::describe)
    }

    /// A partition, if there is one of the name.
    pub fn partition(&self, hub: &str, partition: &str) -> Option<PartitionDescription> {
        self.lock()
            .get(&hub.to_lowercase())?
            .describe_partition(partition)
    }

    /// Adds a consumer group and says whether it is new; none if there is no such hub.
    pub fn create_consumer_group(&self, hub: &str, group: &str) -> Option<bool> {
        Some(self.lock().get_mut(&hub.to_lowercase())?.add_group(group))
    }

    /// Removes a consumer group and says whether it was there; none if there is no such hub.
    pub fn delete_consumer_group(&self, hub: &str, group: &str) -> Option<bool> {
        Some(
            self.lock()
                .get_mut(&hub.to_lowercase())?
                .remove_group(group),
        )
    }

    /// Finds the partition that a link wants to read from, and where it begins.
    pub(crate) fn open(
        &self,
        hub: &str,
        group: &str,
        partition: &str,
        position: &Position,
    ) -> Result<(PartitionAddress, i64), Refusal> {
        let hubs = self.lock();
        let found = hubs.get(hub).ok_or_else(|| Refusal::not_found(hub))?;
        if !found.has_group(group) {
            return Err(Refusal::not_found(&format!("{hub}/ConsumerGroups/{group}")));
        }
        let number = found
            .number(partition)
            .ok_or_else(|| no_partition(hub, partition))?;
        let address = PartitionAddress {
            hub: hub.to_owned(),
            id: found.id,
            number,
        };
        Ok((address, found.find(number, position)))
    }

    /// Whether a link can send to a hub, or to this partition of it.
    pub(crate) fn check(&self, hub: &str, partition: Option<&str>) -> Result<(), Refusal> {
        let hubs = self.lock();
        let found = hubs.get(hub).ok_or_else(|| Refusal::not_found(hub))?;
        let wrong = partition.filter(|partition| found.number(partition).is_none());
        wrong.map_or(Ok(()), |partition| Err(no_partition(hub, partition)))
    }

    /// Appends the events of one transfer.
    pub(crate) fn send(
        &self,
        hub: &str,
        partition: Option<&str>,
        events: Vec<Incoming>,
    ) -> Result<(), Refusal> {
        let now = self.clock.now();
        let mut hubs = self.lock();
        let found = hubs.get_mut(hub).ok_or_else(|| Refusal::not_found(hub))?;
        let number = partition.and_then(|partition| found.number(partition));
        found.send(number, events, now)
    }

    /// Up to `most` events from a sequence number on. When there are fewer, `waker` is woken as soon as there is more.
    pub(crate) fn read(
        &self,
        address: &PartitionAddress,
        from: i64,
        most: usize,
        waker: &Arc<Notify>,
    ) -> Result<Vec<Event>, Refusal> {
        let mut hubs = self.lock();
        let hub = hubs
            .get_mut(&address.hub)
            .filter(|hub| hub.id == address.id);
        let hub = hub.ok_or_else(|| Refusal::not_found(&address.hub))?;
        Ok(hub.read(address.number, from, most, waker))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Hub>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_partition(hub: &str, partition: &str) -> Refusal {
    let text =
        format!("The specified partition '{partition}' of the event hub '{hub}' does not exist.");
    Refusal::new("com.microsoft:argument-out-of-range", text)
}
