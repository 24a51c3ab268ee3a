//! Events that wait to be written, so that whoever publishes them never does.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::protocol::Event;

/// Events that may wait; at some hundred bytes each they cost a few megabytes.
const WAITING: usize = 10_000;

/// Events are collected for this long, so that a busy worker writes a few times a second.
pub(crate) const COLLECT: Duration = Duration::from_millis(200);

/// How long the last events may take.
const LAST: Duration = Duration::from_secs(10);

/// The events of one worker on their way to a task that writes them.
#[derive(Debug)]
pub(crate) struct Outbox {
    place: String,
    queue: Mutex<Option<mpsc::Sender<Event>>>,
    dropped: Arc<AtomicU64>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Outbox {
    /// A task of the present runtime does what `write` says with what waits; it counts what it loses.
    pub(crate) fn new<W>(place: String, write: impl FnOnce(Waiting, Arc<AtomicU64>) -> W) -> Self
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let (queue, receiver) = mpsc::channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = tokio::spawn(write(Waiting(receiver), Arc::clone(&dropped)));
        Self {
            place,
            queue: Mutex::new(Some(queue)),
            dropped,
            writer: Mutex::new(Some(writer)),
        }
    }

    /// Hands over an event at once; one that does not fit is lost, and counted.
    pub(crate) fn publish(&self, event: Event) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = queue
            .as_ref()
            .is_some_and(|queue| queue.try_send(event).is_ok());
        if !sent {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many events were lost.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits for the last events, but not for long, and logs what was lost.
    pub(crate) async fn close(&self) {
        drop(take(&self.queue));
        if let Some(mut writer) = take(&self.writer)
            && timeout(LAST, &mut writer).await.is_err()
        {
            writer.abort();
            log::warn!("{self}: the last events are lost");
        }
        let dropped = self.dropped();
        if dropped > 0 {
            log::warn!("{self}: {dropped} events are lost; results are not concerned");
        }
    }
}

impl fmt::Display for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

fn take<T>(held: &Mutex<Option<T>>) -> Option<T> {
    held.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct Waiting(mpsc::Receiver<Event>);

impl Waiting {
    /// Waits for events, and for a moment for more of them; false when nobody publishes any more.
    pub(crate) async fn collect(&mut self, events: &mut Vec<Event>) -> bool {
        if self.0.recv_many(events, WAITING).await == 0 {
            return false;
        }
        if !self.0.is_closed() {
            sleep(COLLECT).await;
        }
        while let Ok(event) = self.0.try_recv() {
            events.push(event);
        }
        true
    }
}
