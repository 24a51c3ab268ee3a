//! What hubs keep, and who reads it.

use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp_types::messaging::Data;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::{Event, EventHubs, HubSettings, Position};
use crate::amqp::message::Incoming;
use crate::clock::{Clock, ManualClock};

const SECOND: Duration = Duration::from_secs(1);

struct World {
    hubs: EventHubs,
    clock: Arc<ManualClock>,
    waker: Arc<Notify>,
}

impl World {
    fn new(settings: HubSettings) -> Self {
        let clock = Arc::new(ManualClock::new(
            Timestamp::from_second(1_800_000_000).unwrap(),
        ));
        let hubs = EventHubs::new(Arc::clone(&clock) as Arc<dyn Clock>);
        hubs.create("Hub", settings);
        Self {
            hubs,
            clock,
            waker: Arc::default(),
        }
    }

    fn two_partitions() -> Self {
        Self::new(HubSettings {
            partitions: 2,
            ..HubSettings::default()
        })
    }

    fn send(&self, partition: Option<&str>, key: Option<&str>, count: usize) {
        let events = (0..count).map(|_| event(key)).collect();
        self.hubs.send("hub", partition, events).unwrap();
    }

    /// Everything that a new reader of a partition gets.
    fn read(&self, partition: &str, position: &Position) -> Vec<Event> {
        let (address, next) = self
            .hubs
            .open("hub", "$default", partition, position)
            .unwrap();
        self.hubs.read(&address, next, 1000, &self.waker).unwrap()
    }

    fn sequences(&self, position: &Position) -> Vec<i64> {
        self.read("0", position)
            .iter()
            .map(|event| event.sequence)
            .collect()
    }
}

fn event(key: Option<&str>) -> Incoming {
    let bytes = serde_amqp::to_vec(&Data(vec![1; 100].into())).unwrap();
    let mut event = Incoming::decode(&bytes).unwrap();
    event.partition_key = key.map(str::to_owned);
    event
}

#[test]
fn readers_begin_where_they_like_and_take_nothing_away() {
    let world = World::two_partitions();
    world.send(Some("0"), None, 2);
    let between = world.clock.now();
    world.clock.advance(SECOND);
    world.send(Some("0"), None, 2);
    for _ in 0..2 {
        assert_eq!(world.sequences(&Position::Oldest), [0, 1, 2, 3]);
    }
    assert_eq!(world.sequences(&Position::Sequence(1)), [1, 2, 3]);
    assert_eq!(world.sequences(&Position::After(between)), [2, 3]);
    let second = world.read("0", &Position::Oldest)[1].offset;
    assert_eq!(world.sequences(&Position::Offset(second)), [1, 2, 3]);
    assert_eq!(world.sequences(&Position::Offset(second + 1)), [2, 3]);
    assert!(world.sequences(&Position::Next).is_empty());
    assert!(world.read("1", &Position::Oldest).is_empty());
}

#[test]
fn events_of_one_key_are_in_one_partition_and_others_take_turns() {
    let world = World::two_partitions();
    for _ in 0..4 {
        world.send(None, Some("key"), 1);
    }
    let counts = || ["0", "1"].map(|partition| world.read(partition, &Position::Oldest).len());
    assert!(counts() == [4, 0] || counts() == [0, 4], "{:?}", counts());
    let before = counts();
    for _ in 0..4 {
        world.send(None, None, 1);
    }
    assert_eq!(counts(), before.map(|count| count + 2));
}

#[test]
fn a_batch_of_several_keys_is_refused() {
    let world = World::two_partitions();
    let refusal = world
        .hubs
        .send("hub", None, vec![event(Some("a")), event(Some("b"))])
        .unwrap_err();
    assert_eq!(refusal.condition, "amqp:not-allowed");
}

#[test]
fn hubs_groups_and_partitions_that_are_not_there_are_refused() {
    let world = World::two_partitions();
    let open = |hub, group, partition| world.hubs.open(hub, group, partition, &Position::Oldest);
    let condition = |hub, group, partition| open(hub, group, partition).unwrap_err().condition;
    assert_eq!(condition("nothing", "$default", "0"), "amqp:not-found");
    assert_eq!(condition("hub", "mine", "0"), "amqp:not-found");
    assert_eq!(
        condition("hub", "$default", "2"),
        "com.microsoft:argument-out-of-range"
    );
    assert_eq!(world.hubs.create_consumer_group("HUB", "Mine"), Some(true));
    assert_eq!(world.hubs.create_consumer_group("HUB", "mine"), Some(false));
    assert!(open("hub", "mine", "0").is_ok());
    assert_eq!(world.hubs.delete_consumer_group("hub", "mine"), Some(true));
    assert_eq!(condition("hub", "mine", "0"), "amqp:not-found");
}

#[test]
fn a_partition_keeps_what_it_has_room_and_time_for() {
    let world = World::new(HubSettings {
        partitions: 1,
        partition_size: 1000,
        retention: 10 * SECOND,
    });
    world.send(Some("0"), None, 100);
    let kept = world.read("0", &Position::Oldest);
    assert!(kept.len() < 10, "{}", kept.len());
    assert_eq!(kept.last().map(|event| event.sequence), Some(99));
    let described = world.hubs.partition("hub", "0").unwrap();
    assert_eq!(described.begin_sequence_number, kept[0].sequence);
    assert_eq!(
        (described.last_sequence_number, described.is_empty),
        (99, false)
    );
    world.clock.advance(11 * SECOND);
    world.send(Some("0"), None, 1);
    assert_eq!(world.sequences(&Position::Oldest), [100]);
}

#[test]
fn a_reader_at_the_end_is_woken_by_the_next_event() {
    let world = World::two_partitions();
    assert!(world.read("0", &Position::Next).is_empty());
    world.send(Some("0"), None, 1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    // Ends at once, because the waker was told.
    runtime.block_on(world.waker.notified());
}
