//! What clients make of deliveries.

use fe2o3_amqp_types::definitions::Fields;
use fe2o3_amqp_types::messaging::{DeliveryState, Rejected, Released};
use fe2o3_amqp_types::performatives::Disposition;
use fe2o3_amqp_types::primitives::Symbol;

use super::connection::Connection;
use super::link::Kind;
use super::message::text_of;
use super::session::Unsettled;
use super::{Refusal, performative};
use crate::service_bus::{Death, Settlement};

impl Connection {
    /// Settles deliveries. Each is answered, although the client may call it settled: clients of mode "second" wait for it.
    pub(super) fn settle(&mut self, channel: u16, disposition: &Disposition) {
        let (first, last) = (
            disposition.first,
            disposition.last.unwrap_or(disposition.first),
        );
        let Some(session) = self.sessions.get_mut(&channel) else {
            return;
        };
        let ids: Vec<u32> = session
            .unsettled
            .range(first..=last.max(first))
            .map(|(id, _)| *id)
            .collect();
        let settlement = settlement_of(disposition.state.as_ref());
        let echo = echo_of(disposition.state.as_ref());
        let mut settled: Option<(u32, u32)> = None;
        for id in ids {
            let Err(refusal) = self.settle_one(channel, id, &settlement) else {
                settled = match settled {
                    Some((first, last)) if last.wrapping_add(1) == id => Some((first, id)),
                    Some(range) => {
                        self.answer_settled(channel, range, &echo);
                        Some((id, id))
                    }
                    None => Some((id, id)),
                };
                continue;
            };
            let state = performative::rejected(&refusal);
            self.out
                .frame(channel, &performative::disposition(false, id, id, &state));
        }
        if let Some(range) = settled {
            self.answer_settled(channel, range, &echo);
        }
    }

    fn answer_settled(&mut self, channel: u16, (first, last): (u32, u32), state: &DeliveryState) {
        self.out.frame(
            channel,
            &performative::disposition(false, first, last, state),
        );
    }

    fn settle_one(
        &mut self,
        channel: u16,
        id: u32,
        settlement: &Settlement,
    ) -> Result<(), Refusal> {
        let lost = Refusal::message_lock_lost;
        let session = self.sessions.get_mut(&channel).ok_or_else(lost)?;
        let Unsettled { handle, token } = session.unsettled.remove(&id).ok_or_else(lost)?;
        let link = session.links.get(&handle).ok_or_else(lost)?;
        let Kind::Messages(messages) = &link.kind else {
            return Ok(());
        };
        self.broker
            .service_bus
            .in_mailbox(&messages.address, messages.id, |mailbox, _| {
                if let Some(session) = messages.session.as_deref() {
                    mailbox.check_session(session, messages.link)?;
                }
                mailbox.settle(token, settlement)
            })
    }
}

fn settlement_of(state: Option<&DeliveryState>) -> Settlement {
    match state {
        Some(DeliveryState::Accepted(_)) => Settlement::Complete,
        Some(DeliveryState::Modified(modified)) if modified.undeliverable_here == Some(true) => {
            Settlement::Defer
        }
        Some(DeliveryState::Modified(_)) => Settlement::Abandon,
        Some(DeliveryState::Rejected(rejected)) => Settlement::DeadLetter(death_of(rejected)),
        _ => Settlement::Release,
    }
}

fn death_of(rejected: &Rejected) -> Death {
    let info = rejected
        .error
        .as_ref()
        .and_then(|error| error.info.as_deref());
    let text = |info: &Fields, key: &str| {
        info.get(&Symbol::from(key))
            .and_then(text_of)
            .unwrap_or_default()
    };
    let texts = info.map(|info| {
        (
            text(info, "DeadLetterReason"),
            text(info, "DeadLetterErrorDescription"),
        )
    });
    let (reason, description) = texts.unwrap_or_default();
    Death::new(reason, description)
}

/// The outcome as it is confirmed: that of a dead-lettered message without the error, which would look like a refusal.
fn echo_of(state: Option<&DeliveryState>) -> DeliveryState {
    match state {
        Some(DeliveryState::Rejected(_)) => DeliveryState::Rejected(Rejected { error: None }),
        Some(state) => state.clone(),
        None => DeliveryState::Released(Released {}),
    }
}
