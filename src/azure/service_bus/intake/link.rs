//! The task of one link: messages come in, credit and settlements go out.

use std::sync::Weak;

use fe2o3_amqp::{
    Delivery, Receiver,
    link::{delivery::DeliveryInfo, receiver::TerminalDeliveryState},
};
use fe2o3_amqp_types::{
    definitions::{self, ErrorCondition, Fields},
    messaging::{Accepted, Body, Modified, Rejected, Released},
};
use serde_amqp::Value;
use tokio::{sync::mpsc, time::timeout};

use super::{
    Intake,
    accept::Attached,
    state::{Arrived, Command, Disposal},
};
use crate::{
    azure::{
        amqp::{DEAD_LETTER, Error, LockToken, OPERATION, symbol},
        service_bus::message,
    },
    queue,
};

/// Commands that are read at once.
const AT_ONCE: usize = 256;

/// What a reason or a description may be long.
const WORDS: usize = 4_000;

/// Serves a link until it is told to stop, or ends.
pub(super) async fn run(
    intake: Weak<Intake>,
    id: u64,
    attached: Attached,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let Attached {
        mut receiver,
        connection,
        _session,
    } = attached;
    let mut batch = Vec::new();
    let why = loop {
        tokio::select! {
            count = commands.recv_many(&mut batch, AT_ONCE) => {
                if count == 0 {
                    break None;
                }
                match obey(&intake, id, &mut receiver, batch.drain(..)).await {
                    Ok(true) => {}
                    Ok(false) => break None,
                    Err(error) => break Some(error),
                }
            }
            delivery = receiver.recv::<Body<Value>>() => match delivery {
                Ok(delivery) => {
                    if let Err(error) = take_in(&intake, id, &receiver, delivery).await {
                        break Some(error);
                    }
                }
                Err(error) => break Some(error.into()),
            },
            () = connection.ended() => break Some(Error::lost("it has ended")),
        }
    };
    let is_stopped = why.is_none();
    if let Some(error) = &why {
        log::debug!("link {id} has ended: {error}");
    }
    if let Some(intake) = intake.upgrade() {
        intake.state().end(id, why);
        intake.changed.notify_waiters();
    }
    if is_stopped && let Err(error) = give_back(receiver, commands).await {
        log::debug!("link {id} was not closed as it should: {error}");
    }
}

/// Does what it is told; whether to go on.
async fn obey(
    intake: &Weak<Intake>,
    id: u64,
    receiver: &mut Receiver,
    commands: impl Iterator<Item = Command>,
) -> Result<bool, Error> {
    let (mut more, mut accepted) = (false, Vec::new());
    let mut others = Vec::new();
    let mut stop = false;
    for command in commands {
        match command {
            Command::Credit => more = true,
            Command::Dispose(info, Disposal::Complete) => accepted.push(info),
            Command::Dispose(info, disposal) => others.push((info, disposal)),
            Command::Stop => stop = true,
        }
    }
    if !accepted.is_empty() {
        let all = receiver.accept_all(accepted).await;
        all.map_err(Error::lost)?;
    }
    for (info, disposal) in others {
        dispose(receiver, info, disposal).await?;
    }
    if stop {
        return release(intake, id, receiver).await.map(|()| false);
    }
    if more {
        let credit = intake
            .upgrade()
            .and_then(|intake| intake.state().credit_of(id));
        if let Some(credit) = credit {
            receiver.set_credit(credit).await.map_err(Error::lost)?;
        }
    }
    Ok(true)
}

async fn dispose(receiver: &Receiver, info: DeliveryInfo, disposal: Disposal) -> Result<(), Error> {
    let disposed = receiver.dispose(info, state_of(disposal)).await;
    disposed.map_err(Error::lost)
}

fn state_of(disposal: Disposal) -> TerminalDeliveryState {
    match disposal {
        Disposal::Complete => TerminalDeliveryState::Accepted(Accepted {}),
        Disposal::Release => TerminalDeliveryState::Released(Released {}),
        Disposal::Abandon => TerminalDeliveryState::Modified(Modified {
            delivery_failed: Some(true),
            undeliverable_here: None,
            message_annotations: None,
        }),
        Disposal::DeadLetter {
            reason,
            description,
        } => {
            let mut words = Fields::default();
            for (name, text) in [
                ("DeadLetterReason", reason),
                ("DeadLetterErrorDescription", description),
            ] {
                let text = text.chars().take(WORDS).collect();
                words.insert(symbol(name), Value::String(text));
            }
            let condition = ErrorCondition::Custom(symbol(DEAD_LETTER));
            TerminalDeliveryState::Rejected(Rejected {
                error: Some(definitions::Error::new(condition, None, Some(words))),
            })
        }
    }
}

/// Notes a message, or puts it with the dead when it is none of the run.
async fn take_in(
    intake: &Weak<Intake>,
    id: u64,
    receiver: &Receiver,
    delivery: Delivery<Body<Value>>,
) -> Result<(), Error> {
    let (info, message) = delivery.into_parts();
    let Some(intake) = intake.upgrade() else {
        return dispose(receiver, info, Disposal::Release).await;
    };
    let Some(token) = LockToken::of_tag(info.delivery_tag()) else {
        return Err(Error::lost("a message has no lock"));
    };
    let unwanted = match message::read(message, &intake.options) {
        Ok(content) => {
            let asked = intake.state().ticks.0;
            let delivery = queue::Delivery {
                id: queue::DeliveryId(token.number()),
                target: content.target,
                count: content.deliveries.saturating_add(1),
                purpose: content.purpose,
                session: content.session.filter(|_| intake.options.has_sessions()),
                locked_until: asked + intake.options.lock,
            };
            let arrived = Arrived {
                delivery,
                info,
                token,
            };
            let unwanted = intake.state().arrive(id, arrived);
            unwanted
                .err()
                .map(|arrived| (arrived.info, Disposal::Release))
        }
        Err(unfit) => {
            log::warn!("a message is put with the dead: {}", unfit.description);
            intake.state().arrive_in_vain(id);
            let disposal = Disposal::DeadLetter {
                reason: unfit.reason.to_owned(),
                description: unfit.description,
            };
            Some((info, disposal))
        }
    };
    intake.changed.notify_one();
    match unwanted {
        Some((info, disposal)) => dispose(receiver, info, disposal).await,
        None => Ok(()),
    }
}

/// Gives back what has come and was not handed out.
async fn release(intake: &Weak<Intake>, id: u64, receiver: &Receiver) -> Result<(), Error> {
    let arrived = intake.upgrade().and_then(|intake| {
        let mut state = intake.state();
        state
            .links
            .get_mut(&id)
            .map(|link| std::mem::take(&mut link.arrived))
    });
    for arrived in arrived.into_iter().flatten() {
        dispose(receiver, arrived.info, Disposal::Release).await?;
    }
    Ok(())
}

/// Settles what was still to be settled, and closes the link.
async fn give_back(
    receiver: Receiver,
    mut commands: mpsc::UnboundedReceiver<Command>,
) -> Result<(), Error> {
    while let Ok(command) = commands.try_recv() {
        if let Command::Dispose(info, disposal) = command {
            dispose(&receiver, info, disposal).await?;
        }
    }
    let closed = timeout(OPERATION, receiver.close()).await;
    closed
        .map_err(|_| Error::timed_out("the end of a link"))?
        .map_err(Error::lost)
}
