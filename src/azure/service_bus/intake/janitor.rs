//! Gives back what nobody asks for, and keeps the locks of sessions of which nothing is in flight.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::sleep;

use super::{
    Intake,
    state::{Command, Disposal, State},
};
use crate::clock::Moment;

/// How often.
const TICK: Duration = Duration::from_millis(250);

/// Begins, unless it has begun.
pub(super) fn begin(intake: &Arc<Intake>) {
    let mut state = intake.state();
    if !std::mem::replace(&mut state.has_janitor, true) {
        let now = Moment::now();
        state.ticks = (now, now);
        tokio::spawn(keep(Arc::downgrade(intake)));
    }
}

async fn keep(intake: Weak<Intake>) {
    loop {
        sleep(TICK).await;
        let Some(intake) = intake.upgrade() else {
            return;
        };
        let due = {
            let mut state = intake.state();
            state.ticks = (state.ticks.1, Moment::now());
            state.tidy(intake.options.linger);
            state.due(intake.options.lock)
        };
        for (link, session) in due {
            let intake = Arc::clone(&intake);
            tokio::spawn(async move {
                if let Err(error) = intake.renew_session(link, &session).await {
                    log::debug!("the lock of session {session} is not renewed: {error}");
                }
                if let Some(link) = intake.state().links.get_mut(&link) {
                    link.is_renewing = false;
                }
            });
        }
    }
}

impl State {
    /// Ends links of which nothing is in flight, when nobody asks or nothing comes.
    fn tidy(&mut self, linger: Duration) {
        let is_unasked = self.unasked() > linger;
        for link in self.links.values_mut() {
            let is_idle = link.in_flight == 0;
            let is_dry = link.session.is_some()
                && link.arrived.is_empty()
                && link.idle_since.elapsed() > linger;
            if is_idle && (is_unasked || (is_dry && !self.is_draining)) {
                link.commands.send(Command::Stop).ok();
            } else if is_unasked && link.session.is_none() {
                // The others of a session could not get them in any case.
                for old in link.arrived.drain(..) {
                    let release = Command::Dispose(old.info, Disposal::Release);
                    link.commands.send(release).ok();
                }
            }
        }
    }

    /// The sessions whose locks nobody else renews, since nothing of them is in flight.
    fn due(&mut self, lock: Duration) -> Vec<(u64, String)> {
        let mut due = Vec::new();
        for (id, link) in &mut self.links {
            let is_due = link.in_flight == 0
                && !link.is_renewing
                && link.locked_until.remaining() < lock * 2 / 3;
            if is_due && let Some(session) = &link.session {
                due.push((*id, session.clone()));
                link.is_renewing = true;
            }
        }
        due
    }
}
