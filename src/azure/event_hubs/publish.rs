//! Publishing: what a worker says waits in a short queue, and never keeps it waiting.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use fe2o3_amqp::{Sendable, Sender};
use fe2o3_amqp_types::messaging::{
    ApplicationProperties, Batch, Data, Message, MessageAnnotations, Outcome, Properties,
    annotations::OwnedKey,
};
use serde_amqp::Value;
use tokio::time::{sleep, timeout};

use super::{Hub, form};
use crate::{
    azure::amqp::{BATCH_FORMAT, Connection, Error, Session, encode, pause, symbol},
    events::{Events, Outbox, Waiting},
    protocol::Event,
};

/// What a link takes that does not say it, and what is left free in a batch for its frame, and for each event in it.
const USUAL: usize = 256 * 1024;
const ENVELOPE: usize = 1_024;
const SECTION: usize = 16;

/// A batch is tried this often; then it is lost.
const TRIES: u32 = 4;

/// One try takes this long at most.
const ONE_TRY: Duration = Duration::from_secs(20);

/// Publishes the events of one worker, in order.
#[derive(Debug)]
pub struct HubEvents(Outbox);

impl HubEvents {
    /// A task of the present runtime sends what is published.
    pub fn new(hub: Arc<Hub>, job: &str, worker: &str) -> Self {
        let place = format!("events in {hub}");
        Self(Outbox::new(place, |waiting, dropped| {
            let writer = Writer {
                hub,
                job: job.to_lowercase(),
                worker: worker.to_owned(),
                // One partition for each worker, so that its events stay in order.
                key: uuid::Uuid::new_v4().simple().to_string(),
                dropped,
                link: None,
            };
            writer.run(waiting)
        }))
    }
}

impl fmt::Display for HubEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl Events for HubEvents {
    fn publish(&self, event: Event) {
        self.0.publish(event);
    }

    fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

/// A link to the hub.
struct Link {
    sender: Sender,
    connection: Arc<Connection>,
    _session: Session,
}

/// Sends until nobody publishes any more.
struct Writer {
    hub: Arc<Hub>,
    job: String,
    worker: String,
    key: String,
    dropped: Arc<AtomicU64>,
    link: Option<Link>,
}

impl Writer {
    async fn run(mut self, mut waiting: Waiting) {
        let mut events = Vec::new();
        while waiting.collect(&mut events).await {
            let bodies: Vec<Vec<u8>> = events
                .drain(..)
                .filter_map(|event| self.body(&event))
                .collect();
            let mut left = &bodies[..];
            while !left.is_empty() {
                let sent = self.send_some(left).await;
                left = left.get(sent..).unwrap_or_default();
            }
        }
        if let Some(link) = self.link {
            drop(timeout(ONE_TRY, link.sender.close()).await);
        }
    }

    /// An event as it stands in a batch.
    fn body(&self, event: &Event) -> Option<Vec<u8>> {
        let line = form::write(event, &self.job, &self.worker)?;
        let kind = ApplicationProperties::builder()
            .insert("Type", "SbmEvent")
            .build();
        encode(
            Some(&self.annotations()),
            &Properties::default(),
            &kind,
            line,
        )
        .ok()
    }

    fn annotations(&self) -> MessageAnnotations {
        let key = OwnedKey::Symbol(symbol("x-opt-partition-key"));
        MessageAnnotations::builder()
            .insert(key, Value::String(self.key.clone()))
            .build()
    }

    /// Sends, or loses, as many as fit in one batch; how many that were.
    async fn send_some(&mut self, bodies: &[Vec<u8>]) -> usize {
        let mut tries = 1;
        loop {
            let (count, why) = match timeout(ONE_TRY, self.try_some(bodies)).await {
                Ok(Ok(count)) => return count,
                Ok(Err((count, error))) => (count, error),
                Err(_) => (1, Error::timed_out("a batch of events")),
            };
            // Whatever was wrong, a new link may do better.
            if let Some(link) = self.link.take()
                && matches!(why, Error::TimedOut { .. })
            {
                link.connection.give_up();
            }
            if tries == TRIES {
                self.lose(count, &why);
                return count;
            }
            sleep(pause(tries)).await;
            tries += 1;
        }
    }

    fn lose(&self, count: usize, why: &Error) {
        let lost = u64::try_from(count).unwrap_or(u64::MAX);
        if self.dropped.fetch_add(lost, Ordering::Relaxed) == 0 {
            log::warn!("events are lost: {}: {why}", self.hub);
        }
    }

    /// Sends as many as fit; when it fails, with how many it has tried.
    async fn try_some(&mut self, bodies: &[Vec<u8>]) -> Result<usize, (usize, Error)> {
        if self.link.is_none() {
            self.link = Some(self.open().await.map_err(|error| (bodies.len(), error))?);
        }
        let Some(link) = &mut self.link else {
            return Err((bodies.len(), Error::lost("there is no link")));
        };
        let limit = link.sender.max_message_size();
        let limit = limit
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(USUAL);
        let count = fitting(bodies, limit);
        let envelope = envelope(self.key.clone(), bodies.get(..count).unwrap_or_default());
        match link.sender.send(envelope).await {
            Ok(Outcome::Accepted(_)) => Ok(count),
            Ok(Outcome::Rejected(rejected)) => {
                let error = rejected.error.map(Error::from);
                Err((
                    count,
                    error.unwrap_or_else(|| Error::lost("it was rejected")),
                ))
            }
            Ok(_) => Err((count, Error::lost("it was not accepted"))),
            Err(error) => Err((count, error.into())),
        }
    }

    async fn open(&self) -> Result<Link, Error> {
        let hub = &self.hub;
        let connection = hub.client.connection_for(&hub.name).await?;
        let mut session = connection.session().await?;
        let sender = connection.sender(&mut session, &hub.name).await?;
        Ok(Link {
            sender,
            connection,
            _session: session,
        })
    }
}

/// How many of these fit into one batch; at least one.
fn fitting(bodies: &[Vec<u8>], limit: usize) -> usize {
    let sizes = bodies.iter().scan(ENVELOPE, |size, body| {
        *size += body.len() + SECTION;
        Some(*size)
    });
    sizes.take_while(|size| *size <= limit).count().max(1)
}

fn envelope(key: String, bodies: &[Vec<u8>]) -> Sendable<Batch<Data>> {
    let annotation = OwnedKey::Symbol(symbol("x-opt-partition-key"));
    let annotations = MessageAnnotations::builder()
        .insert(annotation, Value::String(key))
        .build();
    let sections: Vec<Data> = bodies
        .iter()
        .map(|body| Data(body.clone().into()))
        .collect();
    let message = Message::builder()
        .message_annotations(annotations)
        .data_batch(sections)
        .build();
    Sendable::builder()
        .message(message)
        .message_format(BATCH_FORMAT)
        .build()
}
