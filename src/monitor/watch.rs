//! The monitor: one line of evidence per target, and what is running.

use std::{
    collections::{BTreeMap, HashMap, hash_map},
    mem,
    time::Instant,
};

use jiff::Timestamp;
use uuid::Uuid;

use super::{Failure, Progress, Running, Verdict, rate::Rate};
use crate::protocol::{Event, EventKind, ResultLine, State, Target, TargetKey, merge};

/// Watches one run.
///
/// Taking an event in costs the logarithm of what is running, however many targets there are. There is no clock inside:
/// `now` is handed in.
#[derive(Clone, Debug)]
pub struct Monitor {
    run_id: Uuid,
    entries: Vec<Entry>,
    index: HashMap<TargetKey, usize>,
    /// What runs, ordered by start.
    running: BTreeMap<(Instant, usize), Current>,
    settled: Settled,
    rate: Rate,
    latest_failure: Option<Failure>,
    ignored: Ignored,
}

/// Events that were not taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// They belong to another run.
    pub other_runs: u64,
    /// They name a target that this run does not have, or two targets at once.
    pub unknown_targets: u64,
}

impl Monitor {
    /// Watches `targets`, whose order the verdict keeps. A key that comes twice counts once.
    pub fn new(run_id: Uuid, targets: impl IntoIterator<Item = (TargetKey, Target)>) -> Self {
        let targets = targets.into_iter();
        let mut monitor = Self {
            run_id,
            entries: Vec::with_capacity(targets.size_hint().0),
            index: HashMap::with_capacity(targets.size_hint().0),
            running: BTreeMap::new(),
            settled: Settled::default(),
            rate: Rate::default(),
            latest_failure: None,
            ignored: Ignored::default(),
        };
        for (key, target) in targets {
            if let hash_map::Entry::Vacant(place) = monitor.index.entry(key) {
                let line = no_evidence(run_id, place.key().clone(), target);
                place.insert(monitor.entries.len());
                monitor.entries.push(Entry {
                    line,
                    running_since: None,
                });
            }
        }
        monitor
    }

    /// Takes an event in. It may come late, more than once, or belong to somebody else.
    pub fn observe(&mut self, event: Event, now: Instant) {
        let Some(index) = self.find(event.run_id, &event.key) else {
            return;
        };
        match event.kind {
            EventKind::Started { name } => self.start(index, name, now),
            EventKind::Script { script } => self.script(index, script, now),
            EventKind::Finished { line } if line.key == event.key => self.record(*line, now),
            EventKind::Finished { .. } => self.ignored.unknown_targets += 1,
        }
    }

    /// Takes a result line in, as it stands in a worker's results or in an event.
    pub fn record(&mut self, mut line: ResultLine, now: Instant) {
        let Some(index) = self.find(line.run_id, &line.key) else {
            return;
        };
        self.rate.begin(now);
        // A line without a state says that an attempt began, not that it ended.
        if line.is_final || line.state != State::Unknown {
            self.stop(index);
        }
        let Some(entry) = self.entries.get_mut(index) else {
            return;
        };
        let before = Group::of(&entry.line);
        // The list of targets is what the user wrote; a worker's copy of it must not change a list for a re-run.
        line.target.clone_from(&entry.line.target);
        let held = mem::replace(&mut entry.line, line.clone());
        entry.line = merge(held, line);
        let after = Group::of(&entry.line);
        self.regroup(index, before, after, now);
    }

    /// How the run stands.
    pub fn progress(&self, now: Instant) -> Progress {
        let total = self.entries.len();
        let left = total - self.settled.sum();
        let current = self
            .running
            .iter()
            .take(Progress::MOST_NAMED)
            .map(|((since, _), current)| Running {
                name: current.name.clone(),
                script: current.script.clone(),
                elapsed: now.saturating_duration_since(*since),
            })
            .collect();
        Progress {
            at: now,
            total,
            committed: self.settled.committed,
            failed: self.settled.failed,
            skipped: self.settled.skipped,
            running: self.running.len(),
            waiting: left.saturating_sub(self.running.len()),
            per_second: self.rate.per_second(now),
            remaining: self.rate.time_for(left, now),
            current,
            latest_failure: self.latest_failure.clone(),
        }
    }

