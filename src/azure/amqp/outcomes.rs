//! What a service answers when a message is settled. The library settles and forgets; whether a lock was still held stands only in
//! the answer, which `tap` reads beside it.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use fe2o3_amqp_types::messaging::DeliveryState;
use tokio::sync::oneshot;

use super::Error;

/// The right to a message, as it comes in the delivery tag: a GUID in the order of bytes of .NET.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::azure) struct LockToken([u8; 16]);

impl LockToken {
    /// The token in a delivery tag; none when that is something else.
    pub(in crate::azure) fn of_tag(tag: &[u8]) -> Option<Self> {
        tag.try_into().ok().map(Self)
    }

    /// The token as a number.
    pub(in crate::azure) fn number(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    /// The token as `$management` wants it: the same GUID in the order of bytes of everybody else.
    pub(in crate::azure) fn uuid(self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h, rest @ ..] = self.0;
        let mut uuid = [d, c, b, a, f, e, h, g, 0, 0, 0, 0, 0, 0, 0, 0];
        for (to, from) in uuid.iter_mut().skip(8).zip(rest) {
            *to = from;
        }
        uuid
    }
}

/// What became of a settlement.
#[derive(Debug)]
pub(in crate::azure) enum Outcome {
    /// It is settled as it was asked.
    Done,
    /// The service did not do it.
    Refused(Error),
    /// The connection ended before there was an answer.
    Unknown,
}

/// The answers of one connection.
#[derive(Debug, Default)]
pub(super) struct Outcomes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Which token a delivery has, by channel and number.
    tokens: HashMap<(u16, u32), LockToken>,
    waiting: HashMap<LockToken, oneshot::Sender<Outcome>>,
    is_closed: bool,
}

impl Outcomes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the answer about a message, from now on.
    pub(super) fn expect(self: &Arc<Self>, token: LockToken) -> Settling {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state();
        if !state.is_closed {
            state.waiting.insert(token, sender);
        }
        Settling {
            receiver,
            token,
            outcomes: Arc::clone(self),
        }
    }

    /// A message has arrived.
    pub(super) fn arrived(&self, channel: u16, delivery: u32, token: LockToken) {
        self.state().tokens.insert((channel, delivery), token);
    }

    /// Deliveries of a channel are settled.
    pub(super) fn settled(
        &self,
        channel: u16,
        first: u32,
        last: u32,
        state: Option<&DeliveryState>,
    ) {
        let mut known = self.state();
        for delivery in first..=last {
            let Some(token) = known.tokens.remove(&(channel, delivery)) else {
                continue;
            };
            if let Some(waiting) = known.waiting.remove(&token) {
                // Who does not wait any more does not want to know.
                drop(waiting.send(outcome(state)));
            }
        }
    }

    /// A channel begins anew.
    pub(super) fn forget(&self, channel: u16) {
        self.state().tokens.retain(|(of, _), _| *of != channel);
    }

    /// There will be no answer any more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.tokens.clear();
        state.waiting.clear();
    }
}

fn outcome(state: Option<&DeliveryState>) -> Outcome {
    match state {
        // A message that was put with the dead is answered in the same words, without an error or with the one that was sent.
        Some(DeliveryState::Rejected(rejected)) => match &rejected.error {
            Some(error) => match Error::from(error.clone()) {
                Error::Refused { condition, .. } if condition == DEAD_LETTER => Outcome::Done,
                error => Outcome::Refused(error),
            },
            None => Outcome::Done,
        },
        _ => Outcome::Done,
    }
}

/// With this word a message is put with the dead.
pub(in crate::azure) const DEAD_LETTER: &str = "com.microsoft:dead-letter";

/// The answer to one settlement.
#[derive(Debug)]
pub(in crate::azure) struct Settling {
    receiver: oneshot::Receiver<Outcome>,
    token: LockToken,
    outcomes: Arc<Outcomes>,
}

impl Future for Settling {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let answer = ready!(Pin::new(&mut self.receiver).poll(context));
        Poll::Ready(answer.unwrap_or(Outcome::Unknown))
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        self.outcomes.state().waiting.remove(&self.token);
    }
}

#[cfg(test)]
mod tests {
    use fe2o3_amqp_types::{
        definitions::{self, ErrorCondition},
        messaging::{Accepted, Rejected},
    };
    use futures::FutureExt;

    use super::*;

    fn token(first: u8) -> LockToken {
        LockToken::of_tag(&[first, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]).unwrap()
    }

    fn rejected(condition: &str) -> DeliveryState {
        let condition = ErrorCondition::Custom(condition.into());
        DeliveryState::Rejected(Rejected {
            error: Some(definitions::Error::new(condition, None, None)),
        })
    }

    #[test]
    fn a_token_is_turned_into_the_order_of_bytes_of_management() {
        let uuid = token(0).uuid();
        assert_eq!(uuid, [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert!(LockToken::of_tag(&[1, 2, 3, 4]).is_none());
    }

    #[test]
    fn each_settlement_gets_its_own_answer() {
        let outcomes = Arc::new(Outcomes::default());
        for (delivery, first) in [(7, 0), (8, 1), (9, 2)] {
            outcomes.arrived(1, delivery, token(first));
        }
        let mut waiting: Vec<Settling> = (0..3).map(|n| outcomes.expect(token(n))).collect();
        outcomes.settled(2, 7, 9, Some(&DeliveryState::Accepted(Accepted {})));
        assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));
        outcomes.settled(1, 7, 8, Some(&DeliveryState::Accepted(Accepted {})));
        outcomes.settled(1, 9, 9, Some(&rejected("com.microsoft:message-lock-lost")));
        let mut answers = waiting.iter_mut().map(|one| one.now_or_never().unwrap());
        assert!(matches!(answers.next(), Some(Outcome::Done)));
        assert!(matches!(answers.next(), Some(Outcome::Done)));
        assert!(matches!(answers.next(), Some(Outcome::Refused(_))));
        assert!(matches!(
            outcome(Some(&rejected(DEAD_LETTER))),
            Outcome::Done
        ));
    }

    #[test]
    fn a_connection_that_ends_leaves_nobody_waiting() {
        let outcomes = Arc::new(Outcomes::default());
        outcomes.arrived(0, 1, token(1));
        let before = outcomes.expect(token(1));
        outcomes.close();
        let after = outcomes.expect(token(2));
        for settling in [before, after] {
            assert!(matches!(settling.now_or_never(), Some(Outcome::Unknown)));
        }
    }
}
