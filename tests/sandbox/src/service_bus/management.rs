//! The operations of `$management`: what clients ask of a topic or subscription besides sending, receiving and settling.

use fe2o3_amqp_types::primitives::{Array, Binary, OrderedMap, Value};
use uuid::Uuid;

use super::rule_codec;
use super::{
    Death, Delivery, RuleDescription, ServiceBus, Settlement, Stored, SubscriptionAddress,
};
use crate::amqp::Refusal;
use crate::amqp::message::{Envelope, Incoming};
use crate::amqp::request::{Answer, Body, Request, number_of, time_value};

/// The most messages that one peek gives.
const MOST_PEEKED: usize = 250;

/// Answers a request to a topic: messages for later.
pub(crate) fn of_topic(bus: &ServiceBus, topic: &str, request: &Request) -> Answer {
    let body = request.map_body();
    let outcome = match request.operation().as_str() {
        "com.microsoft:schedule-message" => schedule(bus, topic, &body),
        "com.microsoft:cancel-scheduled-message" => {
            let sequences = longs(&body, "sequence-numbers");
            bus.cancel_scheduled(topic, &sequences)
                .map(|()| Answer::entity(200, Body::default()))
        }
        other => Err(unknown(other)),
    };
    outcome.unwrap_or_else(|refusal| Answer::refused(&refusal))
}

/// Answers a request to a subscription. `holder` is the link of this connection that has the session the request names.
pub(crate) fn of_subscription(
    bus: &ServiceBus,
    address: &SubscriptionAddress,
    holder: Option<u64>,
    request: &Request,
) -> Answer {
    let body = request.map_body();
    let subject = Subject {
        bus,
        address,
        holder,
        body: &body,
    };
    let outcome = match request.operation().as_str() {
        "com.microsoft:renew-lock" => subject.renew_locks(),
        "com.microsoft:update-disposition" => subject.settle(),
        "com.microsoft:renew-session-lock" => subject.renew_session(),
        "com.microsoft:get-session-state" => subject.session_state(),
        "com.microsoft:set-session-state" => subject.set_session_state(),
        "com.microsoft:peek-message" => subject.peek(),
        "com.microsoft:receive-by-sequence-number" => subject.receive_deferred(),
        "com.microsoft:add-rule" => subject.add_rule(),
        "com.microsoft:remove-rule" => subject.remove_rule(),
        "com.microsoft:enumerate-rules" => subject.rules(),
        other => Err(unknown(other)),
    };
    outcome.unwrap_or_else(|refusal| Answer::refused(&refusal))
}

/// A delivery as it is sent: with its lock and what the service knows of it.
pub(crate) fn encode_delivery(delivery: &Delivery) -> Vec<u8> {
    encode(&delivery.message, delivery.lock, &[])
}

struct Subject<'a> {
    bus: &'a ServiceBus,
    address: &'a SubscriptionAddress,
    holder: Option<u64>,
    body: &'a Body,
}

