//! The namespace, as one process uses it: one connection for all queues, and who uses which of them.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use azure_core::credentials::TokenCredential;
use secrecy::SecretString;
use tokio::sync::watch;

use super::{Options, ServiceBusQueue, TOPIC, intake::Intake, management::Management};
use crate::azure::{
    Cloud, Service, Trust, TrustError,
    amqp::{Address, AddressError, Client, Credential, Error, Settings},
};

/// What is needed to use a namespace.
#[derive(Clone)]
pub struct Open {
    /// A connection string, or the name of a namespace.
    pub connection: SecretString,
    /// The cloud of a short name.
    pub cloud: Cloud,
    /// Gets tokens when no connection string with a key is given.
    pub identity: Option<Arc<dyn TokenCredential>>,
    /// How AMQP is spoken.
    pub settings: Settings,
    /// Whose certificates are trusted.
    pub trust: Trust,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open")
            .field("cloud", &self.cloud)
            .finish_non_exhaustive()
    }
}

/// Why a namespace cannot be used, as far as can be told without asking it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address.
    #[error("the connection of {what} is {source}")]
    Address {
        /// The service.
        what: &'static str,
        /// What is wrong with it.
        source: AddressError,
    },
    /// There is neither a key nor an identity.
    #[error("{0} has no key in its connection and no identity is at hand")]
    NoCredential(
        /// The service.
        &'static str,
    ),
    /// TLS cannot be set up.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The connection cannot be set up.
    #[error(transparent)]
    Client(#[from] Error),
}

/// A namespace with the topic of targets.
pub struct ServiceBus {
    pub(super) client: Client,
    pub(super) management: Management,
    pub(super) topic: String,
    queues: Mutex<HashMap<String, Shared>>,
}

/// What the handles of one queue in this process share.
struct Shared {
    is_closed: watch::Sender<bool>,
    intakes: Vec<Weak<Intake>>,
}

impl fmt::Debug for ServiceBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceBus({self})")
    }
}

impl fmt::Display for ServiceBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.client.address(), self.topic)
    }
}

impl ServiceBus {
    /// A namespace; nothing is connected before it is used.
    pub fn open(open: Open) -> Result<Arc<Self>, OpenError> {
        const WHAT: &str = "Service Bus";
        let parsed = Address::parse(&open.connection, open.cloud);
        let (address, key) = parsed.map_err(|source| OpenError::Address { what: WHAT, source })?;
        let credential = match (key, open.identity) {
            (Some(key), _) => Credential::Key(key),
            (None, Some(credential)) => Credential::Identity {
                credential,
                scope: open.cloud.scope(Service::ServiceBus).to_owned(),
            },
            (None, None) => return Err(OpenError::NoCredential(WHAT)),
        };
        let topic = address.entity.clone().unwrap_or_else(|| TOPIC.to_owned());
        let client = Client::new(address, credential, open.settings, &open.trust)?;
        Ok(Arc::new(Self {
            management: Management::new(client.clone(), open.trust.http()?),
            client,
            topic,
            queues: Mutex::default(),
        }))
    }

    /// A handle of a job's queue, whether it is there yet or not.
    pub fn queue(self: &Arc<Self>, options: Options) -> ServiceBusQueue {
        ServiceBusQueue::new(Arc::clone(self), options)
    }

    /// Where messages of a subscription come from.
    pub(super) fn source(&self, subscription: &str) -> String {
        format!("{}/Subscriptions/{subscription}", self.topic)
    }

    /// Notes a receiver; what tells it that the queue is closed.
    pub(super) fn join(&self, subscription: &str, intake: Weak<Intake>) -> watch::Receiver<bool> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = queues
            .entry(subscription.to_owned())
            .or_insert_with(|| Shared {
                is_closed: watch::Sender::new(false),
                intakes: Vec::new(),
            });
        shared.intakes.retain(|intake| intake.strong_count() > 0);
        shared.intakes.push(intake);
        shared.is_closed.subscribe()
    }

    /// Closes a queue for all receivers of this process, or opens it again.
    pub(super) fn set_closed(&self, subscription: &str, is_closed: bool) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = queues.get(subscription) {
            shared.is_closed.send_replace(is_closed);
        }
    }

    /// Lets all receivers of this process know that a queue was removed.
    pub(super) fn forget(&self, subscription: &str) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = queues.get(subscription) {
            shared.is_closed.send_replace(false);
            let intakes = shared.intakes.iter().filter_map(Weak::upgrade);
            intakes.for_each(|intake| intake.reset());
        }
    }
}
