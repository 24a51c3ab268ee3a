//! What is known of the targets of a run: lines decide, events only show.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::time::sleep;
use uuid::Uuid;

use super::{Error, Site};
use crate::{
    clock::Moment,
    events::Feed,
    monitor::{Monitor, Progress, Verdict},
    protocol::{Event, EventKind, JobSpec, ResultLine, State, Target, TargetKey, merge},
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

/// How long a storage that fails is asked again for what has to be known.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause after a failure.
const PAUSE: Duration = Duration::from_millis(500);

/// The targets of which some line in the storage says that a build began, in this opening of the run.
pub(super) async fn started(site: &Site) -> Result<HashSet<TargetKey>, Error> {
    let mut started = HashSet::new();
    let mut reader = ResultReader::new(Arc::clone(&site.storage), &site.paths);
    patiently(&mut reader, |line| {
        if line.state != State::Skipped {
            started.insert(line.key);
        }
    })
    .await?;
    Ok(started)
}

/// What earlier openings of the run have said of its targets.
pub(super) async fn earlier(site: &Site) -> Result<Earlier, Error> {
    let mut earlier = Earlier::default();
    let mut reader = ResultReader::of(Arc::clone(&site.storage), site.paths.earlier());
    patiently(&mut reader, |line| earlier.note(line)).await?;
    Ok(earlier)
}

/// Reads to the end. Lines may come twice.
async fn patiently(
    reader: &mut ResultReader,
    mut take: impl FnMut(ResultLine) + Send,
) -> Result<(), Error> {
    let until = Moment::now() + PATIENCE;
    loop {
        match reader.read(&mut take).await {
            Ok(_) => return Ok(()),
            Err(error) if until.has_passed() => return Err(error.into()),
            Err(error) => log::warn!("result lines cannot be read yet: {error}"),
        }
        sleep(PAUSE).await;
    }
}

/// What earlier openings of the run have said of its targets, in whatever order their lines are read.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    targets: HashMap<TargetKey, Told>,
}

#[derive(Debug, Default)]
struct Told {
    /// The last words, merged.
    word: Option<ResultLine>,
    begun: Vec<Uuid>,
    /// The attempts that told their end for good.
    ended: Vec<Uuid>,
}

impl Earlier {
    fn note(&mut self, line: ResultLine) {
        if line.state == State::Skipped {
            return;
        }
        let told = self.targets.entry(line.key.clone()).or_default();
        let attempts = if line.is_final {
            &mut told.ended
        } else {
            &mut told.begun
        };
        if !attempts.contains(&line.attempt_id) {
            attempts.push(line.attempt_id);
        }
        if line.is_final {
            told.word = Some(match told.word.take() {
                Some(held) => merge(held, line),
                None => line,
            });
        }
    }

    /// Their last word on a target that was not touched since.
    pub(super) fn word(&mut self, key: &TargetKey) -> Option<ResultLine> {
        self.targets.get_mut(key)?.word.take()
    }

    /// Whether an attempt at it has begun and not told its end for good: only its ledgers know whether that one has committed.
    pub(super) fn is_open(&self, key: &TargetKey) -> bool {
        let Some(told) = self.targets.get(key) else {
            return false;
        };
        let is_committed = told
            .word
            .as_ref()
            .is_some_and(|line| matches!(line.state, State::Committed | State::AlreadyCommitted));
        !is_committed && told.begun.iter().any(|begun| !told.ended.contains(begun))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::fixtures::line;

    fn attempt(database: &str, state: State, is_final: bool, id: u128) -> ResultLine {
        let mut line = line("s", database, state);
        line.is_final = is_final;
        line.attempt_id = Uuid::from_u128(id);
        line
    }

    #[test]
    fn the_last_word_of_an_earlier_opening_is_what_it_said_for_good() {
        let lines = [
            attempt("a", State::RolledBack, true, 1),
            attempt("a", State::Unknown, false, 1),
            attempt("b", State::Unknown, false, 2),
            attempt("c", State::Skipped, true, 0),
            attempt("d", State::Committed, true, 3),
            attempt("d", State::Unknown, false, 4),
        ];
        let keys = [0, 2, 3, 4].map(|place: usize| lines[place].key.clone());
        let mut earlier = Earlier::default();
        for line in lines {
            earlier.note(line);
        }
        assert_eq!(
            keys.clone().map(|key| earlier.is_open(&key)),
            [false, true, false, false]
        );
        let words = keys.map(|key| earlier.word(&key).map(|line| line.state));
        assert_eq!(
            words,
            [Some(State::RolledBack), None, None, Some(State::Committed)]
        );
    }

    #[test]
    fn a_build_that_began_after_the_last_word_may_have_committed() {
        let mut earlier = Earlier::default();
        let first = attempt("a", State::RolledBack, true, 1);
        let key = first.key.clone();
        for line in [
            attempt("a", State::Unknown, false, 1),
            attempt("a", State::Unknown, false, 2),
            first,
        ] {
            earlier.note(line);
        }
        assert!(earlier.is_open(&key));
    }
}
