//! What a namespace does, by a clock that stands still until it is moved.

mod delivery;
mod entities;
mod filters;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp_types::messaging::{ApplicationProperties, Data, Header, Properties};
use fe2o3_amqp_types::primitives::SimpleValue;
use jiff::Timestamp;
use tokio::sync::Notify;

use super::{
    CorrelationFilter, Delivery, Filter, RuleDescription, ServiceBus, Settlement,
    SubscriptionAddress, SubscriptionSettings, TopicSettings, Wish,
};
use crate::amqp::Refusal;
use crate::amqp::message::Incoming;
use crate::clock::{Clock, ManualClock};

/// The lock that subscriptions of these tests have.
const LOCK: Duration = Duration::from_secs(30);

/// A namespace with the topic `topic`, and its clock.
struct World {
    bus: ServiceBus,
    clock: Arc<ManualClock>,
    waker: Arc<Notify>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(
            Timestamp::from_second(1_800_000_000).unwrap(),
        ));
        let bus = ServiceBus::new(Arc::clone(&clock) as Arc<dyn Clock>);
        bus.create_topic("topic", TopicSettings::default()).unwrap();
        Self {
            bus,
            clock,
            waker: Arc::default(),
        }
    }

    /// A world with the subscription `sub` that takes everything.
    fn with(settings: SubscriptionSettings) -> Self {
        let world = Self::new();
        world.subscribe("sub", settings, None);
        world
    }

    fn subscribe(&self, name: &str, settings: SubscriptionSettings, filter: Option<Filter>) {
        let created_at = self.clock.now();
        let rule = filter.map(|filter| RuleDescription {
            name: name.to_owned(),
            filter,
            created_at,
        });
        self.bus
            .create_subscription("topic", name, settings, rule)
            .unwrap();
    }

    fn send(&self, messages: Vec<Incoming>) -> Vec<i64> {
        self.bus.send("topic", messages).unwrap()
    }

    /// What a receiver with plenty of credit gets.
    fn receive(&self) -> Vec<Delivery> {
        self.receive_by(None).unwrap()
    }

    /// What the holder of a session gets.
    fn receive_by(&self, session: Option<(&str, u64)>) -> Result<Vec<Delivery>, Refusal> {
        let (id, _) = self.bus.find_subscription(&sub()).unwrap();
        let wish = Wish {
            id,
            session,
            forget: false,
            most: 100,
        };
        self.bus.receive(&sub(), wish, &self.waker)
    }

    fn dead_letters(&self) -> Vec<Delivery> {
        let address = SubscriptionAddress {
            dead_letters: true,
            ..sub()
        };
        let (id, _) = self.bus.find_subscription(&address).unwrap();
        self.bus
            .receive(
                &address,
                Wish {
                    id,
                    session: None,
                    forget: true,
                    most: 100,
                },
                &self.waker,
            )
            .unwrap()
    }

    fn settle(&self, delivery: &Delivery, settlement: &Settlement) -> Result<(), Refusal> {
        let (token, _) = delivery.lock.unwrap();
        self.bus
            .in_any_mailbox(&sub(), |mailbox, _| mailbox.settle(token, settlement))
    }

    fn counts(&self) -> (u64, u64) {
        let counts = self.bus.subscription("topic", "sub").unwrap().counts;
        (counts.active, counts.dead_letter)
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

fn sub() -> SubscriptionAddress {
    SubscriptionAddress {
        topic: "topic".to_owned(),
        subscription: "sub".to_owned(),
        dead_letters: false,
    }
}

fn settings() -> SubscriptionSettings {
    SubscriptionSettings {
        lock_duration: LOCK,
        max_delivery_count: 3,
        ..SubscriptionSettings::default()
    }
}

fn by_session() -> SubscriptionSettings {
    SubscriptionSettings {
        requires_session: true,
        ..settings()
    }
}

/// A message with a subject and maybe a session.
fn message(subject: &str, session: Option<&str>) -> Incoming {
    let properties = Properties {
        subject: Some(subject.to_owned()),
        group_id: session.map(str::to_owned),
        ..Properties::default()
    };
    made_of(None, properties, &[])
}

fn made_of(
    header: Option<Header>,
    properties: Properties,
    application: &[(&str, SimpleValue)],
) -> Incoming {
    let mut bytes = header
        .map(|header| serde_amqp::to_vec(&header).unwrap())
        .unwrap_or_default();
    bytes.extend(serde_amqp::to_vec(&properties).unwrap());
    let application = application
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()));
    bytes.extend(serde_amqp::to_vec(&ApplicationProperties(application.collect())).unwrap());
    bytes.extend(serde_amqp::to_vec(&Data(b"body".to_vec().into())).unwrap());
    Incoming::decode(&bytes).unwrap()
}

fn sequences(deliveries: &[Delivery]) -> Vec<i64> {
    deliveries
        .iter()
        .map(|delivery| delivery.message.sequence)
        .collect()
}

fn subject_is(subject: &str) -> Filter {
    Filter::Correlation(Box::new(CorrelationFilter {
        subject: Some(subject.to_owned()),
        ..CorrelationFilter::default()
    }))
}
