//! A client on `fe2o3-amqp`.

use std::fmt::Debug;

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::link::{ReceiverAttachError, SenderAttachError};
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::{Connection, Receiver, Sendable, Sender, Session};
use fe2o3_amqp_types::messaging::{
    ApplicationProperties, Body, Data, FilterSet, Message, MessageId, Properties, Source,
};
use fe2o3_amqp_types::primitives::{SimpleValue, Symbol, Value};
use tokio::io::{AsyncRead, AsyncWrite};

use super::SECRET;
use crate::amqp::message::BATCH;

/// A connection, and a session for every link: after an attach that is refused, the library may give the handle of the
/// link that is gone to the next one of the session and then detach that.
pub(super) struct Client {
    connection: ConnectionHandle<()>,
    sessions: Vec<SessionHandle<()>>,
}

impl Client {
    /// Logs in with the name of a key, or with none at all.
    pub(super) async fn open<S>(stream: S, name: Option<&str>) -> Self
    where
        S: AsyncRead + AsyncWrite + Debug + Send + Unpin + 'static,
    {
        let profile = match name {
            Some(name) => SaslProfile::Plain {
                username: name.to_owned(),
                password: SECRET.to_owned(),
            },
            None => SaslProfile::Anonymous,
        };
        let builder = Connection::builder()
            .container_id("test")
            .max_frame_size(65_536_u32);
        let connection = builder
            .sasl_profile(profile)
            .open_with_stream(stream)
            .await
            .unwrap();
        Self {
            connection,
            sessions: Vec::new(),
        }
    }

    pub(super) async fn close(mut self) {
        for session in &mut self.sessions {
            session.end().await.unwrap();
        }
        self.connection.close().await.unwrap();
    }

    async fn session(&mut self) -> &mut SessionHandle<()> {
        let session = Session::begin(&mut self.connection).await.unwrap();
        self.sessions.push(session);
        self.sessions.last_mut().unwrap()
    }

    pub(super) async fn sender(&mut self, address: &str) -> Result<Sender, SenderAttachError> {
        Sender::attach(self.session().await, format!("to {address}"), address).await
    }

    /// Receives from an address: from this session, from the next (empty), or without session.
    pub(super) async fn receiver(
        &mut self,
        address: &str,
        session: Option<&str>,
    ) -> Result<Receiver, ReceiverAttachError> {
        let mut filter = FilterSet::new();
        if let Some(session) = session {
            let wanted = if session.is_empty() {
                Value::Null
            } else {
                Value::String(session.to_owned())
            };
            filter.insert(Symbol::from("com.microsoft:session-filter"), wanted);
        }
        let source = Source {
            filter: Some(filter),
            ..Source::builder().address(address).build()
        };
        let builder = Receiver::builder()
            .name(format!("from {address} {session:?}"))
            .source(source);
        builder
            .credit_mode(CreditMode::Manual)
            .attach(self.session().await)
            .await
    }

    /// Puts a token and gives the status of the answer.
    pub(super) async fn put_token(&mut self, token: &str, audience: &str) -> Option<SimpleValue> {
        let mut sender = self.sender("$cbs").await.unwrap();
        let builder = Receiver::builder()
            .name("cbs")
            .source("$cbs")
            .target("cbs-reply");
        let mut receiver = builder.attach(self.session().await).await.unwrap();
        let properties = [
            ("operation", "put-token"),
            ("type", "servicebus.windows.net:sastoken"),
            ("name", audience),
        ];
        let mut application = ApplicationProperties::default();
        for (key, value) in properties {
            application.0.insert(key.to_owned(), value.into());
        }
        let request = Message::builder()
            .properties(Properties {
                message_id: Some(1_u64.into()),
                reply_to: Some("cbs-reply".into()),
                ..Properties::default()
            })
            .application_properties(application)
            .value(token.to_owned())
            .build();
        sender.send(request).await.unwrap();
        let answer = receiver.recv::<Body<Value>>().await.unwrap();
        assert_eq!(
            answer.message().properties.as_ref().unwrap().correlation_id,
            Some(MessageId::Ulong(1))
        );
        let status = answer
            .message()
            .application_properties
            .as_ref()
            .unwrap()
            .0
            .get("status-code")
            .cloned();
        receiver.close().await.unwrap();
        sender.close().await.unwrap();
        status
    }
}

/// A message with a body of this length, encoded.
pub(super) fn encoded(session: &str, length: usize) -> Vec<u8> {
    let properties = Properties {
        group_id: Some(session.to_owned()),
        ..Properties::default()
    };
    let mut bytes = serde_amqp::to_vec(&properties).unwrap();
    bytes.extend(serde_amqp::to_vec(&Data(vec![b'x'; length].into())).unwrap());
    bytes
}

/// A batch of messages of one session.
pub(super) fn batch(
    count: usize,
    session: &str,
    length: usize,
) -> Sendable<fe2o3_amqp_types::messaging::Batch<Data>> {
    let messages: Vec<_> = (0..count)
        .map(|_| Data(encoded(session, length).into()))
        .collect();
    Sendable::builder()
        .message(Message::builder().data_batch(messages).build())
        .message_format(BATCH)
        .build()
}
