//! What is refused, and with which condition.

use std::time::Duration;

use fe2o3_amqp_types::messaging::{Body, Outcome};
use fe2o3_amqp_types::primitives::{SimpleValue, Value};
use tokio::time::timeout;

use super::client::{Client, batch};
use super::{DEADLINE, Place, SECRET};
use crate::cbs::sign;
use crate::clock::Clock;

const PLAIN: &str = "topic/Subscriptions/plain";
const SESSIONS: &str = "topic/Subscriptions/sessions";

/// Runs a test's steps, but not for ever.
async fn within<T>(steps: impl Future<Output = T>) -> T {
    timeout(DEADLINE, steps).await.unwrap()
}

fn says(error: &impl std::fmt::Debug, condition: &str) {
    let text = format!("{error:?}");
    assert!(text.contains(condition), "{text} should say {condition}");
}

async fn root(place: &Place) -> Client {
    Client::open(place.tcp().await, Some("root")).await
}

#[tokio::test]
async fn who_may_only_listen_cannot_send() {
    let place = Place::new().await;
    within(async {
        let mut client = Client::open(place.tcp().await, Some("listener")).await;
        says(
            &client.sender("topic").await.unwrap_err(),
            "UnauthorizedAccess",
        );
        client.receiver(PLAIN, None).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn who_has_put_no_token_can_do_nothing_and_a_wrong_one_is_refused() {
    let place = Place::new().await;
    within(async {
        let mut client = Client::open(place.tcp().await, None).await;
        says(
            &client.receiver(PLAIN, None).await.unwrap_err(),
            "UnauthorizedAccess",
        );
        let until = place.clock.now().as_second() + 60;
        let token = sign("root", "another secret", "sb://localhost/topic", until);
        assert_eq!(
            client.put_token(&token, "sb://localhost/topic").await,
            Some(SimpleValue::Int(401))
        );
        let old = sign("root", SECRET, "sb://localhost/topic", until - 60);
        assert_eq!(
            client.put_token(&old, "sb://localhost/topic").await,
            Some(SimpleValue::Int(401))
        );
    })
    .await;
}

#[tokio::test]
async fn links_end_when_their_token_expires() {
    let place = Place::new().await;
    within(async {
        let mut client = Client::open(place.tcp().await, None).await;
        let until = place.clock.now().as_second() + 60;
        let token = sign("root", SECRET, "sb://localhost/topic", until);
        assert_eq!(
            client.put_token(&token, "sb://localhost/topic").await,
            Some(SimpleValue::Int(202))
        );
        let mut sender = client.sender("topic").await.unwrap();
        sender.send(batch(1, "s", 1)).await.unwrap();
        place.clock.advance(Duration::from_secs(60));
        says(&sender.on_detach().await, "UnauthorizedAccess");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_what_is_deleted_under_a_link_detaches_it() {
    let place = Place::new().await;
    within(async {
        let mut client = root(&place).await;
        says(&client.sender("nothing").await.unwrap_err(), "NotFound");
        says(
            &client
                .receiver("topic/Subscriptions/nothing", None)
                .await
                .unwrap_err(),
            "NotFound",
        );
        let mut receiver = client.receiver(PLAIN, None).await.unwrap();
        receiver.set_credit(1).await.unwrap();
        place
            .broker
            .service_bus
            .delete_subscription("topic", "plain")
            .unwrap();
        says(
            &receiver.recv::<Body<Value>>().await.unwrap_err(),
            "NotFound",
        );
    })
    .await;
}

#[tokio::test]
async fn what_is_too_large_or_of_several_sessions_is_rejected_and_the_link_goes_on() {
    let place = Place::new().await;
    within(async {
        let mut client = root(&place).await;
        let mut sender = client.sender("topic").await.unwrap();
        assert_eq!(sender.max_message_size(), Some(256 * 1024));
        let mixed = {
            use fe2o3_amqp::Sendable;
            use fe2o3_amqp_types::messaging::{Data, Message};
            let data = ["a", "b"]
                .map(|session| Data(super::client::encoded(session, 1).into()))
                .to_vec();
            let message = Message::builder().data_batch(data).build();
            Sendable::builder()
                .message(message)
                .message_format(crate::amqp::message::BATCH)
                .build()
        };
        says(&sender.send(mixed).await.unwrap(), "NotAllowed");
        assert!(matches!(
            sender.send(batch(1, "s", 1)).await.unwrap(),
            Outcome::Accepted(_)
        ));
        place.broker.faults.be_busy(1);
        says(
            &sender.send(batch(1, "s", 1)).await.unwrap(),
            "com.microsoft:server-busy",
        );
        assert!(matches!(
            sender.send(batch(1, "s", 1)).await.unwrap(),
            Outcome::Accepted(_)
        ));
        assert_eq!(place.active("plain"), 2);
    })
    .await;
}

#[tokio::test]
async fn a_session_belongs_to_one_link_and_who_loses_it_is_told() {
    let place = Place::new().await;
    within(async {
        let mut client = root(&place).await;
        client
            .sender("topic")
            .await
            .unwrap()
            .send(batch(1, "s", 1))
            .await
            .unwrap();
        let mut first = client.receiver(SESSIONS, Some("")).await.unwrap();
        let given = first
            .source()
            .as_ref()
            .and_then(|source| source.filter.clone())
            .unwrap();
        assert_eq!(given.values().next(), Some(&Value::String("s".to_owned())));
        let mut other = root(&place).await;
        says(
            &other.receiver(SESSIONS, Some("s")).await.unwrap_err(),
            "com.microsoft:session-cannot-be-locked",
        );
        says(
            &other.receiver(SESSIONS, None).await.unwrap_err(),
            "NotAllowed",
        );
        says(
            &other.receiver(PLAIN, Some("s")).await.unwrap_err(),
            "NotAllowed",
        );
        first.set_credit(5).await.unwrap();
        first.recv::<Body<Value>>().await.unwrap();
        place
            .broker
            .service_bus
            .lose_locks("topic", "sessions")
            .unwrap();
        says(
            &first.recv::<Body<Value>>().await.unwrap_err(),
            "com.microsoft:session-lock-lost",
        );
        let mut second = other.receiver(SESSIONS, Some("")).await.unwrap();
        second.set_credit(1).await.unwrap();
        let again = second.recv::<Body<Value>>().await.unwrap();
        assert_eq!(again.message().header.as_ref().unwrap().delivery_count, 1);
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_cut_gives_its_sessions_back() {
    let place = Place::new().await;
    within(async {
        let mut client = root(&place).await;
        client
            .sender("topic")
            .await
            .unwrap()
            .send(batch(1, "s", 1))
            .await
            .unwrap();
        let mut first = client.receiver(SESSIONS, Some("s")).await.unwrap();
        place.broker.faults.drop_connections();
        first.set_credit(1).await.map(drop).unwrap_or_default();
        assert!(first.recv::<Body<Value>>().await.is_err());
        let mut other = root(&place).await;
        // The next free session is waited for, so it does not matter which of the two is first.
        other.receiver(SESSIONS, Some("")).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_sender_that_is_said_to_send_twice_is_taken_twice() {
    let place = Place::new().await;
    within(async {
        place.broker.faults.deliver_twice(true);
        let mut client = root(&place).await;
        client
            .sender("topic")
            .await
            .unwrap()
            .send(batch(2, "s", 1))
            .await
            .unwrap();
        assert_eq!(place.active("plain"), 4);
    })
    .await;
}
