//! Messages as other programs send them: by the AMQP library alone.

use fe2o3_amqp::{Connection, Sender, Session, sasl_profile::SaslProfile};
use fe2o3_amqp_types::messaging::{Data, Message, Properties};

use super::sandbox::Sandbox;

/// A part of a connection string.
pub(crate) fn part<'a>(connection: &'a str, name: &str) -> &'a str {
    let mut parts = connection
        .split(';')
        .filter_map(|part| part.split_once('='));
    parts.find(|(key, _)| *key == name).unwrap().1
}

/// Host and port of a connection string.
pub(crate) fn port(connection: &str) -> u16 {
    let endpoint = part(connection, "Endpoint").trim_end_matches('/');
    endpoint.rsplit_once(':').unwrap().1.parse().unwrap()
}

/// Sends one message with these bytes to a topic or a hub.
pub(crate) async fn send(sandbox: &Sandbox, node: &str, properties: Properties, body: &[u8]) {
    let emulator = &sandbox.service_bus.emulator;
    let login = SaslProfile::Plain {
        username: part(emulator, "SharedAccessKeyName").into(),
        password: part(emulator, "SharedAccessKey").into(),
    };
    let url = format!("amqp://localhost:{}", port(emulator));
    let mut connection = Connection::builder()
        .container_id("another program")
        .sasl_profile(login)
        .open(&*url)
        .await
        .unwrap();
    let mut session = Session::begin(&mut connection).await.unwrap();
    let mut sender = Sender::attach(&mut session, "link", node).await.unwrap();
    let message = Message::builder()
        .properties(properties)
        .data(Data(body.to_vec().into()))
        .build();
    let outcome = sender.send(message).await.unwrap();
    outcome
        .accepted_or_else(|outcome| format!("{outcome:?}"))
        .unwrap();
    sender.close().await.unwrap();
    session.end().await.unwrap();
    connection.close().await.unwrap();
}
