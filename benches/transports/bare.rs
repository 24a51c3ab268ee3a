//! The least that a program can do with the AMQP library: no promises, no second try, nothing known of what became of a message.

use std::time::{Duration, Instant};

use fe2o3_amqp::{
    Connection, Receiver, Sendable, Sender, Session, connection::ConnectionHandle,
    link::receiver::CreditMode, sasl_profile::SaslProfile,
};
use fe2o3_amqp_types::{
    definitions::{ReceiverSettleMode, SenderSettleMode},
    messaging::{ApplicationProperties, Body, Data, Message, Properties},
};
use futures::{StreamExt, stream::FuturesUnordered};
use sbm::{
    azure::{
        Cloud, Trust,
        amqp::Settings,
        service_bus::{Open, Options, ServiceBus, TOPIC},
    },
    protocol::{Concurrency, ConcurrencyType, Platform, Target},
    queue::Queue,
};
use serde_amqp::Value;
use uuid::Uuid;

use crate::{Place, Rates, SERVERS, rate};

const BATCH_FORMAT: u32 = 0x8001_3700;
const BATCH: usize = 256 * 1024 - 2_048;
const WINDOW: usize = 8;
const CREDIT: u32 = 64;

pub(crate) async fn measure(place: &Place, targets: &[Target]) -> Rates {
    let job = format!("b{}", Uuid::new_v4().simple());
    let queue = subscription(place, &job);
    queue.create().await.unwrap();
    let mut connection = connect(place).await;
    let begun = Instant::now();
    send(&mut connection, &job, targets).await;
    let send = rate(targets.len(), begun);
    let begun = Instant::now();
    receive(&mut connection, &job, targets.len()).await;
    let receive = rate(targets.len(), begun);
    connection.close().await.unwrap();
    queue.remove().await.unwrap();
    Rates { send, receive }
}

fn subscription(place: &Place, job: &str) -> impl Queue + use<> {
    let concurrency = Concurrency {
        kind: ConcurrencyType::Count,
        limit: 1,
        max_slots: 1,
    };
    let options = Options {
        lock: Duration::from_secs(300),
        ..Options::new(job, Uuid::new_v4(), Platform::SqlServer, concurrency)
    };
    let open = Open {
        connection: place.emulator.clone().into(),
        cloud: Cloud::Public,
        identity: None,
        settings: Settings::default(),
        trust: Trust::new(Some(&place.certificate)).unwrap(),
    };
    ServiceBus::open(open).unwrap().queue(options)
}

async fn connect(place: &Place) -> ConnectionHandle<()> {
    let part = |name: &str| {
        let mut parts = place
            .emulator
            .split(';')
            .filter_map(|part| part.split_once('='));
        parts.find(|(key, _)| *key == name).unwrap().1.to_owned()
    };
    let login = SaslProfile::Plain {
        username: part("SharedAccessKeyName"),
        password: part("SharedAccessKey"),
    };
    Connection::builder()
        .container_id("bare")
        .max_frame_size(65_536)
        .sasl_profile(login)
        .open(&*part("Endpoint").replace("sb://", "amqp://"))
        .await
        .unwrap()
}

/// The same bytes as the queue writes, in batches of one server each.
async fn send(connection: &mut ConnectionHandle<()>, job: &str, targets: &[Target]) {
    let mut session = Session::begin(connection).await.unwrap();
    let mut sender = Sender::attach(&mut session, "out", TOPIC).await.unwrap();
    let mut under_way = FuturesUnordered::new();
    for server in 0..SERVERS {
        let mut batch = Vec::new();
        let mut size = 0;
        for target in targets.iter().skip(server).step_by(SERVERS) {
            let bytes = message(job, target);
            if size + bytes.len() + 16 > BATCH {
                let full = std::mem::take(&mut batch);
                under_way.push(
                    sender
                        .send_batchable(envelope(&target.server, full))
                        .await
                        .unwrap(),
                );
                size = 0;
            }
            size += bytes.len() + 16;
            batch.push(Data(bytes.into()));
            if under_way.len() >= WINDOW {
                under_way.next().await.unwrap().unwrap();
            }
        }
        if let Some(target) = targets.get(server) {
            under_way.push(
                sender
                    .send_batchable(envelope(&target.server, batch))
                    .await
                    .unwrap(),
            );
        }
    }
    while let Some(outcome) = under_way.next().await {
        outcome.unwrap();
    }
    sender.close().await.unwrap();
    session.end().await.unwrap();
}

fn message(job: &str, target: &Target) -> Vec<u8> {
    let properties = Properties::builder()
        .message_id(Uuid::new_v4().to_string())
        .subject(job.to_owned())
        .group_id(target.server.clone())
        .build();
    let ours = ApplicationProperties::builder()
        .insert("SbmRun", Uuid::nil().to_string())
        .insert("SbmPurpose", "Build")
        .insert("SbmTarget", target.to_string())
        .build();
    let body = format!(
        "{{\n  \"ServerName\": \"{0}\",\n  \"DbOverrideSequence\": [\n    {{\n      \"ConcurrencyTag\": \"\",\n      \"Server\": \"{0}\",\n      \
         \"DefaultDbTarget\": \"client\",\n      \"OverrideDbTarget\": \"{1}\"\n    }}\n  ],\n  \"ConcurrencyTag\": \"\"\n}}",
        target.server, target.pairs[0].database
    );
    let mut bytes = serde_amqp::to_vec(&properties).unwrap();
    bytes.extend(serde_amqp::to_vec(&ours).unwrap());
    bytes.extend(serde_amqp::to_vec(&Data(body.into_bytes().into())).unwrap());
    bytes
}

fn envelope(server: &str, batch: Vec<Data>) -> Sendable<fe2o3_amqp_types::messaging::Batch<Data>> {
    let properties = Properties::builder().group_id(server.to_owned()).build();
    let message = Message::builder()
        .properties(properties)
        .data_batch(batch)
        .build();
    Sendable::builder()
        .message(message)
        .message_format(BATCH_FORMAT)
        .build()
}

/// Reads each message's JSON and accepts it, without waiting for an answer.
async fn receive(connection: &mut ConnectionHandle<()>, job: &str, count: usize) {
    let mut session = Session::begin(connection).await.unwrap();
    let mut receiver = Receiver::builder()
        .name("in")
        .source(format!("{TOPIC}/Subscriptions/{job}"))
        .sender_settle_mode(SenderSettleMode::Unsettled)
        .receiver_settle_mode(ReceiverSettleMode::Second)
        .credit_mode(CreditMode::Auto(CREDIT))
        .attach(&mut session)
        .await
        .unwrap();
    for _ in 0..count {
        let delivery = receiver.recv::<Body<Value>>().await.unwrap();
        receiver.accept(&delivery).await.unwrap();
        if let Body::Data(body) = delivery.into_body() {
            for Data(bytes) in body {
                serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
            }
        }
    }
    receiver.close().await.unwrap();
    session.end().await.unwrap();
}
