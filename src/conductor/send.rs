//! Sending targets: a wave is noted down before and after, so that whoever takes over knows what may be under way.

use std::time::Duration;

use tokio::time::sleep;

use super::{Error, Keeper, Site};
use crate::{
    clock::Moment,
    protocol::{Control, Target, TargetKey},
    queue::{self, Purpose},
};

/// How long a queue that fails is tried again.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause after a failure.
const PAUSE: Duration = Duration::from_millis(500);

/// Sends the first wave, if it was not sent before. Whether it was this call that did it.
pub async fn enqueue(
    site: &Site,
    keeper: &Keeper,
    targets: &[(TargetKey, Target)],
) -> Result<bool, Error> {
    let control = keeper.control().await;
    match control.waves.first() {
        Some(wave) if !wave.enqueued => {
            send_wave(site, keeper, 0, targets).await?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Sends the wave `number`; one that may have been sent in part is sent again as a whole.
pub(super) async fn send_wave(
    site: &Site,
    keeper: &Keeper,
    number: usize,
    targets: &[(TargetKey, Target)],
) -> Result<(), Error> {
    let waves = keeper.control().await.waves;
    let (before, from) = waves.split_at(number.min(waves.len()));
    let Some(wave) = from.first() else {
        return Ok(());
    };
    if wave.enqueueing {
        double(keeper).await?;
    }
    change_wave(keeper, number, |wave| wave.enqueueing = true).await?;
    let begin: usize = before.iter().map(|wave| wave.targets).sum();
    let targets = targets.iter().skip(begin).take(wave.targets);
    let targets = targets.map(|(_, target)| target.clone()).collect();
    send(site, keeper, targets, Purpose::Build).await?;
    change_wave(keeper, number, |wave| wave.enqueued = true).await
}

/// Changes one wave of the control document.
pub(super) async fn change_wave(
    keeper: &Keeper,
    number: usize,
    change: impl FnOnce(&mut crate::protocol::Wave) + Send,
) -> Result<(), Error> {
    keeper
        .change(|control| {
            if let Some(wave) = control.waves.get_mut(number) {
                change(wave);
            }
        })
        .await
}

/// Lets workers know that a target may come twice, before the second message is sent. One that drains builds none, and need not
/// know.
pub(super) async fn double(keeper: &Keeper) -> Result<(), Error> {
    if keeper.control().await.doubled {
        return Ok(());
    }
    keeper.change(|control| control.doubled = true).await?;
    sleep(Control::FRESH).await;
    Ok(())
}

/// Hands targets in. A queue that fails is tried again for a minute; then a part may be in it.
pub(super) async fn send(
    site: &Site,
    keeper: &Keeper,
    targets: Vec<Target>,
    purpose: Purpose,
) -> Result<(), Error> {
    let until = Moment::now() + PATIENCE;
    loop {
        match site.queue.send_all(targets.clone(), purpose).await {
            Ok(()) => return Ok(()),
            Err(
                error @ (queue::Error::Closed { .. }
                | queue::Error::Gone { .. }
                | queue::Error::Refused { .. }),
            ) => {
                return Err(error.into());
            }
            Err(error) if until.has_passed() => return Err(error.into()),
            Err(error) => log::warn!("targets are not sent yet: {error}"),
        }
        // What failed may have been done.
        if purpose == Purpose::Build {
            double(keeper).await?;
        }
        sleep(PAUSE).await;
    }
}
