//! Waves: the next is sent when the one before is settled, failures are within the budget, the soak is over and the probe
//! finds nothing.

use tokio_util::task::AbortOnDropHandle;

use super::{
    Error, Keeper, Site,
    evidence::Evidence,
    probe::probe,
    send::{change_wave, send_wave},
};
use crate::{
    clock::Moment,
    protocol::{Conduct, Early, EndedBy, State, Target, TargetKey, Wave},
    queue,
};

/// Where the run is among its waves.
#[derive(Debug)]
pub(super) struct Waves {
    conduct: Conduct,
    /// When the wave that was sent last was settled.
    settled: Option<Moment>,
    /// The probe of that wave.
    probing: Option<AbortOnDropHandle<Option<String>>>,
}

/// What the waves come to at the moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Targets of the waves that are sent have no final line yet, or a soak goes on.
    Wait,
    /// The next wave was sent.
    Sent,
    /// All waves are sent.
    All,
    /// There must be no further wave.
    Halt(Early),
}

impl Waves {
    pub(super) fn new(conduct: &Conduct) -> Self {
        Self {
            conduct: conduct.clone(),
            settled: None,
            probing: None,
        }
    }

    /// Goes on with the next wave when it is time.
    pub(super) async fn step(
        &mut self,
        site: &Site,
        keeper: &Keeper,
        targets: &[(TargetKey, Target)],
        evidence: &Evidence,
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Step, Error> {
        let waves = keeper.control().await.waves;
        let Some(next) = waves.iter().position(|wave| !wave.enqueued) else {
            return Ok(Step::All);
        };
        // The first wave is sent by whoever enqueues; one that is half sent is sent by whoever finds it.
        let Some(last) = next.checked_sub(1) else {
            return match waves.first() {
                Some(wave) if wave.enqueueing => self.send(site, keeper, next, targets, tell).await,
                _ => Ok(Step::Wait),
            };
        };
        let (begin, end) = bounds(&waves, last);
        let wave = targets.get(begin..end).unwrap_or_default();
        // The count is quick, and enough as long as something is open.
        if evidence.progress().settled() < end {
            return Ok(Step::Wait);
        }
        let is_open = |(key, _): &(TargetKey, Target)| evidence.state_of(key).is_none();
        if wave.iter().any(is_open) {
            return Ok(Step::Wait);
        }
        let Some(settled) = self.settled else {
            self.settle(keeper, last, tell).await?;
            return Ok(Step::Wait);
        };
        if let Some(halt) = self.over_budget(evidence, targets.get(..end).unwrap_or_default()) {
            return Ok(Step::Halt(halt));
        }
        if settled.elapsed() < self.conduct.soak {
            return Ok(Step::Wait);
        }
        match self.probe(site, evidence, wave).await {
            Probed::Asking => return Ok(Step::Wait),
            Probed::Bad(why) => {
                let why = format!("between wave {} and {}: {why}", last + 1, next + 1);
                return Ok(Step::Halt(halted(why)));
            }
            Probed::Good => {}
        }
        self.settled = None;
        self.send(site, keeper, next, targets, tell).await
    }

    async fn settle(
        &mut self,
        keeper: &Keeper,
        last: usize,
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), Error> {
        change_wave(keeper, last, |wave| wave.settled = true).await?;
        self.settled = Some(Moment::now());
        if !self.conduct.soak.is_zero() {
            tell(&format!(
                "wave {} is settled; the next begins after {} s",
                last + 1,
                self.conduct.soak.as_secs()
            ));
        }
        Ok(())
    }

    async fn send(
        &mut self,
        site: &Site,
        keeper: &Keeper,
        next: usize,
        targets: &[(TargetKey, Target)],
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Step, Error> {
        let sent = send_wave(site, keeper, next, targets).await;
        match sent {
            Ok(()) => {
                tell(&format!("wave {} begins", next + 1));
                Ok(Step::Sent)
            }
            Err(Error::Queue(queue::Error::Closed { .. })) => Ok(Step::Halt(Early {
                by: EndedBy::Cancelled,
                why: "somebody has closed the queue".to_owned(),
            })),
            Err(error) => Err(error),
        }
    }

    /// A share counts of the targets that were sent, not of all: else a first wave of failures would be a small share.
    fn over_budget(&self, evidence: &Evidence, sent: &[(TargetKey, Target)]) -> Option<Early> {
        let failed = |(key, _): &&(TargetKey, Target)| {
            let state = evidence.state_of(key);
            state.is_some_and(|state| !state.is_success() && state != State::Skipped)
        };
        let failed = sent.iter().filter(failed).count();
        let budget = self.conduct.max_failures?;
        budget
            .exceeded(failed, sent.len())
            .then(|| halted(format!(
                "{failed} of the {} targets of the first waves failed, and --maxfailures is {budget}",
                sent.len()
            )))
    }

    /// A probe of many databases takes its time, in which a signal must be heard: it is a task of its own.
    async fn probe(
        &mut self,
        site: &Site,
        evidence: &Evidence,
        wave: &[(TargetKey, Target)],
    ) -> Probed {
        let Some(query) = self.conduct.probe.clone() else {
            return Probed::Good;
        };
        let Some(engine) = site.engine.clone() else {
            return Probed::Bad("the probe cannot be asked from here".to_owned());
        };
        let Some(task) = &mut self.probing else {
            let good = wave.iter().filter(|(key, _)| {
                let state = evidence.state_of(key);
                state.is_some_and(State::is_success)
            });
            let good = good.map(|(_, target)| target.clone()).collect();
            let task = tokio::spawn(async move { probe(&engine, &query, good).await });
            self.probing = Some(AbortOnDropHandle::new(task));
            return Probed::Asking;
        };
        if !task.is_finished() {
            return Probed::Asking;
        }
        let answer = task.await;
        self.probing = None;
        match answer {
            Ok(None) => Probed::Good,
            Ok(Some(why)) => Probed::Bad(why),
            Err(error) => Probed::Bad(format!("the probe broke down: {error}")),
        }
    }
}

/// What the probe of a wave has come to.
enum Probed {
    Asking,
    Good,
    Bad(String),
}

pub(super) fn halted(why: String) -> Early {
    Early {
        by: EndedBy::Halted,
        why,
    }
}

/// The places of the targets of a wave.
fn bounds(waves: &[Wave], number: usize) -> (usize, usize) {
    let before = waves.iter().take(number).map(|wave| wave.targets);
    let begin: usize = before.sum();
    let targets = waves.get(number).map_or(0, |wave| wave.targets);
    (begin, begin + targets)
}

/// How many targets the waves have that are sent, wholly or in part.
pub(super) fn sent(waves: &[Wave]) -> usize {
    let sent = waves.iter().filter(|wave| wave.enqueueing);
    sent.map(|wave| wave.targets).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_lie_one_behind_the_other() {
        let wave = |targets, enqueueing| Wave {
            targets,
            enqueueing,
            ..Wave::default()
        };
        let waves = [wave(1, true), wave(4, true), wave(5, false)];
        assert_eq!(bounds(&waves, 0), (0, 1));
        assert_eq!(bounds(&waves, 1), (1, 5));
        assert_eq!(bounds(&waves, 2), (5, 10));
        assert_eq!(sent(&waves), 5);
    }
}