impl Subject<'_> {
    fn renew_locks(&self) -> Result<Answer, Refusal> {
        let tokens = self.body.uuids("lock-tokens");
        let ends = self.bus.in_any_mailbox(self.address, |mailbox, now| {
            tokens
                .iter()
                .map(|token| mailbox.renew(now, *token).map(time_value))
                .collect::<Result<Vec<_>, _>>()
        })?;
        Ok(Answer::entity(
            200,
            Body::default().with("expirations", Value::Array(Array(ends))),
        ))
    }

    fn settle(&self) -> Result<Answer, Refusal> {
        let settlement = self.settlement()?;
        for token in self.body.uuids("lock-tokens") {
            self.bus.in_any_mailbox(self.address, |mailbox, _| {
                mailbox.settle(token, &settlement)
            })?;
        }
        Ok(Answer::entity(200, Body::default()))
    }

    /// The service writes "deferred" with one "r".
    fn settlement(&self) -> Result<Settlement, Refusal> {
        match self.body.text("disposition-status").as_str() {
            "completed" => Ok(Settlement::Complete),
            "abandoned" => Ok(Settlement::Abandon),
            "defered" => Ok(Settlement::Defer),
            "suspended" => {
                let (reason, text) = (
                    self.body.text("deadletter-reason"),
                    self.body.text("deadletter-description"),
                );
                Ok(Settlement::DeadLetter(Death::new(reason, text)))
            }
            other => Err(Refusal::new(
                "com.microsoft:argument-error",
                format!("no such disposition: '{other}'"),
            )),
        }
    }

    fn renew_session(&self) -> Result<Answer, Refusal> {
        let session = self.body.text("session-id");
        let until = self.bus.in_any_mailbox(self.address, |mailbox, now| {
            self.check_session(mailbox, &session)?;
            mailbox.renew_session(now, &session)
        })?;
        Ok(Answer::entity(
            200,
            Body::default().with("expiration", time_value(until)),
        ))
    }

    fn session_state(&self) -> Result<Answer, Refusal> {
        let session = self.body.text("session-id");
        let state = self.bus.in_any_mailbox(self.address, |mailbox, _| {
            self.check_session(mailbox, &session)?;
            Ok(mailbox.session_state(&session))
        })?;
        Ok(Answer::entity(
            200,
            Body::default().with("session-state", state),
        ))
    }

    fn set_session_state(&self) -> Result<Answer, Refusal> {
        let session = self.body.text("session-id");
        let state = self.body.get("session-state").cloned().unwrap_or_default();
        self.bus.in_any_mailbox(self.address, |mailbox, _| {
            self.check_session(mailbox, &session)?;
            mailbox.set_session_state(&session, state)
        })?;
        Ok(Answer::entity(200, Body::default()))
    }

    fn peek(&self) -> Result<Answer, Refusal> {
        let from = self.body.number("from-sequence-number").unwrap_or(0);
        let count = self
            .body
            .number("message-count")
            .and_then(|count| usize::try_from(count).ok())
            .unwrap_or(1);
        let session = self
            .body
            .get("session-id")
            .and_then(crate::amqp::message::text_of);
        let found = self.bus.in_any_mailbox(self.address, |mailbox, _| {
            Ok(mailbox.peek(from, count.min(MOST_PEEKED), session.as_deref()))
        })?;
        if found.is_empty() {
            return Ok(Answer::entity(204, Body::default()));
        }
        let messages = found.into_iter().map(|(message, state)| {
            let state = ("x-opt-message-state", Value::Int(state as i32));
            map([(
                "message",
                Value::Binary(Binary::from(encode(&message, None, &[state]))),
            )])
        });
        Ok(Answer::entity(
            200,
            Body::default().with("messages", Value::List(messages.collect())),
        ))
    }

    fn receive_deferred(&self) -> Result<Answer, Refusal> {
        let sequences = longs(self.body, "sequence-numbers");
        let forget = self.body.number("receiver-settle-mode") == Some(0);
        let session = self.body.text("session-id");
        let deliveries = self.bus.in_any_mailbox(self.address, |mailbox, now| {
            if mailbox.sessions.is_some() {
                self.check_session(mailbox, &session)?;
            }
            mailbox.take_deferred(now, &sequences, forget)
        })?;
        let messages = deliveries.into_iter().map(|delivery| {
            let message = Value::Binary(Binary::from(encode_delivery(&delivery)));
            let token = delivery.lock.map_or(Uuid::nil(), |(token, _)| token);
            map([
                ("lock-token", Value::Uuid(token.into_bytes().into())),
                ("message", message),
            ])
        });
        Ok(Answer::entity(
            200,
            Body::default().with("messages", Value::List(messages.collect())),
        ))
    }

    fn add_rule(&self) -> Result<Answer, Refusal> {
        let filter = rule_codec::decode(&Body::from(
            self.body.get("rule-description").unwrap_or(&Value::Null),
        ))?;
        let rule = RuleDescription {
            name: self.body.text("rule-name"),
            filter,
            created_at: self.bus.now(),
        };
        self.bus
            .create_rule(&self.address.topic, &self.address.subscription, rule)?;
        Ok(Answer::entity(200, Body::default()))
    }

    fn remove_rule(&self) -> Result<Answer, Refusal> {
        let name = self.body.text("rule-name");
        let removed = self
            .bus
            .delete_rule(&self.address.topic, &self.address.subscription, &name);
        removed
            .map_err(|error| Refusal::new("com.microsoft:entity-not-found", error.to_string()))?;
        Ok(Answer::entity(200, Body::default()))
    }

    fn rules(&self) -> Result<Answer, Refusal> {
        let number = |key: &str| {
            self.body
                .number(key)
                .and_then(|number| usize::try_from(number).ok())
        };
        let rules = self
            .bus
            .rules(&self.address.topic, &self.address.subscription)?;
        let rules = rules
            .iter()
            .skip(number("skip").unwrap_or(0))
            .take(number("top").unwrap_or(usize::MAX));
        let rules: Vec<_> = rules
            .map(|rule| map([("rule-description", rule_codec::encode(rule))]))
            .collect();
        let code = if rules.is_empty() { 204 } else { 200 };
        Ok(Answer::entity(
            code,
            Body::default().with("rules", Value::List(rules)),
        ))
    }

    /// Only the link that holds a session may manage it: who has lost it must not renew the lock of the next one.
    fn check_session(&self, mailbox: &super::Mailbox, session: &str) -> Result<(), Refusal> {
        let holder = self.holder.ok_or_else(Refusal::session_lock_lost)?;
        mailbox.check_session(session, holder)
    }
}

fn schedule(bus: &ServiceBus, topic: &str, body: &Body) -> Result<Answer, Refusal> {
    let mut messages = Vec::new();
    for entry in body.list("messages") {
        if let Some(Value::Binary(bytes)) = Body::from(&entry).get("message") {
            messages.push(Incoming::decode(bytes)?);
        }
    }
    let sequences = bus
        .send(topic, messages)?
        .into_iter()
        .map(Value::Long)
        .collect();
    Ok(Answer::entity(
        200,
        Body::default().with("sequence-numbers", Value::Array(Array(sequences))),
    ))
}

fn encode(
    message: &Stored,
    lock: Option<(Uuid, jiff::Timestamp)>,
    more: &[(&'static str, Value)],
) -> Vec<u8> {
    let mut annotations = vec![
        ("x-opt-sequence-number", Value::Long(message.sequence)),
        (
            "x-opt-enqueue-sequence-number",
            Value::Long(message.sequence),
        ),
        ("x-opt-enqueued-time", time_value(message.enqueued)),
    ];
    annotations.extend(more.iter().cloned());
    message.content.encode(&Envelope {
        delivery_count: message.failures,
        lock,
        annotations: &annotations,
        added: message
            .death
            .as_ref()
            .map(|death| (death.reason.as_str(), death.description.as_str())),
    })
}

fn longs(body: &Body, key: &str) -> Vec<i64> {
    body.list(key).iter().filter_map(number_of).collect()
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let entries = entries
        .into_iter()
        .map(|(key, value)| (Value::String(key.to_owned()), value));
    Value::Map(entries.collect::<OrderedMap<_, _>>())
}

fn unknown(operation: &str) -> Refusal {
    Refusal::new(
        "amqp:not-implemented",
        format!("The operation '{operation}' is not there."),
    )
}
