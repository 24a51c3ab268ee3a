//! Ending deliveries, and keeping their locks.

use fe2o3_amqp_types::primitives::SimpleValue;
use serde_amqp::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    Intake,
    state::{Command, Disposal, Held},
};
use crate::{
    azure::amqp::{Error, Fields, Kind, LockToken, OPERATION, Outcome, Request, Settling, uuids},
    clock::Moment,
    queue::DeliveryId,
};

/// How a delivery ends.
#[derive(Clone, Debug)]
pub(in crate::azure::service_bus) enum Settlement {
    Complete,
    Abandon,
    DeadLetter { reason: String, description: String },
}

impl Settlement {
    pub(in crate::azure::service_bus) fn dead_letter(reason: &str, description: &str) -> Self {
        Self::DeadLetter {
            reason: reason.to_owned(),
            description: description.to_owned(),
        }
    }

    fn disposal(&self) -> Disposal {
        match self.clone() {
            Self::Complete => Disposal::Complete,
            Self::Abandon => Disposal::Abandon,
            Self::DeadLetter {
                reason,
                description,
            } => Disposal::DeadLetter {
                reason,
                description,
            },
        }
    }
}

/// A delivery that is being settled; another call may settle it when this is dropped without a result.
struct InHand<'a> {
    intake: &'a Intake,
    id: DeliveryId,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.intake.state().set_settling(self.id, false);
    }
}

/// What is needed to settle a delivery.
struct Known {
    token: LockToken,
    session: Option<String>,
    /// The answer of the link that brought it, and the end of that link; none when it has ended.
    answer: Option<(Settling, CancellationToken)>,
}

impl Intake {
    /// Ends a delivery. Whatever comes of it, it can be done again when it has failed for another reason than its lock.
    pub(in crate::azure::service_bus) async fn settle(
        &self,
        id: DeliveryId,
        settlement: Settlement,
    ) -> Result<(), Error> {
        self.begin_to_settle(id)?;
        let _in_hand = InHand { intake: self, id };
        let settled = self.settle_held(id, &settlement).await;
        let is_over = match &settled {
            Ok(()) => true,
            Err(error) => error.kind() == Kind::LockLost,
        };
        if is_over {
            self.state().settled(id);
            // One settled delivery makes room for one other.
            self.changed.notify_one();
        }
        settled
    }

    fn begin_to_settle(&self, id: DeliveryId) -> Result<(), Error> {
        let begun = self.state().set_settling(id, true);
        begun.then_some(()).ok_or_else(lock_lost)
    }

    async fn settle_held(&self, id: DeliveryId, settlement: &Settlement) -> Result<(), Error> {
        let known = self.tell_the_link(id, settlement)?;
        if let Some((answer, ended)) = known.answer {
            match timeout(OPERATION, answer_of(answer, &ended)).await {
                Ok(Outcome::Done) => return Ok(()),
                Ok(Outcome::Refused(error)) => return Err(error),
                // Nobody knows; the lock of a session ends with its link, and another lock can be asked about.
                Ok(Outcome::Unknown) => {}
                Err(_) => return Err(Error::timed_out("the end of a message")),
            }
        }
        if known.session.is_some() {
            return Err(lock_lost());
        }
        self.settle_elsewhere(known.token, settlement).await
    }

    /// Hands the settlement to the link that brought the message, if it is still there.
    fn tell_the_link(&self, id: DeliveryId, settlement: &Settlement) -> Result<Known, Error> {
        let mut state = self.state();
        let held = state.held.get(&id).ok_or_else(lock_lost)?;
        let Held { token, session, .. } = held;
        let answer = state.links.get(&held.link).map(|link| {
            let answer = link.connection.expect(*token);
            let command = Command::Dispose(held.info.clone(), settlement.disposal());
            let told = link.commands.send(command).is_ok();
            told.then(|| (answer, link.ended.clone()))
        });
        let known = Known {
            token: *token,
            session: session.clone(),
            answer: answer.flatten(),
        };
        // What comes next may be on its way while the answer is.
        state.refill();
        Ok(known)
    }

    /// Settles by a request: the connection on which the message came is gone, its lock need not be.
    async fn settle_elsewhere(
        &self,
        token: LockToken,
        settlement: &Settlement,
    ) -> Result<(), Error> {
        let status = match settlement {
            Settlement::Complete => "completed",
            Settlement::Abandon => "abandoned",
            Settlement::DeadLetter { .. } => "suspended",
        };
        let mut arguments = Fields::default()
            .with("lock-tokens", uuids([token.uuid()]))
            .with("disposition-status", Value::String(status.to_owned()));
        if let Settlement::DeadLetter {
            reason,
            description,
        } = settlement
        {
            arguments = arguments
                .with("deadletter-reason", Value::String(reason.clone()))
                .with("deadletter-description", Value::String(description.clone()));
        }
        let request = Request::new("com.microsoft:update-disposition", arguments.into_value());
        self.request(request).await.map(drop)
    }

    pub(super) async fn request(
        &self,
        request: Request,
    ) -> Result<crate::azure::amqp::Reply, Error> {
        let connection = self.bus.client.connection_for(&self.source).await?;
        let node = format!("{}/$management", self.source);
        connection.request(&node, request).await
    }

    /// Makes the lock of a delivery, or of its session, last again; until when.
    pub(in crate::azure::service_bus) async fn renew(
        &self,
        id: DeliveryId,
    ) -> Result<Moment, Error> {
        let (token, session) = {
            let state = self.state();
            let held = state.held.get(&id).ok_or_else(lock_lost)?;
            (
                held.token,
                held.session.clone().map(|session| (held.link, session)),
            )
        };
        let renewed = match session {
            Some((link, session)) => self.renew_session(link, &session).await,
            None => self.renew_message(token).await,
        };
        if let Err(error) = &renewed
            && error.kind() == Kind::LockLost
        {
            self.state().settled(id);
            self.changed.notify_one();
        }
        renewed
    }

    async fn renew_message(&self, token: LockToken) -> Result<Moment, Error> {
        let asked = Moment::now();
        let arguments = Fields::default().with("lock-tokens", uuids([token.uuid()]));
        let request = Request::new("com.microsoft:renew-lock", arguments.into_value());
        self.request(request).await?;
        Ok(asked + self.options.lock)
    }

    /// Makes the lock of a session last again; until when.
    pub(super) async fn renew_session(&self, link: u64, session: &str) -> Result<Moment, Error> {
        let asked = Moment::now();
        let name = {
            let state = self.state();
            let link = state.links.get(&link).ok_or_else(lock_lost)?;
            link.name.clone()
        };
        let arguments = Fields::default().with("session-id", Value::String(session.to_owned()));
        let request = Request::new("com.microsoft:renew-session-lock", arguments.into_value())
            .with("associated-link-name", SimpleValue::String(name));
        self.request(request).await?;
        let until = asked + self.options.lock;
        // The service looks at the receiver, which may have lost the session and got it again on another link.
        let mut state = self.state();
        let link = state.links.get_mut(&link).ok_or_else(lock_lost)?;
        link.locked_until = link.locked_until.max(until);
        Ok(until)
    }
}

/// The answer of a link, as long as there is one.
async fn answer_of(answer: Settling, ended: &CancellationToken) -> Outcome {
    tokio::select! {
        biased;
        outcome = answer => outcome,
        () = ended.cancelled() => Outcome::Unknown,
    }
}

fn lock_lost() -> Error {
    Error::Refused {
        condition: "com.microsoft:message-lock-lost".to_owned(),
        description: "the lock has ended".to_owned(),
    }
}
