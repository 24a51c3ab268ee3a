//! A connection without a socket: frames in, frames out. Most of these are traps that clients have fallen into.

mod traps;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fe2o3_amqp_types::definitions::{Handle, ReceiverSettleMode, Role, SenderSettleMode};
use fe2o3_amqp_types::messaging::{Data, Properties, Source, Target, TargetArchetype};
use fe2o3_amqp_types::performatives::{Attach, Begin, Flow, Open, Transfer};
use fe2o3_amqp_types::primitives::Value;
use serde::Serialize;
use serde_amqp::described::Described;
use serde_amqp::descriptor::Descriptor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::connection::{Connection, Next};
use super::encode::encoded;
use super::frame::{self, Frame, Kind};
use super::raw;
use crate::Broker;
use crate::cbs::{Claims, Keys, NoTokens, Right, TokenRights};
use crate::clock::SystemClock;
use crate::service_bus::{SubscriptionSettings, TopicSettings};

const CHANNEL: u16 = 3;
/// The codes of no answers.
const NOTHING: [u64; 0] = [];
const SUBSCRIPTION: &str = "topic/Subscriptions/sub";

/// A connection that may do everything, with a session.
struct Wire {
    broker: Arc<Broker>,
    connection: Connection,
}

/// A performative that came back: its code, its fields, and the payload.
type Answer = (u64, Vec<Value>, Bytes);

impl Wire {
    fn new() -> Self {
        let broker = Arc::new(Broker::new(
            Arc::new(SystemClock),
            Keys::default(),
            Arc::new(NoTokens),
        ));
        broker
            .service_bus
            .create_topic("topic", TopicSettings::default())
            .unwrap();
        broker
            .service_bus
            .create_subscription("topic", "sub", SubscriptionSettings::default(), None)
            .unwrap();
        let mut claims = Claims::default();
        claims.add(
            "",
            TokenRights {
                rights: vec![Right::Manage],
                expires_at: jiff::Timestamp::MAX,
            },
        );
        let connection = Connection::new(Arc::clone(&broker), claims);
        let mut wire = Self { broker, connection };
        wire.say(&open());
        let begin = Begin {
            remote_channel: None,
            next_outgoing_id: 0,
            incoming_window: 100,
            outgoing_window: 100,
            handle_max: Handle(255),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        };
        let answers = wire.say(&begin);
        assert_eq!(
            answers.iter().map(|answer| answer.0).collect::<Vec<_>>(),
            [0x11]
        );
        wire
    }

    fn say(&mut self, performative: &impl Serialize) -> Vec<Answer> {
        self.say_with(performative, &[])
    }

    /// Sends a frame and gives what comes back.
    fn say_with(&mut self, performative: &impl Serialize, payload: &[u8]) -> Vec<Answer> {
        let mut body = encoded(performative);
        body.extend_from_slice(payload);
        let frame = Frame {
            kind: Kind::Amqp,
            channel: CHANNEL,
            body: body.into(),
        };
        assert_eq!(self.connection.take(frame), Next::GoOn);
        self.connection.pump();
        answers(&mut self.connection.out.bytes)
    }

    /// Sends messages, and attaches a receiver with the handle 1 and this credit.
    fn receive(&mut self, messages: u32, credit: u32) -> Vec<Answer> {
        self.say(&attach(Role::Sender, 0, "topic"));
        let mut message = encoded(&Properties::default());
        message.extend(encoded(&Data(b"body".to_vec().into())));
        for id in 0..messages {
            self.say_with(&transfer(id), &message);
        }
        self.say(&attach(Role::Receiver, 1, SUBSCRIPTION));
        self.say(&flow(credit, false))
    }

    fn counts(&self) -> (u64, u64) {
        let counts = self
            .broker
            .service_bus
            .subscription("topic", "sub")
            .unwrap()
            .counts;
        (counts.active, counts.dead_letter)
    }
}

