//! Requests and their answers: a pair of links to a node such as `$cbs` or `$management`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fe2o3_amqp::{Receiver, Sender, link::receiver::CreditMode};
use fe2o3_amqp_types::{
    definitions::SenderSettleMode,
    messaging::{ApplicationProperties, Body, Message, MessageId, Properties, Source, Target},
    primitives::SimpleValue,
};
use serde_amqp::Value;
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::{
    Error, Fields,
    connection::{Session, within},
    values::number,
};

/// How many answers may be under way.
const CREDIT: u32 = 200;

/// What is asked.
#[derive(Clone, Debug)]
pub(in crate::azure) struct Request {
    properties: ApplicationProperties,
    body: Value,
    /// How long the service may take.
    pub(in crate::azure) limit: Duration,
}

impl Request {
    /// An operation of a node with its arguments.
    pub(in crate::azure) fn new(operation: &str, body: Value) -> Self {
        let request = Self {
            properties: ApplicationProperties::default(),
            body,
            limit: super::OPERATION,
        };
        request.with("operation", SimpleValue::String(operation.to_owned()))
    }

    /// With one more property.
    pub(in crate::azure) fn with(mut self, name: &str, value: SimpleValue) -> Self {
        self.properties.0.insert(name.to_owned(), value);
        self
    }
}

/// What is answered.
#[derive(Debug)]
pub(in crate::azure) struct Reply {
    /// Its fields.
    pub(in crate::azure) body: Fields,
}

impl Reply {
    /// Reads an answer; one that is no success is an error.
    fn read(message: Message<Body<Value>>) -> Result<Self, Error> {
        let properties = message.application_properties.unwrap_or_default();
        let get = |names: [&str; 2]| names.iter().find_map(|name| properties.0.get(*name));
        let status = get(["statusCode", "status-code"])
            .and_then(number)
            .unwrap_or(500);
        let words = |names| match get(names) {
            Some(SimpleValue::String(text)) => Some(text.clone()),
            Some(SimpleValue::Symbol(symbol)) => Some(symbol.as_str().to_owned()),
            _ => None,
        };
        if !(200..300).contains(&status) {
            return Err(Error::Refused {
                condition: words(["errorCondition", "error-condition"])
                    .unwrap_or_else(|| status.to_string()),
                description: words(["statusDescription", "status-description"]).unwrap_or_default(),
            });
        }
        let body = match message.body {
            Body::Value(value) => value.0,
            _ => Value::Null,
        };
        Ok(Self {
            body: Fields::of(body),
        })
    }
}

type Waiting = HashMap<u64, oneshot::Sender<Message<Body<Value>>>>;

/// The links to one node.
#[derive(Debug)]
pub(super) struct Requests {
    node: String,
    address: String,
    sender: tokio::sync::Mutex<Sender>,
    waiting: Arc<Mutex<Option<Waiting>>>,
    next: AtomicU64,
    _reader: AbortOnDropHandle<()>,
    _session: Session,
}

impl Requests {
    /// Attaches both links in a session of their own.
    pub(super) async fn open(mut session: Session, node: &str) -> Result<Self, Error> {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let address = format!("reply-{name}");
        let sender = Sender::builder()
            .name(format!("request-{name}"))
            .source(address.as_str())
            .target(node)
            .sender_settle_mode(SenderSettleMode::Settled)
            .attach(&mut session);
        let sender = within(node, sender).await?;
        let receiver = Receiver::builder()
            .name(&*address)
            .source(Source::builder().address(node).build())
            .target(Target::builder().address(&*address).build())
            .sender_settle_mode(SenderSettleMode::Settled)
            .credit_mode(CreditMode::Manual)
            .attach(&mut session);
        let receiver = within(node, receiver).await?;
        let waiting = Arc::new(Mutex::new(Some(Waiting::new())));
        let reader = tokio::spawn(read(receiver, Arc::clone(&waiting)));
        Ok(Self {
            node: node.to_owned(),
            address,
            sender: tokio::sync::Mutex::new(sender),
            waiting,
            next: AtomicU64::new(1),
            _reader: AbortOnDropHandle::new(reader),
            _session: session,
        })
    }

    /// Whether answers still come.
    pub(super) fn is_open(&self) -> bool {
        locked(&self.waiting).is_some()
    }

    /// Asks, and waits for the answer.
    pub(super) async fn call(&self, request: Request) -> Result<Reply, Error> {
        let limit = request.limit;
        let asked = tokio::time::timeout(limit, self.ask(request));
        let answer = asked
            .await
            .map_err(|_| Error::timed_out(format!("a request to {}", self.node)))?;
        Reply::read(answer?)
    }

    async fn ask(&self, request: Request) -> Result<Message<Body<Value>>, Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let answer = self.expect(number)?;
        let properties = Properties::builder()
            .message_id(MessageId::String(number.to_string()))
            .reply_to(self.address.clone())
            .build();
        let message = Message::builder()
            .properties(properties)
            .application_properties(request.properties)
            .value(request.body)
            .build();
        let sent = self.sender.lock().await.send_batchable(message).await;
        sent?;
        answer.await.map_err(|_| self.lost())
    }

    fn expect(&self, number: u64) -> Result<Answer, Error> {
        let (sender, receiver) = oneshot::channel();
        match &mut *locked(&self.waiting) {
            Some(waiting) => waiting.insert(number, sender),
            None => return Err(self.lost()),
        };
        Ok(Answer {
            number,
            receiver,
            waiting: Arc::clone(&self.waiting),
        })
    }

    fn lost(&self) -> Error {
        Error::lost(format!("{} does not answer any more", self.node))
    }
}

/// An answer that is waited for; forgotten when nobody does any more.
struct Answer {
    number: u64,
    receiver: oneshot::Receiver<Message<Body<Value>>>,
    waiting: Arc<Mutex<Option<Waiting>>>,
}

impl Future for Answer {
    type Output = Result<Message<Body<Value>>, oneshot::error::RecvError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.receiver).poll(context)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(waiting) = &mut *locked(&self.waiting) {
            waiting.remove(&self.number);
        }
    }
}

fn locked(waiting: &Mutex<Option<Waiting>>) -> MutexGuard<'_, Option<Waiting>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands out answers until none comes any more.
async fn read(mut receiver: Receiver, waiting: Arc<Mutex<Option<Waiting>>>) {
    let ended = hand_out(&mut receiver, &waiting).await;
    log::debug!("answers end: {ended}");
    locked(&waiting).take();
}

async fn hand_out(receiver: &mut Receiver, waiting: &Mutex<Option<Waiting>>) -> Error {
    let mut left = 0;
    loop {
        if left <= CREDIT / 2 {
            left = CREDIT;
            if let Err(error) = receiver.set_credit(CREDIT).await {
                return Error::lost(error);
            }
        }
        let delivery = match receiver.recv::<Body<Value>>().await {
            Ok(delivery) => delivery,
            Err(error) => return error.into(),
        };
        left -= 1;
        if let Err(error) = receiver.accept(&delivery).await {
            return Error::lost(error);
        }
        let message = delivery.into_message();
        let number = number_of(&message);
        let waiting = number.and_then(|number| locked(waiting).as_mut()?.remove(&number));
        if let Some(waiting) = waiting {
            drop(waiting.send(message));
        }
    }
}

fn number_of(message: &Message<Body<Value>>) -> Option<u64> {
    match message.properties.as_ref()?.correlation_id.as_ref()? {
        MessageId::String(text) => text.parse().ok(),
        MessageId::Ulong(number) => Some(*number),
        MessageId::Uuid(_) | MessageId::Binary(_) => None,
    }
}
