//! Event Hubs beyond the contract of events: faults, foreign events, and other ways to connect.

use std::{sync::Arc, time::Duration};

use fe2o3_amqp_types::messaging::Properties;
use jiff::Timestamp;
use sbm::{
    azure::{
        amqp::Settings,
        event_hubs::{Hub, HubEventReader, HubEvents},
        service_bus::Open,
    },
    events::{EventReader, Events, Feed},
    protocol::{Event, EventKind, Pair, Platform, Target},
};
use uuid::Uuid;

use super::{
    cut::Way,
    raw::{self, port},
    sandbox::Sandbox,
};
use crate::{contract::queue::PATIENCE, support::postgres::runtime};

fn event(run_id: Uuid, number: usize) -> Event {
    let target = Target {
        server: "s".into(),
        pairs: vec![Pair {
            default: String::new(),
            database: "d".into(),
        }],
        tag: None,
    };
    Event {
        run_id,
        key: target.key(Platform::PostgreSql),
        at: Timestamp::now(),
        kind: EventKind::Script {
            script: format!("{number}.sql"),
        },
    }
}

async fn next(feed: &mut Feed) -> Event {
    let event = tokio::time::timeout(PATIENCE, feed.next()).await;
    event.expect("an event comes").expect("the feed goes on")
}

/// One event goes in and out.
async fn use_it(open: Open) {
    let (hub, run_id) = (Hub::open(open).unwrap(), Uuid::new_v4());
    let begun = Timestamp::now();
    let events = HubEvents::new(Arc::clone(&hub), "job", "w");
    events.publish(event(run_id, 7));
    events.close().await;
    assert_eq!(events.dropped(), 0);
    let reader = HubEventReader::new(hub, run_id, None);
    let mut feed = reader.subscribe(begun).await.unwrap();
    let EventKind::Script { script } = next(&mut feed).await.kind else {
        panic!("another event");
    };
    assert_eq!(script, "7.sql");
}

#[test]
fn a_hub_is_used_without_tls_in_a_web_socket_and_with_a_token_of_entra() {
    let Some(sandbox) = Sandbox::find() else {
        return;
    };
    runtime().block_on(async {
        let place = &sandbox.event_hubs;
        use_it(sandbox.open(&place.emulator)).await;
        let web_socket = Settings {
            web_socket: true,
            ..Settings::default()
        };
        use_it(Open {
            settings: web_socket,
            ..sandbox.open(&place.connection)
        })
        .await;
        use_it(Open {
            identity: Some(Arc::new(sandbox.identity().await)),
            ..sandbox.open(&format!("{}|sbm", place.namespace))
        })
        .await;
    });
}

#[test]
fn foreign_events_are_passed_over_and_what_is_none_is_counted() {
    let Some(sandbox) = Sandbox::find() else {
        return;
    };
    runtime().block_on(async {
        let run_id = Uuid::new_v4();
        let reader_of = |since| {
            let hub = Hub::open(sandbox.open(&sandbox.event_hubs.connection)).unwrap();
            let reader = HubEventReader::new(hub, run_id, None);
            async move { (reader.subscribe(since).await.unwrap(), reader) }
        };
        let (mut feed, reader) = reader_of(Timestamp::now()).await;
        let foreign = br#"{"Properties":{"LogMsg":{"JobName":"job","LogType":"Commit"}}}"#;
        raw::send(&sandbox, "sbm", Properties::default(), foreign).await;
        raw::send(&sandbox, "sbm", Properties::default(), b"no event").await;
        let hub = Hub::open(sandbox.open(&sandbox.event_hubs.connection)).unwrap();
        let events = HubEvents::new(hub, "job", "w");
        events.publish(event(run_id, 1));
        assert_eq!(next(&mut feed).await.run_id, run_id);
        let until = tokio::time::Instant::now() + PATIENCE;
        while reader.malformed() == 0 {
            assert!(tokio::time::Instant::now() < until);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn a_hub_that_cannot_be_reached_costs_events_and_holds_nobody_up() {
    runtime().block_on(async {
        let connection =
            "Endpoint=sb://localhost:1;SharedAccessKeyName=k;SharedAccessKey=v;EntityPath=h";
        let open = Open {
            connection: connection.into(),
            cloud: sbm::azure::Cloud::Public,
            identity: None,
            settings: Settings::default(),
            trust: sbm::azure::Trust::new(None).unwrap(),
        };
        let events = HubEvents::new(Hub::open(open).unwrap(), "job", "w");
        let run_id = Uuid::new_v4();
        for number in 0..30_000 {
            events.publish(event(run_id, number));
        }
        let dropped = events.dropped();
        assert!((1..30_000).contains(&dropped), "{dropped}");
        events.close().await;
    });
}

#[test]
fn a_network_that_is_cut_costs_a_watcher_nothing() {
    let Some(sandbox) = Sandbox::find() else {
        return;
    };
    runtime().block_on(async {
        let (run_id, begun) = (Uuid::new_v4(), Timestamp::now());
        let connection = &sandbox.event_hubs.connection;
        let way = Way::to(port(connection)).await;
        let through =
            connection.replace(&format!(":{}", port(connection)), &format!(":{}", way.port));
        let watched = Hub::open(sandbox.open(&through)).unwrap();
        let reader = HubEventReader::new(watched, run_id, None);
        let mut feed = reader.subscribe(begun).await.unwrap();
        let hub = Hub::open(sandbox.open(connection)).unwrap();
        let events = HubEvents::new(hub, "job", "w");
        for number in 0..5 {
            events.publish(event(run_id, number));
            // Earlier ones may come again.
            let script = format!("{number}.sql");
            while next(&mut feed).await.kind
                != (EventKind::Script {
                    script: script.clone(),
                })
            {}
            way.cut();
        }
        events.close().await;
    });
}