fn answers(out: &mut BytesMut) -> Vec<Answer> {
    let mut answers = Vec::new();
    while let Some(frame) = frame::take(out).unwrap() {
        let length = raw::value_length(&frame.body).unwrap();
        let Value::Described(performative) = serde_amqp::from_slice(&frame.body[..length]).unwrap()
        else {
            panic!()
        };
        let (Descriptor::Code(code), Value::List(fields)) =
            (performative.descriptor, performative.value)
        else {
            panic!()
        };
        answers.push((code, fields, frame.body.slice(length..)));
    }
    answers
}

fn open() -> Open {
    Open {
        container_id: "test".to_owned(),
        hostname: None,
        max_frame_size: 512.into(),
        channel_max: 255.into(),
        idle_time_out: None,
        outgoing_locales: None,
        incoming_locales: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
    }
}

fn attach(role: Role, handle: u32, address: &str) -> Attach {
    Attach {
        name: format!("link {handle}"),
        handle: Handle(handle),
        snd_settle_mode: SenderSettleMode::Mixed,
        rcv_settle_mode: ReceiverSettleMode::Second,
        source: Some(Box::new(Source::builder().address(address).build())),
        target: Some(Box::new(TargetArchetype::Target(Target {
            address: Some(address.into()),
            ..Target::default()
        }))),
        unsettled: None,
        incomplete_unsettled: false,
        initial_delivery_count: (role == Role::Sender).then_some(0),
        max_message_size: None,
        offered_capabilities: None,
        desired_capabilities: None,
        properties: None,
        role,
    }
}

fn transfer(id: u32) -> Transfer {
    Transfer {
        handle: Handle(0),
        delivery_id: Some(id),
        delivery_tag: Some(id.to_be_bytes().to_vec().into()),
        message_format: Some(0),
        settled: Some(false),
        more: false,
        rcv_settle_mode: None,
        state: None,
        resume: false,
        aborted: false,
        batchable: false,
    }
}

fn flow(credit: u32, drain: bool) -> Flow {
    Flow {
        next_incoming_id: Some(1),
        incoming_window: 100,
        next_outgoing_id: 0,
        outgoing_window: 100,
        handle: Some(Handle(1)),
        delivery_count: Some(0),
        link_credit: Some(credit),
        available: None,
        drain,
        echo: false,
        properties: None,
    }
}

fn described(code: u64, fields: Vec<Value>) -> Value {
    Value::Described(Box::new(Described {
        descriptor: Descriptor::Code(code),
        value: Value::List(fields),
    }))
}

/// A disposition of deliveries `first..=last` as a receiver.
fn disposition(first: u32, last: Option<u32>, settled: bool, state: Value) -> Value {
    let last = last.map_or(Value::Null, Value::Uint);
    described(
        0x15,
        vec![
            Value::Bool(true),
            Value::Uint(first),
            last,
            Value::Bool(settled),
            state,
        ],
    )
}

fn codes(answers: &[Answer]) -> Vec<u64> {
    answers.iter().map(|answer| answer.0).collect()
}

/// A client that is silent hears empty frames as often as it asked for.
#[tokio::test]
async fn who_wants_to_hear_something_hears_empty_frames() {
    let wire = Wire::new();
    let (mut client, server) = tokio::io::duplex(4096);
    let served = tokio::spawn(super::serve(server, wire.broker));
    let read = async {
        let mut open = open();
        open.idle_time_out = Some(300);
        let mut out = BytesMut::from(&b"AMQP\x00\x01\x00\x00"[..]);
        frame::write(&mut out, Kind::Amqp, 0, &encoded(&open), &[]);
        client.write_all(&out).await.unwrap();
        let mut header = [0; 8];
        client.read_exact(&mut header).await.unwrap();
        let mut input = BytesMut::new();
        loop {
            client.read_buf(&mut input).await.unwrap();
            while let Some(frame) = frame::take(&mut input).unwrap() {
                if frame.body.is_empty() {
                    return;
                }
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(120), read)
        .await
        .unwrap();
    drop(client);
    served.await.unwrap();
}
