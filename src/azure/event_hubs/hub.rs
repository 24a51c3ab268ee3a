//! A hub, as one process uses it.

use std::{fmt, sync::Arc};

use fe2o3_amqp_types::primitives::SimpleValue;
use serde_amqp::Value;

use crate::azure::{
    Service,
    amqp::{Address, Client, Credential, Error, Request, items, text},
    service_bus::{Open, OpenError},
};

/// A hub.
#[derive(Clone)]
pub struct Hub {
    pub(super) client: Client,
    pub(super) name: String,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hub({self})")
    }
}

impl fmt::Display for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.client.address(), self.name)
    }
}

impl Hub {
    /// A hub, named by a connection string with `EntityPath` or by `namespace|hub`; nothing is connected before it is used.
    pub fn open(open: Open) -> Result<Arc<Self>, OpenError> {
        const WHAT: &str = "Event Hubs";
        let parsed = Address::parse_hub(&open.connection, open.cloud);
        let (address, key, name) =
            parsed.map_err(|source| OpenError::Address { what: WHAT, source })?;
        let credential = match (key, open.identity) {
            (Some(key), _) => Credential::Key(key),
            (None, Some(credential)) => Credential::Identity {
                credential,
                scope: open.cloud.scope(Service::EventHubs).to_owned(),
            },
            (None, None) => return Err(OpenError::NoCredential(WHAT)),
        };
        let client = Client::new(address, credential, open.settings, &open.trust)?;
        Ok(Arc::new(Self { client, name }))
    }

    /// The names of its partitions.
    pub(super) async fn partitions(&self) -> Result<Vec<String>, Error> {
        let connection = self.client.connection_for(&self.name).await?;
        let request = Request::new("READ", Value::Null)
            .with("name", SimpleValue::String(self.name.clone()))
            .with(
                "type",
                SimpleValue::String("com.microsoft:eventhub".to_owned()),
            )
            // The node looks at no other right.
            .with("security_token", connection.token(&self.name).await?);
        let reply = connection.request("$management", request).await?;
        let names = reply
            .body
            .get("partition_ids")
            .map(items)
            .unwrap_or_default();
        Ok(names.iter().filter_map(text).map(str::to_owned).collect())
    }
}
