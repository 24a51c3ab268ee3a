//! The end of a delivery: its line is kept first, then those who watch are told, then the queue.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    Error,
    deliver::{Deliver, message},
    past,
    results::ResultsError,
};
use crate::{
    engine::Backoff,
    protocol::{EventKind, ResultLine, TargetKey},
    queue,
};

/// A target that was tried this often without a final line stays as its last line says, until it is reconciled.
const MOST_TRIES: u32 = 5;

/// How often the queue is told of the end of a delivery.
const SETTLE_TRIES: u32 = 8;

/// How long a line may still be stored when everything else is dropped.
const LAST_LINES: Duration = Duration::from_secs(5);

/// Reason of a message that names no target of this run.
const NO_TARGET: &str = "NotATarget";

/// What the queue is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The target does not come back.
    Complete,
    /// It comes back, here or elsewhere.
    GiveBack,
    /// The message is none of ours.
    Bury(String),
}

impl Deliver<'_> {
    /// Keeps the line, tells those who watch, and then the queue.
    pub(super) async fn tell(&self, mut line: ResultLine) -> Result<(), Error> {
        let fenced = self.held.is_fenced();
        if fenced && !line.is_final {
            line.warnings.push(
                "the lock of its message was not renewed in time; whoever has the message now builds it".into(),
            );
        }
        if past::is_start(&line) {
            line.errors.push(message("it ended without a word"));
        }
        let kept = self.keep(&line).await;
        let (is_final, target) = (line.is_final, line.target.to_string());
        let key = line.key.clone();
        self.worker.event(
            &key,
            EventKind::Finished {
                line: Box::new(line),
            },
        );
        if let Err(source) = kept {
            // Somebody else finds out from the ledger what this line would have said.
            self.settle(End::GiveBack).await?;
            return Err(Error::Result { target, source });
        }
        let early = fenced || self.held.is_draining();
        let tries = if is_final || early {
            0
        } else {
            self.tries(&key).await
        };
        let end = end_of(is_final, tries, early);
        if end == End::GiveBack && !early {
            self.pause().await;
        }
        self.settle(end).await
    }

    /// How often the target was tried without a last word. How often it was handed out says little where others have given
    /// it back without a try.
    async fn tries(&self, key: &TargetKey) -> u32 {
        let handed_out = self.held.delivery.count;
        if self.context.past.is_none() || handed_out < MOST_TRIES {
            return handed_out;
        }
        // Where it cannot be known, the target comes back.
        let past = self.past(key).await;
        past.map_or(0, |past| {
            u32::try_from(past.without_last_word()).unwrap_or(u32::MAX)
        })
    }

    async fn keep(&self, line: &ResultLine) -> Result<(), ResultsError> {
        let Some(results) = &self.worker.results else {
            return Ok(());
        };
        let too_late = async {
            self.context.shutdown.drop_token().cancelled().await;
            sleep(LAST_LINES).await;
        };
        tokio::select! {
            kept = results.append(line) => kept,
            () = too_late => Err(ResultsError::TooLate),
        }
    }

    /// A target that comes back waits a little first: what is not final is so because something does not answer.
    async fn pause(&self) {
        if !self.context.gate.is_conducted() {
            return;
        }
        let seconds = 1 << self.held.delivery.count.min(3);
        tokio::select! {
            () = sleep(Duration::from_secs(seconds)) => {}
            () = self.held.draining() => {}
        }
    }

    /// Tells the queue. A lock that is lost is no error: whoever has the message now finds what was told.
    pub(super) async fn settle(&self, end: End) -> Result<(), Error> {
        let (queue, held) = (&self.context.queue, self.held);
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(8));
        let mut tries = 1;
        loop {
            held.settle();
            let told = match &end {
                End::Complete => queue.complete(&held.delivery).await,
                End::GiveBack => queue.abandon(&held.delivery).await,
                End::Bury(why) => queue.dead_letter(&held.delivery, NO_TARGET, why).await,
            };
            match told {
                Ok(()) => return Ok(()),
                Err(error @ (queue::Error::LockLost { .. } | queue::Error::Gone { .. })) => {
                    log::info!("{}: not settled: {error}", held.delivery.target);
                    return Ok(());
                }
                Err(error) if tries == SETTLE_TRIES => return Err(Error::Queue(error)),
                Err(error) => log::warn!("{}: not settled yet: {error}", held.delivery.target),
            }
            held.settle_failed();
            tries += 1;
            backoff.wait(self.context.shutdown.drop_token()).await;
        }
    }
}

/// What follows for the message of a target from its line.
///
/// An attempt that ended early goes back for another worker. One that nothing helps does not come back for ever.
fn end_of(is_final: bool, tries: u32, early: bool) -> End {
    if is_final || (!early && tries >= MOST_TRIES) {
        End::Complete
    } else {
        End::GiveBack
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_final_comes_back_but_not_for_ever() {
        for (is_final, tries, early, end) in [
            (true, 1, false, End::Complete),
            (true, 9, true, End::Complete),
            (false, 1, false, End::GiveBack),
            (false, 4, false, End::GiveBack),
            (false, 5, false, End::Complete),
            // Who was stopped has not failed.
            (false, 5, true, End::GiveBack),
            (false, 99, true, End::GiveBack),
        ] {
            assert_eq!(
                end_of(is_final, tries, early),
                end,
                "{is_final} {tries} {early}"
            );
        }
    }
}
