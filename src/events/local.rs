//! Events in the storage of a run, for workers and watchers in several processes.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{
    EventReader, Events, Feed, FeedError,
    outbox::{COLLECT, Outbox, Waiting},
};
use crate::{
    protocol::{Event, RunPaths},
    storage::{self, FULL, Journal, LineReader, Storage},
};

/// The bytes that are written at once.
const GROUP: usize = 256 * 1024;

/// A batch is tried this often; then it is lost.
const TRIES: u32 = 3;

/// One try takes this long at most.
const ONE_TRY: Duration = Duration::from_secs(10);

/// How often a feed looks for more.
const LOOK: Duration = Duration::from_millis(300);

/// Events that a feed has read ahead.
const AHEAD: usize = 1_000;

/// Stores the events of one worker.
#[derive(Debug)]
pub struct LocalEvents(Outbox);

impl LocalEvents {
    /// A task of the present runtime writes what is published.
    pub fn new(storage: Arc<dyn Storage>, paths: &RunPaths, worker: &str) -> Self {
        let journal = Journal::new(storage, paths.events_of(worker), FULL);
        let place = format!("events {journal}");
        Self(Outbox::new(place, |waiting, dropped| {
            write(journal, waiting, dropped)
        }))
    }
}

impl fmt::Display for LocalEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl Events for LocalEvents {
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

/// Writes until nobody publishes any more.
async fn write(mut journal: Journal, mut waiting: Waiting, dropped: Arc<AtomicU64>) {
    let mut events = Vec::new();
    while waiting.collect(&mut events).await {
        for group in groups(&events) {
            let GroupOfLines { lines, count } = group;
            if let Err(why) = append(&mut journal, &lines).await
                && dropped.fetch_add(count, Ordering::Relaxed) == 0
            {
                log::warn!("events are lost: {why}");
            }
        }
        events.clear();
    }
}

/// Lines that are written at once.
#[derive(Debug, Default)]
struct GroupOfLines {
    lines: Vec<u8>,
    count: u64,
}

fn groups(events: &[Event]) -> Vec<GroupOfLines> {
    let mut groups: Vec<GroupOfLines> = Vec::new();
    for event in events {
        let Ok(line) = serde_json::to_vec(event) else {
            continue;
        };
        let fits = |group: &&mut GroupOfLines| group.lines.len() + line.len() < GROUP;
        let group = match groups.last_mut().filter(fits) {
            Some(group) => group,
            None => groups.push_mut(GroupOfLines::default()),
        };
        group.lines.extend_from_slice(&line);
        group.lines.push(b'\n');
        group.count += 1;
    }
    groups
}

/// Tries a few times; why it did not succeed.
async fn append(journal: &mut Journal, lines: &[u8]) -> Result<(), String> {
    let mut pause = COLLECT;
    let mut tries = 1;
    loop {
        let why = match timeout(ONE_TRY, journal.append(lines)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("{journal} does not answer"),
        };
        if tries == TRIES {
            return Err(why);
        }
        sleep(pause).await;
        pause *= 4;
        tries += 1;
    }
}

/// Reads what the workers of one run have stored.
#[derive(Clone, Debug)]
pub struct LocalEventReader {
    storage: Arc<dyn Storage>,
    prefix: String,
    run_id: Uuid,
}

impl LocalEventReader {
    /// Nothing is read before somebody subscribes.
    pub fn new(storage: Arc<dyn Storage>, run_id: Uuid) -> Self {
        Self {
            storage,
            prefix: RunPaths::new(run_id).events(),
            run_id,
        }
    }
}

impl fmt::Display for LocalEventReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "events {}* in {}", self.prefix, self.storage)
    }
}

#[async_trait]
impl EventReader for LocalEventReader {
    async fn subscribe(&self, since: Timestamp) -> Result<Feed, FeedError> {
        let mut lines = LineReader::new(Arc::clone(&self.storage), self.prefix.clone());
        // Whether the storage can be read is found out now.
        let first = lines.next().await?;
        let (sender, events) = mpsc::channel(AHEAD);
        let follower = Follower {
            lines,
            run_id: self.run_id,
            since,
            events: sender,
        };
        Ok(Feed {
            events,
            _reader: AbortOnDropHandle::new(tokio::spawn(follower.run(first))),
        })
    }
}

/// Hands the events of one feed on.
struct Follower {
    lines: LineReader,
    run_id: Uuid,
    since: Timestamp,
    events: mpsc::Sender<Event>,
}

impl Follower {
    async fn run(mut self, first: Option<Vec<bytes::Bytes>>) {
        let mut failed = false;
        let mut next: Result<_, storage::Error> = Ok(first);
        loop {
            match next {
                Ok(Some(lines)) => {
                    failed = false;
                    if !self.hand_on(lines).await {
                        return;
                    }
                }
                Ok(None) => sleep(LOOK).await,
                Err(error) => {
                    if !failed {
                        log::warn!("events cannot be read at the moment: {error}");
                    }
                    failed = true;
                    sleep(LOOK * 10).await;
                }
            }
            next = self.lines.next().await;
        }
    }

    /// Whether somebody still listens.
    async fn hand_on(&mut self, lines: Vec<bytes::Bytes>) -> bool {
        for line in lines {
            match serde_json::from_slice::<Event>(&line) {
                Ok(event) if event.run_id != self.run_id || event.at < self.since => {}
                Ok(event) => {
                    if self.events.send(event).await.is_err() {
                        return false;
                    }
                }
                Err(_) => self.lines.skip(),
            }
        }
        true
    }
}
