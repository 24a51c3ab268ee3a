//! Azure Blob Storage: the contract, on Azurite.

use std::{sync::Arc, time::Duration};

use sbm::azure::{
    Cloud,
    blob::{Account, BlobContainer},
};
use uuid::Uuid;

use crate::{
    contract::storage::{Fixture, storage_contract},
    support::sandbox::Sandbox,
};

fn fixture(test: &str) -> Option<(Fixture, ())> {
    let sandbox = Sandbox::for_test(test)?;
    let account = Account::new(&sandbox.text(&["blob", "endpoint"]), Cloud::Public).unwrap();
    let name = format!("t-{}", Uuid::new_v4());
    let client = || {
        let access = sandbox.blob_key();
        let container = BlobContainer::new(account.clone(), &name, access, &sandbox.trust());
        Arc::new(container.unwrap())
    };
    let fixture = Fixture {
        storage: client(),
        other: client(),
        // The shortest that the service gives.
        shortest: Duration::from_secs(15),
    };
    Some((fixture, ()))
}

storage_contract!(fixture);
