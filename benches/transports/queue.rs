//! The queue, as a conductor and a worker use it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sbm::{
    azure::{
        Cloud, Trust,
        amqp::Settings,
        service_bus::{Open, Options, ServiceBus},
    },
    protocol::{Concurrency, ConcurrencyType, Platform, Target},
    queue::{Purpose, Queue, Received},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{Place, Rates, rate};

/// Targets that are completed at once.
const SLOTS: usize = 64;

pub(crate) async fn measure(place: &Place, targets: &[Target]) -> Rates {
    let run_id = Uuid::new_v4();
    let concurrency = Concurrency {
        kind: ConcurrencyType::Count,
        limit: SLOTS,
        max_slots: SLOTS,
    };
    let job = format!("b{}", run_id.simple());
    let options = Options {
        lock: Duration::from_secs(300),
        ..Options::new(&job, run_id, Platform::SqlServer, concurrency)
    };
    let open = Open {
        connection: place.emulator.clone().into(),
        cloud: Cloud::Public,
        identity: None,
        settings: Settings::default(),
        trust: Trust::new(Some(&place.certificate)).unwrap(),
    };
    let queue: Arc<dyn Queue> = Arc::new(ServiceBus::open(open).unwrap().queue(options));
    queue.create().await.unwrap();
    let begun = Instant::now();
    queue
        .send_all(targets.to_vec(), Purpose::Build)
        .await
        .unwrap();
    let send = rate(targets.len(), begun);
    let begun = Instant::now();
    receive(&queue, targets.len()).await;
    let receive = rate(targets.len(), begun);
    queue.remove().await.unwrap();
    Rates { send, receive }
}

/// Receives one after the other, as a worker does, and completes in tasks.
async fn receive(queue: &Arc<dyn Queue>, count: usize) {
    let mut tasks = JoinSet::new();
    let mut received = 0;
    while received < count {
        while let Some(done) = tasks.try_join_next() {
            let done: Result<(), sbm::queue::Error> = done.unwrap();
            done.unwrap();
        }
        let Received::Delivery(delivery) = queue.receive(Duration::from_secs(10)).await.unwrap()
        else {
            continue;
        };
        received += 1;
        let queue = Arc::clone(queue);
        tasks.spawn(async move { queue.complete(&delivery).await });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
}