    /// The targets without a final line, in order.
    pub fn unsettled(&self) -> impl Iterator<Item = (&TargetKey, &Target)> {
        self.entries
            .iter()
            .filter(|entry| !entry.line.is_final)
            .map(|entry| (&entry.line.key, &entry.line.target))
    }

    /// The state of a target that has a final line.
    pub fn state_of(&self, key: &TargetKey) -> Option<State> {
        let entry = self.entries.get(*self.index.get(key)?)?;
        entry.line.is_final.then_some(entry.line.state)
    }

    /// Whether every target has a final line.
    pub fn is_complete(&self) -> bool {
        self.settled.sum() == self.entries.len()
    }

    /// What was not taken in.
    pub fn ignored(&self) -> Ignored {
        self.ignored
    }

    /// Ends the watch: one line per target, in order; `Unknown` where there is no final one.
    pub fn verdict(self) -> Verdict {
        Verdict::new(self.entries.into_iter().map(|entry| entry.line).collect())
    }

    fn find(&mut self, run_id: Uuid, key: &TargetKey) -> Option<usize> {
        if run_id != self.run_id {
            self.ignored.other_runs += 1;
            return None;
        }
        let index = self.index.get(key).copied();
        if index.is_none() {
            self.ignored.unknown_targets += 1;
        }
        index
    }

    fn start(&mut self, index: usize, name: String, now: Instant) {
        self.rate.begin(now);
        self.stop(index);
        if let Some(entry) = self.entries.get_mut(index)
            && !entry.line.is_final
        {
            entry.running_since = Some(now);
            let current = Current { name, script: None };
            self.running.insert((now, index), current);
        }
    }

    fn script(&mut self, index: usize, script: String, now: Instant) {
        let Some(entry) = self.entries.get(index) else {
            return;
        };
        // The event that told of the start may have been lost.
        if entry.running_since.is_none() {
            let name = entry.line.target.to_string();
            self.start(index, name, now);
        }
        let since = self
            .entries
            .get(index)
            .and_then(|entry| entry.running_since);
        if let Some(current) = since.and_then(|since| self.running.get_mut(&(since, index))) {
            current.script = Some(script);
        }
    }

    fn stop(&mut self, index: usize) {
        let entry = self.entries.get_mut(index);
        if let Some(since) = entry.and_then(|entry| entry.running_since.take()) {
            self.running.remove(&(since, index));
        }
    }

    fn regroup(&mut self, index: usize, before: Group, after: Group, now: Instant) {
        if before == after {
            return;
        }
        if let Some(count) = self.settled.of(before) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.settled.of(after) {
            *count += 1;
        }
        if before == Group::Open {
            self.rate.add(now);
        }
        if after == Group::Failed {
            self.latest_failure = self.entries.get(index).map(|entry| Failure {
                name: entry.line.target.to_string(),
                state: entry.line.state,
                error: entry.line.errors.first().cloned(),
            });
        }
    }
}

/// The evidence about one target.
#[derive(Clone, Debug)]
struct Entry {
    line: ResultLine,
    running_since: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Current {
    name: String,
    script: Option<String>,
}

/// What the states come to for somebody who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Open,
    Committed,
    Failed,
    Skipped,
}

impl Group {
    fn of(line: &ResultLine) -> Self {
        match line.state {
            _ if !line.is_final => Self::Open,
            State::Skipped => Self::Skipped,
            state if state.is_success() => Self::Committed,
            _ => Self::Failed,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Settled {
    committed: usize,
    failed: usize,
    skipped: usize,
}

impl Settled {
    fn sum(self) -> usize {
        self.committed + self.failed + self.skipped
    }

    fn of(&mut self, group: Group) -> Option<&mut usize> {
        match group {
            Group::Open => None,
            Group::Committed => Some(&mut self.committed),
            Group::Failed => Some(&mut self.failed),
            Group::Skipped => Some(&mut self.skipped),
        }
    }
}

/// The line that every other line outweighs.
fn no_evidence(run_id: Uuid, key: TargetKey, target: Target) -> ResultLine {
    ResultLine {
        version: ResultLine::VERSION,
        run_id,
        key,
        target,
        attempt_id: Uuid::nil(),
        worker: String::new(),
        state: State::Unknown,
        is_final: false,
        started: Timestamp::UNIX_EPOCH,
        finished: Timestamp::UNIX_EPOCH,
        retries: 0,
        errors: Vec::new(),
        warnings: Vec::new(),
        committed: Vec::new(),
        missing: Vec::new(),
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
