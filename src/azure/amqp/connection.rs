//! One connection, and what is done on it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use fe2o3_amqp::{
    Receiver, Sender, connection::ConnectionHandle, link::receiver::CreditMode,
    sasl_profile::SaslProfile, session::SessionHandle,
};
use fe2o3_amqp_types::{
    definitions::{Fields, ReceiverSettleMode, SenderSettleMode},
    messaging::Source,
    primitives::SimpleValue,
};
use rustls::ClientConfig;
use secrecy::ExposeSecret;
use tokio::{sync::Mutex, time::timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    Address, Credential, Error, LockToken, OPERATION, Reply, Request, Settings, Settling,
    cbs::{self, Cbs},
    outcomes::Outcomes,
    request::Requests,
    stream,
    tap::Tap,
};

/// The biggest frame that the services take.
const FRAME: u32 = 65_536;

/// A connection on which nothing comes for so long is dead; the services send something every half minute.
const IDLE: Duration = Duration::from_secs(120);

/// A sequence of links on a connection.
pub(in crate::azure) type Session = SessionHandle<()>;

/// An open connection.
pub(in crate::azure) struct Connection {
    address: Address,
    handle: Mutex<ConnectionHandle<()>>,
    outcomes: Arc<Outcomes>,
    ended: CancellationToken,
    cbs: Cbs,
    requests: Mutex<HashMap<String, Arc<Requests>>>,
    keeper: OnceLock<AbortOnDropHandle<()>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.address)
    }
}

/// What `future` gives within the time of one operation.
pub(super) async fn within<T, E: Into<Error>>(
    what: &str,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T, Error> {
    let done = timeout(OPERATION, future).await;
    done.map_err(|_| Error::timed_out(what))?
        .map_err(Into::into)
}

impl Connection {
    /// Opens one.
    pub(super) async fn open(
        address: &Address,
        credential: &Credential,
        settings: &Settings,
        tls: &Arc<ClientConfig>,
    ) -> Result<Arc<Self>, Error> {
        let opened = timeout(OPERATION, Self::dial(address, credential, settings, tls));
        opened.await.unwrap_or_else(|_| {
            Err(Error::Unreachable {
                place: address.to_string(),
                why: "it does not answer".to_owned(),
            })
        })
    }

    async fn dial(
        address: &Address,
        credential: &Credential,
        settings: &Settings,
        tls: &Arc<ClientConfig>,
    ) -> Result<Arc<Self>, Error> {
        let stream = stream::dial(address, settings.web_socket, tls).await?;
        let (outcomes, ended) = (Arc::new(Outcomes::default()), CancellationToken::new());
        let tap = Tap::new(stream, Arc::clone(&outcomes), ended.clone());
        let name = format!("sbm-{}", uuid::Uuid::new_v4().simple());
        let handle = fe2o3_amqp::Connection::builder()
            .container_id(name)
            .hostname(address.host.as_str())
            .sasl_hostname(address.host.as_str())
            .scheme("amqp")
            .max_frame_size(FRAME)
            .idle_time_out(u32::try_from(IDLE.as_millis()).unwrap_or(u32::MAX))
            .sasl_profile(SaslProfile::Anonymous)
            .open_with_stream(tap)
            .await?;
        Ok(Arc::new(Self {
            address: address.clone(),
            handle: Mutex::new(handle),
            outcomes,
            ended,
            cbs: Cbs::new(credential.clone(), settings.token_lifetime),
            requests: Mutex::default(),
            keeper: OnceLock::new(),
        }))
    }

    /// Whether nothing comes any more.
    pub(in crate::azure) fn is_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Returns when nothing comes any more.
    pub(in crate::azure) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Does without this connection from now on: it did not answer.
    pub(in crate::azure) fn give_up(&self) {
        self.outcomes.close();
        self.ended.cancel();
    }

    pub(super) fn cbs(&self) -> &Cbs {
        &self.cbs
    }

    pub(super) fn resource(&self, entity: &str) -> String {
        self.address.resource(entity)
    }

    /// Makes sure that the connection has the right to use `entity`, and keeps it.
    pub(in crate::azure) async fn authorise(self: &Arc<Self>, entity: &str) -> Result<(), Error> {
        if self.cbs.authorise(self, entity).await? {
            let keep = tokio::spawn(cbs::keep(Arc::downgrade(self)));
            // Only whoever told the first token comes here.
            drop(self.keeper.set(AbortOnDropHandle::new(keep)));
        }
        Ok(())
    }

    /// A token for `entity`, for nodes that want one with each request.
    pub(in crate::azure) async fn token(&self, entity: &str) -> Result<SimpleValue, Error> {
        let token = self.cbs.token(&self.resource(entity)).await?;
        Ok(SimpleValue::String(token.text.expose_secret().to_owned()))
    }

    /// Begins a session.
    pub(in crate::azure) async fn session(&self) -> Result<Session, Error> {
        if self.is_ended() {
            return Err(Error::lost("it has ended"));
        }
        let begun = within("a session", async {
            let mut handle = self.handle.lock().await;
            fe2o3_amqp::Session::begin(&mut handle).await
        });
        let begun = begun.await;
        if matches!(begun, Err(Error::TimedOut { .. })) {
            self.give_up();
        }
        begun
    }

    /// A link on which messages are sent to `node`.
    pub(in crate::azure) async fn sender(
        &self,
        session: &mut Session,
        node: &str,
    ) -> Result<Sender, Error> {
        let attached = Sender::builder()
            .name(link_name())
            .source(link_name().as_str())
            .target(node)
            .attach(session);
        within(node, attached).await
    }

    /// A link on which messages come, of which none is sent before there is credit. `limit` is how long the service may take.
    pub(in crate::azure) async fn receiver(
        &self,
        session: &mut Session,
        source: Source,
        properties: Fields,
        settled: bool,
        limit: Duration,
    ) -> Result<Receiver, Error> {
        let mode = if settled {
            (SenderSettleMode::Settled, ReceiverSettleMode::First)
        } else {
            (SenderSettleMode::Unsettled, ReceiverSettleMode::Second)
        };
        let attached = Receiver::builder()
            .name(link_name())
            .source(source)
            .properties(properties)
            .sender_settle_mode(mode.0)
            .receiver_settle_mode(mode.1)
            .credit_mode(CreditMode::Manual)
            .verify_incoming_source(false)
            .attach(session);
        let attached = timeout(limit, attached).await;
        let attached = attached.map_err(|_| Error::timed_out("a link"))?;
        Ok(attached?)
    }

    /// The answer to a message that is about to be settled.
    pub(in crate::azure) fn expect(&self, token: LockToken) -> Settling {
        self.outcomes.expect(token)
    }

    /// Asks `node`, for which the connection must have the right.
    pub(in crate::azure) async fn request(
        &self,
        node: &str,
        request: Request,
    ) -> Result<Reply, Error> {
        let requests = self.requests_of(node).await?;
        let answered = requests.call(request).await;
        if matches!(answered, Err(Error::TimedOut { .. })) {
            self.give_up();
        }
        answered
    }

    async fn requests_of(&self, node: &str) -> Result<Arc<Requests>, Error> {
        let mut all = self.requests.lock().await;
        if let Some(requests) = all.get(node).filter(|requests| requests.is_open()) {
            return Ok(Arc::clone(requests));
        }
        let requests = Requests::open(self.session().await?, node).await?;
        let requests = Arc::new(requests);
        all.insert(node.to_owned(), Arc::clone(&requests));
        Ok(requests)
    }
}

fn link_name() -> String {
    format!("sbm-{}", uuid::Uuid::new_v4().simple())
}
