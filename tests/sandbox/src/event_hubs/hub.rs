//! One event hub.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::Position;
use crate::amqp::Refusal;
use crate::amqp::message::{Content, Incoming};
use crate::clock::later;

/// The consumer group that every hub has.
const DEFAULT_GROUP: &str = "$default";

/// Settings of an event hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubSettings {
    /// How many partitions it has.
    pub partitions: usize,
    /// How long events are kept.
    pub retention: Duration,
    /// How many bytes each partition keeps; the oldest events go first. The service has no such limit.
    pub partition_size: usize,
}

impl Default for HubSettings {
    /// What the reference program's infrastructure creates, and 64 MiB for each partition.
    fn default() -> Self {
        Self {
            partitions: 5,
            retention: Duration::from_secs(86_400),
            partition_size: 64 * 1024 * 1024,
        }
    }
}

/// An event hub as management describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubDescription {
    /// Its name as it was given.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Names of its partitions.
    pub partition_ids: Vec<String>,
    /// Its consumer groups, in lower case.
    pub consumer_groups: Vec<String>,
}

/// A partition as management describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionDescription {
    /// The sequence number of the oldest event that is kept.
    pub begin_sequence_number: i64,
    /// The sequence number of the newest event; -1 when there never was one.
    pub last_sequence_number: i64,
    /// The offset of the newest event; "-1" when there never was one.
    pub last_offset: String,
    /// When the newest event was taken.
    pub last_enqueued_at: Timestamp,
    /// Whether no event is kept.
    pub is_empty: bool,
}

/// An event in a partition.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) sequence: i64,
    /// Where it begins, counted in bytes: not its sequence number, so that nobody takes one for the other.
    pub(crate) offset: i64,
    pub(crate) enqueued: Timestamp,
    pub(crate) content: Arc<Content>,
}

#[derive(Debug)]
struct Partition {
    events: VecDeque<Event>,
    bytes: usize,
    next_sequence: i64,
    next_offset: i64,
    last: Option<(i64, Timestamp)>,
    waiting: Vec<Arc<Notify>>,
}

/// A hub and its events.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) id: u64,
    name: String,
    settings: HubSettings,
    created_at: Timestamp,
    groups: BTreeSet<String>,
    partitions: Vec<Partition>,
    /// Where the next batch goes that asks for no partition.
    turn: usize,
}

impl Hub {
    pub(super) fn new(id: u64, name: &str, settings: HubSettings, now: Timestamp) -> Self {
        let partitions = (0..settings.partitions.max(1))
            .map(|_| Partition::new())
            .collect();
        let groups = BTreeSet::from([DEFAULT_GROUP.to_owned()]);
        Self {
            id,
            name: name.to_owned(),
            settings,
            created_at: now,
            groups,
            partitions,
            turn: 0,
        }
    }

    pub(super) fn describe(&self) -> HubDescription {
        HubDescription {
            name: self.name.clone(),
            created_at: self.created_at,
            partition_ids: (0..self.partitions.len())
                .map(|number| number.to_string())
                .collect(),
            consumer_groups: self.groups.iter().cloned().collect(),
        }
    }

    pub(super) fn describe_partition(&self, id: &str) -> Option<PartitionDescription> {
        Some(self.partitions.get(self.number(id)?)?.describe())
    }

    /// Adds a consumer group, and says whether there was none of the name.
    pub(super) fn add_group(&mut self, name: &str) -> bool {
        self.groups.insert(name.to_lowercase())
    }

    pub(super) fn remove_group(&mut self, name: &str) -> bool {
        self.groups.remove(&name.to_lowercase())
    }

    pub(super) fn has_group(&self, name: &str) -> bool {
        self.groups.contains(&name.to_lowercase())
    }

    /// The partition of this name.
    pub(super) fn number(&self, id: &str) -> Option<usize> {
        id.parse()
            .ok()
            .filter(|number| *number < self.partitions.len())
    }

