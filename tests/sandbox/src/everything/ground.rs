//! What the services share, and how they come to be served.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::keys::NamespaceKeys;
use super::ports::{Listeners, Ports};
use super::{HUB, TOPIC};
use crate::atom::{self, Doorkeeper};
use crate::azurite::{self, Azurite};
use crate::cbs::TokenCheck;
use crate::certificates::Certificates;
use crate::clock::SystemClock;
use crate::document::{Blob, Document, EventHubs, Guarded, ServiceBus};
use crate::entra::{self, Directory};
use crate::event_hubs::HubSettings;
use crate::faults_api::{self, Controls, Faults};
use crate::front::Front;
use crate::key_vault::{self, Vault};
use crate::service_bus::TopicSettings;
use crate::{Broker, github_oidc, imds, web};

/// Certificates, identities, keys and faults.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) certificates: Certificates,
    pub(super) directory: Arc<Directory>,
    faults: Arc<Faults>,
    keys: NamespaceKeys,
    broker: Arc<Broker>,
    job_token: String,
    identity_header: String,
}

impl Ground {
    pub(super) fn new(certificates: Certificates) -> Result<Self> {
        let directory = Arc::new(Directory::new()?);
        let keys = NamespaceKeys::generate();
        let tokens: Arc<dyn TokenCheck> = Arc::<Directory>::clone(&directory);
        let broker = Arc::new(Broker::new(Arc::new(SystemClock), keys.all(), tokens));
        broker
            .service_bus
            .create_topic(TOPIC, TopicSettings::default())?;
        broker.event_hubs.create(HUB, HubSettings::default());
        Ok(Self {
            certificates,
            directory,
            faults: Arc::default(),
            keys,
            broker,
            job_token: Uuid::new_v4().simple().to_string(),
            identity_header: Uuid::new_v4().to_string(),
        })
    }

    pub(super) fn document(
        &self,
        ports: Ports,
        with_blob: bool,
        federated_token_file: PathBuf,
    ) -> Document {
        let application = self.directory.standard();
        let (http, client) = (ports.http_url(), application.client);
        Document {
            program: std::env::current_exe().unwrap_or_default(),
            certificate: self.certificates.authority.clone(),
            service_bus: self.service_bus(ports.bus),
            event_hubs: self.event_hubs(ports.bus),
            blob: with_blob.then(|| blob(ports.blob)),
            key_vault: ports.key_vault_url(),
            entra: ports.entra_url(),
            tenant: self.directory.tenant(),
            client,
            client_secret: application.secret.clone(),
            imds: http.clone(),
            identity_endpoint: Guarded {
                url: format!("{http}/msi/token"),
                token: self.identity_header.clone(),
            },
            github_oidc: Guarded {
                url: format!("{http}/oidc/{client}?api-version=2.0"),
                token: self.job_token.clone(),
            },
            azure_pipelines: Guarded {
                url: format!("{http}/pipelines/{client}"),
                token: self.job_token.clone(),
            },
            federated_token_file,
            faults: format!("{http}/faults"),
            counters: format!("{http}/counters"),
        }
    }

    fn service_bus(&self, port: u16) -> ServiceBus {
        ServiceBus {
            emulator: self.keys.emulator(port),
            connection: self.keys.connection(port),
            listen_only: self.keys.listen_only(port),
            namespace: format!("localhost:{port}"),
            topic: TOPIC.to_owned(),
        }
    }

    fn event_hubs(&self, port: u16) -> EventHubs {
        EventHubs {
            emulator: format!("{};EntityPath={HUB}", self.keys.emulator(port)),
            connection: format!("{};EntityPath={HUB}", self.keys.connection(port)),
            namespace: format!("localhost:{port}"),
            hub: HUB.to_owned(),
        }
    }

    /// Serves everything until the runtime ends.
    pub(super) fn serve(&self, listeners: Listeners, ports: Ports, azurite: Option<&Azurite>) {
        let secure = Arc::clone(&self.certificates.serve);
        let (directory, faults) = (&self.directory, &self.faults);
        let entra = ports.entra_url();
        web::serve_secure(
            listeners.entra,
            Arc::clone(&secure),
            entra::router(Arc::clone(directory), faults, &entra),
        );
        let vault = Arc::new(Vault::new(&ports.key_vault_url()));
        let vault = key_vault::router(vault, Arc::clone(directory), faults, &entra);
        web::serve_secure(listeners.key_vault, Arc::clone(&secure), vault);
        if let Some(azurite) = azurite {
            let blob = azurite::router(azurite.port, &self.certificates, faults);
            web::serve_secure(listeners.blob, secure, blob);
        }
        self.serve_bus(listeners.bus);
        let controls = Controls {
            faults: Arc::clone(faults),
            directory: Arc::clone(directory),
            broker: Arc::clone(&self.broker),
        };
        let plain = imds::router(Arc::clone(directory), faults, &self.identity_header)
            .merge(github_oidc::router(
                Arc::clone(directory),
                faults,
                &self.job_token,
            ))
            .merge(faults_api::router(controls));
        web::serve_plain(listeners.http, plain);
    }

    fn serve_bus(&self, listener: TcpListener) {
        let broker = &self.broker;
        let doorkeeper = Doorkeeper::new(broker.keys.clone(), Arc::clone(&broker.tokens));
        let management = atom::router(Arc::clone(&broker.service_bus), doorkeeper, &self.faults);
        let front = Front::new(
            Arc::clone(broker),
            Some(Arc::clone(&self.certificates.serve)),
            management,
        );
        tokio::spawn(front.listen(listener));
        let entities = Arc::clone(&broker.service_bus);
        tokio::spawn(async move { entities.keep_time().await });
    }
}

fn blob(port: u16) -> Blob {
    Blob {
        account: azurite::ACCOUNT.to_owned(),
        key: azurite::KEY.to_owned(),
        endpoint: format!("https://127.0.0.1:{port}/{}", azurite::ACCOUNT),
    }
}
