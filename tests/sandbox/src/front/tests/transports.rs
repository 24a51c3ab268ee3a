//! The same in all ways that lead to the port.

use std::fmt::Debug;

use fe2o3_amqp_types::messaging::{Body, Outcome};
use fe2o3_amqp_types::primitives::Value;
use fe2o3_amqp_ws::WebSocketStream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::client::{Client, batch};
use super::{DEADLINE, Place};

#[tokio::test]
async fn messages_go_and_come_over_plain_tcp() {
    let place = Place::new().await;
    let stream = place.tcp().await;
    timeout(DEADLINE, send_and_receive(&place, stream))
        .await
        .unwrap();
}

#[tokio::test]
async fn messages_go_and_come_over_tls() {
    let place = Place::new().await;
    let stream = place.tls().await;
    timeout(DEADLINE, send_and_receive(&place, stream))
        .await
        .unwrap();
}

#[tokio::test]
async fn messages_go_and_come_over_a_websocket() {
    let place = Place::new().await;
    let address = format!("ws://127.0.0.1:{}/$servicebus/websocket", place.port);
    let stream = timeout(DEADLINE, WebSocketStream::connect(address))
        .await
        .unwrap()
        .unwrap();
    timeout(DEADLINE, send_and_receive(&place, stream))
        .await
        .unwrap();
}

#[tokio::test]
async fn messages_go_and_come_over_a_websocket_in_tls() {
    let place = Place::new().await;
    let address = format!("ws://localhost:{}/$servicebus/websocket", place.port);
    let stream = place.tls().await;
    let stream = timeout(
        DEADLINE,
        WebSocketStream::connect_with_stream(address, stream),
    )
    .await
    .unwrap()
    .unwrap();
    timeout(DEADLINE, send_and_receive(&place, stream))
        .await
        .unwrap();
}

#[tokio::test]
async fn http_is_answered_by_the_router_on_the_same_port() {
    let place = Place::new().await;
    let (plain, tls) = (place.tcp().await, place.tls().await);
    for answer in [
        timeout(DEADLINE, ask(plain)).await.unwrap(),
        timeout(DEADLINE, ask(tls)).await.unwrap(),
    ] {
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"),
            "{answer}"
        );
    }
}

/// Sends small and large messages, several of a batch and more than a frame, and settles them.
async fn send_and_receive<S>(place: &Place, stream: S)
where
    S: AsyncRead + AsyncWrite + Debug + Send + Unpin + 'static,
{
    let mut client = Client::open(stream, Some("root")).await;
    let mut sender = client.sender("topic").await.unwrap();
    for sent in [batch(3, "s", 100), batch(1, "s", 200_000)] {
        assert!(matches!(
            sender.send(sent).await.unwrap(),
            Outcome::Accepted(_)
        ));
    }
    assert_eq!((place.active("plain"), place.active("sessions")), (4, 4));
    let mut receiver = client
        .receiver("topic/Subscriptions/plain", None)
        .await
        .unwrap();
    receiver.set_credit(10).await.unwrap();
    for length in [100, 100, 100, 200_000] {
        let delivery = receiver.recv::<Body<Value>>().await.unwrap();
        assert_eq!(delivery.delivery_tag().len(), 16, "the tag is a lock token");
        let message = delivery.message();
        assert_eq!(
            message.header.as_ref().map(|header| header.delivery_count),
            Some(0)
        );
        assert!(
            message.properties.as_ref().unwrap().message_id.is_some(),
            "the broker gives an id"
        );
        let Body::Data(data) = &message.body else {
            panic!("the body is data")
        };
        assert_eq!(data.iter().map(|data| data.0.len()).sum::<usize>(), length);
        receiver.accept(&delivery).await.unwrap();
    }
    place.until_active("plain", 0).await;
    receiver.close().await.unwrap();
    sender.close().await.unwrap();
    client.close().await;
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    let request = b"GET /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // The end of TLS may come without notice; what counts is the answer.
    stream
        .read_to_end(&mut answer)
        .await
        .map(drop)
        .unwrap_or_default();
    String::from_utf8(answer).unwrap()
}