    /// Appends the events of one transfer: to this partition, to the one that their key chooses, or to the next in turn.
    pub(super) fn send(
        &mut self,
        partition: Option<usize>,
        events: Vec<Incoming>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let key = events.first().and_then(|event| event.partition_key.clone());
        if events.iter().any(|event| event.partition_key != key) {
            let text = "The events of a batch have to have the same partition key.";
            return Err(Refusal::new("amqp:not-allowed", text));
        }
        let number = partition.unwrap_or_else(|| self.choose(key.as_deref()));
        if let Some(partition) = self.partitions.get_mut(number) {
            events
                .into_iter()
                .for_each(|event| partition.append(event.content, now));
            partition.prune(&self.settings, now);
            partition
                .waiting
                .drain(..)
                .for_each(|waiting| waiting.notify_one());
        }
        Ok(())
    }

    /// The sequence number of the first event from a position on.
    pub(super) fn find(&self, number: usize, position: &Position) -> i64 {
        self.partitions
            .get(number)
            .map_or(0, |partition| partition.find(position))
    }

    /// Up to `most` events from a sequence number on. When there are fewer, `waker` is woken as soon as there is more.
    pub(super) fn read(
        &mut self,
        number: usize,
        from: i64,
        most: usize,
        waker: &Arc<Notify>,
    ) -> Vec<Event> {
        self.partitions
            .get_mut(number)
            .map(|partition| partition.read(from, most, waker))
            .unwrap_or_default()
    }

    fn choose(&mut self, key: Option<&str>) -> usize {
        let count = self.partitions.len();
        let Some(key) = key else {
            self.turn = (self.turn + 1) % count;
            return self.turn;
        };
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        usize::try_from(hasher.finish() % count as u64).unwrap_or(0)
    }
}

impl Partition {
    fn new() -> Self {
        let (events, waiting) = (VecDeque::new(), Vec::new());
        Self {
            events,
            bytes: 0,
            next_sequence: 0,
            next_offset: 0,
            last: None,
            waiting,
        }
    }

    fn describe(&self) -> PartitionDescription {
        let (last_offset, last_enqueued_at) = self.last.unwrap_or((-1, Timestamp::UNIX_EPOCH));
        PartitionDescription {
            begin_sequence_number: self
                .events
                .front()
                .map_or(self.next_sequence, |event| event.sequence),
            last_sequence_number: self.next_sequence - 1,
            last_offset: last_offset.to_string(),
            last_enqueued_at,
            is_empty: self.events.is_empty(),
        }
    }

    fn append(&mut self, content: Content, now: Timestamp) {
        let size = content.size();
        let (sequence, offset) = (self.next_sequence, self.next_offset);
        // Time never goes back within a partition, whatever the machine's clock does.
        let enqueued = self.last.map_or(now, |(_, last)| last.max(now));
        self.events.push_back(Event {
            sequence,
            offset,
            enqueued,
            content: Arc::new(content),
        });
        self.bytes += size;
        self.next_sequence += 1;
        self.next_offset += i64::try_from(size).unwrap_or(0).max(1);
        self.last = Some((offset, enqueued));
    }

    fn prune(&mut self, settings: &HubSettings, now: Timestamp) {
        let old = |event: &Event| later(event.enqueued, settings.retention) < now;
        while self
            .events
            .front()
            .is_some_and(|event| self.bytes > settings.partition_size || old(event))
        {
            if let Some(event) = self.events.pop_front() {
                self.bytes -= event.content.size();
            }
        }
    }

    fn find(&self, position: &Position) -> i64 {
        let first = match position {
            Position::Oldest => 0,
            Position::Next => self.events.len(),
            Position::Sequence(wanted) => self
                .events
                .partition_point(|event| event.sequence < *wanted),
            Position::Offset(wanted) => self.events.partition_point(|event| event.offset < *wanted),
            Position::After(time) => self
                .events
                .partition_point(|event| event.enqueued.as_millisecond() <= time.as_millisecond()),
        };
        self.events
            .get(first)
            .map_or(self.next_sequence, |event| event.sequence)
    }

    fn read(&mut self, from: i64, most: usize, waker: &Arc<Notify>) -> Vec<Event> {
        let first = self.events.partition_point(|event| event.sequence < from);
        let events: Vec<_> = self.events.range(first..).take(most).cloned().collect();
        if events.len() < most
            && !self
                .waiting
                .iter()
                .any(|waiting| Arc::ptr_eq(waiting, waker))
        {
            self.waiting.push(Arc::clone(waker));
        }
        events
    }
}
