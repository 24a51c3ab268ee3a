//! What a client of AMQP that we did not write makes of it, by way of a real port.

mod client;
mod refusals;
mod transports;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Front;
use crate::Broker;
use crate::cbs::{AccessKey, Keys, NoTokens, Right};
use crate::clock::{Clock, ManualClock};
use crate::service_bus::{SubscriptionSettings, TopicSettings};

/// How long anything may take before a test fails.
const DEADLINE: Duration = Duration::from_secs(120);
/// The secret of all keys.
const SECRET: &str = "c2VjcmV0";

/// A port with the topic `topic` and the subscriptions `plain` and `sessions`, which take everything.
struct Place {
    broker: Arc<Broker>,
    clock: Arc<ManualClock>,
    port: u16,
    certificate: CertificateDer<'static>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Place {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(
            Timestamp::from_second(1_800_000_000).unwrap(),
        ));
        let key = |name: &str, right| AccessKey {
            name: name.to_owned(),
            key: SECRET.to_owned(),
            rights: vec![right],
            entity: String::new(),
        };
        let keys = Keys::new(vec![
            key("root", Right::Manage),
            key("listener", Right::Listen),
        ]);
        let broker = Arc::new(Broker::new(
            Arc::clone(&clock) as Arc<dyn Clock>,
            keys,
            Arc::new(NoTokens),
        ));
        let bus = &broker.service_bus;
        bus.create_topic("topic", TopicSettings::default()).unwrap();
        bus.create_subscription("topic", "plain", SubscriptionSettings::default(), None)
            .unwrap();
        let by_session = SubscriptionSettings {
            requires_session: true,
            ..SubscriptionSettings::default()
        };
        bus.create_subscription("topic", "sessions", by_session, None)
            .unwrap();
        let (certificate, tls) = tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().route("/hello", get(|| async { "hello" }));
        let front =
            tokio::spawn(Front::new(Arc::clone(&broker), Some(tls), router).listen(listener));
        let time = Arc::clone(bus);
        let time = tokio::spawn(async move { time.keep_time().await });
        let tasks = vec![front.abort_handle(), time.abort_handle()];
        Self {
            broker,
            clock,
            port,
            certificate,
            tasks,
        }
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    async fn tls(&self) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(provider());
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        connector
            .connect("localhost".try_into().unwrap(), self.tcp().await)
            .await
            .unwrap()
    }

    fn active(&self, subscription: &str) -> u64 {
        self.broker
            .service_bus
            .subscription("topic", subscription)
            .unwrap()
            .counts
            .active
    }

    /// Waits until a subscription holds so many messages.
    async fn until_active(&self, subscription: &str, count: u64) {
        let wait = async {
            while self.active(subscription) != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.unwrap();
    }
}

fn tls() -> (CertificateDer<'static>, Arc<ServerConfig>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (certificate, Arc::new(config))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
