//! Reading: all partitions at once, each from a time on and then from where it stopped.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use fe2o3_amqp::Receiver;
use fe2o3_amqp_types::{
    definitions::Fields,
    messaging::{Body, Message, Source, annotations::OwnedKey},
};
use jiff::Timestamp;
use serde_amqp::{Value, described::Described, descriptor::Descriptor};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{
    Hub,
    form::{self, Read},
};
use crate::{
    azure::amqp::{Connection, Error, OPERATION, Session, bytes_of, pause, symbol, text},
    events::{EventReader, Feed, FeedError},
    protocol::Event,
};

/// The group that every hub has.
const GROUP: &str = "$Default";

/// Events that a feed has read ahead, and events that may be on their way from each partition.
const AHEAD: usize = 1_000;
const CREDIT: u32 = 300;

/// How far the clocks of workers and of the service may differ.
const SKEW: Duration = Duration::from_secs(300);

/// Reads the events of one run. Any number of readers may read the same.
#[derive(Clone, Debug)]
pub struct HubEventReader {
    hub: Arc<Hub>,
    run_id: Uuid,
    group: String,
    malformed: Arc<AtomicU64>,
}

impl HubEventReader {
    /// Nothing is read before somebody subscribes. `group` is a consumer group that is there already; the one that every hub has
    /// when none, which five readers may share.
    pub fn new(hub: Arc<Hub>, run_id: Uuid, group: Option<&str>) -> Self {
        Self {
            hub,
            run_id,
            group: group.unwrap_or(GROUP).to_owned(),
            malformed: Arc::default(),
        }
    }

    /// How much was read that is no event at all.
    pub fn malformed(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }
}

impl fmt::Display for HubEventReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "events of run {} in {}", self.run_id, self.hub)
    }
}

#[async_trait]
impl EventReader for HubEventReader {
    async fn subscribe(&self, since: Timestamp) -> Result<Feed, FeedError> {
        let failed = |error: Error| FeedError::Service {
            place: self.to_string(),
            source: error.into(),
        };
        let partitions = self.hub.partitions().await.map_err(failed)?;
        let (sender, events) = mpsc::channel(AHEAD);
        let mut readers = JoinSet::new();
        for name in partitions {
            let mut partition = Partition {
                reader: self.clone(),
                name,
                since,
                offset: None,
                events: sender.clone(),
            };
            // Whether it can be read is found out now.
            let link = partition.open().await.map_err(failed)?;
            readers.spawn(partition.run(link));
        }
        let all = tokio::spawn(async move { while readers.join_next().await.is_some() {} });
        Ok(Feed::new(events, AbortOnDropHandle::new(all)))
    }
}

/// One partition of a feed.
struct Partition {
    reader: HubEventReader,
    name: String,
    since: Timestamp,
    /// Of the last event that was read.
    offset: Option<String>,
    events: mpsc::Sender<Event>,
}

/// A link from it.
struct Link {
    receiver: Receiver,
    connection: Arc<Connection>,
    _session: Session,
}

impl Partition {
    /// Reads for as long as somebody listens.
    async fn run(mut self, link: Link) {
        let mut link = Some(link);
        let mut failures = 0;
        loop {
            let ended = match link.take() {
                Some(open) => {
                    failures = 0;
                    self.follow(open).await
                }
                None => match self.open().await {
                    Ok(open) => {
                        link = Some(open);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            let Err(error) = ended else {
                return;
            };
            failures += 1;
            if failures == 2 {
                log::warn!("{} cannot be read at the moment: {error}", self.reader);
            }
            tokio::select! {
                () = sleep(pause(failures)) => {}
                () = self.events.closed() => return,
            }
        }
    }

    async fn open(&mut self) -> Result<Link, Error> {
        let Hub { client, name } = &*self.reader.hub;
        let group = &self.reader.group;
        let entity = format!("{name}/ConsumerGroups/{group}/Partitions/{}", self.name);
        let connection = client.connection_for(&entity).await?;
        let mut session = connection.session().await?;
        let source = Source::builder()
            .address(&*entity)
            .add_to_filter(symbol(SELECTOR), selector(&self.position()))
            .build();
        let attached =
            connection.receiver(&mut session, source, Fields::default(), true, OPERATION);
        let receiver = attached.await?;
        Ok(Link {
            receiver,
            connection,
            _session: session,
        })
    }

    /// Where to begin, in the service's words.
    fn position(&self) -> String {
        match &self.offset {
            Some(offset) => format!("amqp.annotation.x-opt-offset > '{offset}'"),
            None => {
                let since = self.since.as_millisecond();
                let skew = i64::try_from(SKEW.as_millis()).unwrap_or(0);
                let from = since.saturating_sub(skew).max(0);
                format!("amqp.annotation.x-opt-enqueued-time > '{from}'")
            }
        }
    }

    /// Hands on what comes until nobody listens, or until the link ends.
    async fn follow(&mut self, mut link: Link) -> Result<(), Error> {
        let mut left = 0;
        loop {
            if left <= CREDIT / 2 {
                left = CREDIT;
                link.receiver
                    .set_credit(CREDIT)
                    .await
                    .map_err(Error::lost)?;
            }
            let delivery = tokio::select! {
                delivery = link.receiver.recv::<Body<Value>>() => delivery?,
                () = link.connection.ended() => return Err(Error::lost("it has ended")),
                () = self.events.closed() => return Ok(()),
            };
            left -= 1;
            let message = delivery.into_message();
            if let Some(offset) = offset(&message) {
                self.offset = Some(offset);
            }
            if !self.hand_on(message.body).await {
                return Ok(());
            }
        }
    }

    /// Whether somebody still listens.
    async fn hand_on(&self, body: Body<Value>) -> bool {
        let read = bytes_of(body).map_or(Read::Malformed, |bytes| form::read(&bytes));
        match read {
            Read::Event(event) if event.run_id == self.reader.run_id && event.at >= self.since => {
                self.events.send(*event).await.is_ok()
            }
            Read::Malformed => {
                self.reader.malformed.fetch_add(1, Ordering::Relaxed);
                true
            }
            Read::Event(_) | Read::Foreign => true,
        }
    }
}

/// The name and the code of the filter that says where to begin.
const SELECTOR: &str = "apache.org:selector-filter:string";
const SELECTOR_CODE: u64 = 0x0000_468c_0000_0004;

fn selector(position: &str) -> Described<Value> {
    Described {
        descriptor: Descriptor::Code(SELECTOR_CODE),
        value: Value::String(position.to_owned()),
    }
}

fn offset(message: &Message<Body<Value>>) -> Option<String> {
    let annotations = message.message_annotations.as_ref()?;
    let named =
        |name: &OwnedKey| matches!(name, OwnedKey::Symbol(name) if name.as_str() == "x-opt-offset");
    let (_, value) = annotations.0.iter().find(|(name, _)| named(name))?;
    text(value).map(str::to_owned)
}
