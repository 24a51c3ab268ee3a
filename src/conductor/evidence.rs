//! What is known of the targets of a run: lines decide, events only show.

use std::{collections::HashSet, sync::Arc, time::Instant};

use jiff::Timestamp;

use super::{Error, Site};
use crate::{
    clock::Moment,
    events::Feed,
    monitor::{Monitor, Progress, Verdict},
    protocol::{Event, EventKind, JobSpec, ResultLine, State, Target, TargetKey},
    storage::ResultReader,
};

/// Events that are taken in between two looks at the lines.
const AT_ONCE: usize = 2_000;

/// The lines of all workers and of the conductor, merged.
pub(super) struct Evidence {
    monitor: Monitor,
    results: ResultReader,
    feed: Option<Feed>,
    /// When something was last heard of a target.
    stirred: Moment,
}

impl Evidence {
    /// Begins with the first line.
    pub(super) async fn new(site: &Site, job: &JobSpec, targets: Vec<(TargetKey, Target)>) -> Self {
        let feed = match site.events.subscribe(Timestamp::now()).await {
            Ok(feed) => Some(feed),
            Err(error) => {
                log::warn!("progress is shown by results alone: {error}");
                None
            }
        };
        Self {
            monitor: Monitor::new(job.run_id, targets),
            results: ResultReader::new(Arc::clone(&site.storage), &site.paths),
            feed,
            stirred: Moment::now(),
        }
    }

    /// Takes in what is new. A storage that fails for a moment is no error: the next call goes on.
    pub(super) async fn read(&mut self) -> Result<(), crate::storage::Error> {
        self.take_events().await;
        let (monitor, now) = (&mut self.monitor, Instant::now());
        let count = self.results.read(|line| monitor.record(line, now)).await?;
        if count > 0 {
            self.stirred = Moment::now();
        }
        Ok(())
    }

    async fn take_events(&mut self) {
        for _ in 0..AT_ONCE {
            let Some(feed) = &mut self.feed else { return };
            tokio::select! {
                biased;
                event = feed.next() => match event {
                    Some(event) => self.observe(event),
                    None => self.feed = None,
                },
                () = std::future::ready(()) => return,
            }
        }
    }

    /// The line of an event is not stored yet for certain: it only says that the target runs no more.
    fn observe(&mut self, event: Event) {
        self.stirred = Moment::now();
        if !matches!(event.kind, EventKind::Finished { .. }) {
            self.monitor.observe(event, Instant::now());
        }
    }

    pub(super) fn progress(&self) -> Progress {
        self.monitor.progress(Instant::now())
    }

    pub(super) fn is_complete(&self) -> bool {
        self.monitor.is_complete()
    }

    /// The targets without a final line.
    pub(super) fn unsettled(&self) -> Vec<(TargetKey, Target)> {
        let unsettled = self.monitor.unsettled();
        unsettled
            .map(|(key, target)| (key.clone(), target.clone()))
            .collect()
    }

    /// The state of a target that has a final line.
    pub(super) fn state_of(&self, key: &TargetKey) -> Option<State> {
        self.monitor.state_of(key)
    }

    /// When something was last heard of a target.
    pub(super) fn stirred(&self) -> Moment {
        self.stirred
    }

    /// Something was done that targets need time to answer.
    pub(super) fn stir(&mut self) {
        self.stirred = Moment::now();
    }

    /// Takes in what is known without a line in the storage.
    pub(super) fn record(&mut self, line: ResultLine) {
        self.monitor.record(line, Instant::now());
    }

    pub(super) fn verdict(self) -> Verdict {
        self.monitor.verdict()
    }
}

/// The targets of which some line in the storage says that a build began, in this opening of the run.
pub(super) async fn started(site: &Site) -> Result<HashSet<TargetKey>, Error> {
    let mut started = HashSet::new();
    let mut reader = ResultReader::new(Arc::clone(&site.storage), &site.paths);
    reader
        .read(|line| {
            if line.state != State::Skipped {
                started.insert(line.key);
            }
        })
        .await?;
    Ok(started)
}

/// What earlier openings of the run have said of its targets for good, merged; and the targets that they began without saying
/// how it ended.
pub(super) async fn earlier(site: &Site) -> Result<Earlier, Error> {
    let mut earlier = Earlier::default();
    let mut reader = ResultReader::of(Arc::clone(&site.storage), site.paths.earlier());
    reader.read(|line| earlier.note(line)).await?;
    Ok(earlier)
}

/// See [`earlier`].
#[derive(Debug, Default)]
pub(super) struct Earlier {
    finals: std::collections::HashMap<TargetKey, ResultLine>,
    begun: HashSet<TargetKey>,
}

impl Earlier {
    fn note(&mut self, line: ResultLine) {
        if !line.is_final {
            self.begun.insert(line.key);
            return;
        }
        if line.state == State::Skipped {
            return;
        }
        let merged = match self.finals.remove(&line.key) {
            Some(held) => crate::protocol::merge(held, line),
            None => line,
        };
        self.finals.insert(merged.key.clone(), merged);
    }

    /// Its last word on a target that was not touched since.
    pub(super) fn word(&mut self, key: &TargetKey) -> Option<ResultLine> {
        self.finals.remove(key)
    }

    /// Whether a build of it began and nobody knows how it ended.
    pub(super) fn is_open(&self, key: &TargetKey) -> bool {
        self.begun.contains(key) && !self.finals.contains_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::fixtures::line;

    #[test]
    fn the_last_word_of_an_earlier_opening_is_what_it_said_for_good() {
        let mut earlier = Earlier::default();
        let mut begun = line("s", "a", State::Unknown);
        begun.is_final = false;
        let mut lost = line("s", "b", State::Unknown);
        lost.is_final = false;
        let keys = (begun.key.clone(), lost.key.clone());
        let skipped = line("s", "c", State::Skipped);
        let (skipped_key, rolled_back) = (skipped.key.clone(), line("s", "a", State::RolledBack));
        for line in [
            begun,
            rolled_back,
            line("s", "a", State::Committed),
            lost,
            skipped,
        ] {
            earlier.note(line);
        }
        assert!(!earlier.is_open(&keys.0));
        assert_eq!(earlier.word(&keys.0).unwrap().state, State::Committed);
        assert!(earlier.is_open(&keys.1) && earlier.word(&keys.1).is_none());
        assert!(!earlier.is_open(&skipped_key) && earlier.word(&skipped_key).is_none());
    }
}
