//! The contract of events on each way of them. A new way adds a module here.

mod local {
    use std::sync::Arc;

    use async_trait::async_trait;
    use sbm::{
        events::{EventReader, Events, LocalEventReader, LocalEvents},
        protocol::RunPaths,
        storage::{LocalFolder, Storage},
    };
    use uuid::Uuid;

    use crate::contract::events::{Place, events_contract};

    #[derive(Debug)]
    struct Folder {
        folder: tempfile::TempDir,
        run_id: Uuid,
    }

    impl Folder {
        fn storage(&self) -> Arc<dyn Storage> {
            Arc::new(LocalFolder::new(self.folder.path()))
        }
    }

    #[async_trait]
    impl Place for Folder {
        fn run_id(&self) -> Uuid {
            self.run_id
        }

        async fn worker(&self, run_id: Uuid, name: &str) -> Arc<dyn Events> {
            Arc::new(LocalEvents::new(
                self.storage(),
                &RunPaths::new(run_id),
                name,
            ))
        }

        fn reader(&self) -> Arc<dyn EventReader> {
            Arc::new(LocalEventReader::new(self.storage(), self.run_id))
        }
    }

    fn folder() -> Option<Folder> {
        let folder = Folder {
            folder: tempfile::tempdir().unwrap(),
            run_id: Uuid::new_v4(),
        };
        let storage = folder.storage();
        let made = crate::support::postgres::runtime().block_on(storage.create());
        made.unwrap();
        Some(folder)
    }

    events_contract!(folder);
}

mod event_hubs {
    use std::sync::Arc;

    use async_trait::async_trait;
    use sbm::{
        azure::event_hubs::{Hub, HubEventReader, HubEvents},
        events::{EventReader, Events},
    };
    use uuid::Uuid;

    use crate::{
        azure::sandbox::Sandbox,
        contract::events::{Place, events_contract},
    };

    /// A run in the hub that all share.
    #[derive(Debug)]
    struct Run {
        hub: Arc<Hub>,
        run_id: Uuid,
    }

    #[async_trait]
    impl Place for Run {
        fn run_id(&self) -> Uuid {
            self.run_id
        }

        async fn worker(&self, _: Uuid, name: &str) -> Arc<dyn Events> {
            Arc::new(HubEvents::new(Arc::clone(&self.hub), "job", name))
        }

        fn reader(&self) -> Arc<dyn EventReader> {
            Arc::new(HubEventReader::new(
                Arc::clone(&self.hub),
                self.run_id,
                None,
            ))
        }
    }

    fn run() -> Option<Run> {
        let sandbox = Sandbox::find()?;
        Some(Run {
            hub: Hub::open(sandbox.open(&sandbox.event_hubs.connection)).unwrap(),
            run_id: Uuid::new_v4(),
        })
    }

    events_contract!(run);
}
