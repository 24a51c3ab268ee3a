//! The queue contract on each queue. A new queue adds a module here.

mod in_process {
    use std::sync::{Arc, OnceLock};

    use sbm::{
        protocol::{Concurrency, Platform},
        queue::{InProcess, Queue},
    };

    use crate::contract::queue::{Place, queue_contract};

    /// All are one receiver.
    #[derive(Debug, Default)]
    struct Memory(OnceLock<Arc<InProcess>>);

    impl Place for Memory {
        fn receiver(&self, concurrency: Concurrency) -> Arc<dyn Queue> {
            let make = || Arc::new(InProcess::new(Platform::SqlServer, concurrency));
            Arc::clone(self.0.get_or_init(make)) as Arc<dyn Queue>
        }
    }

    queue_contract!(|| Some(Memory::default()));
}

mod local {
    use std::sync::Arc;

    use sbm::{
        protocol::{Concurrency, Platform},
        queue::{LocalQueue, Options, Queue},
    };

    use crate::contract::queue::{PATIENCE, Place, queue_contract};

    #[derive(Debug)]
    struct Folder(tempfile::TempDir);

    impl Place for Folder {
        fn receiver(&self, concurrency: Concurrency) -> Arc<dyn Queue> {
            let path = self.0.path().join("the queue.db");
            let options = Options {
                sessions: 100,
                lock: 10 * PATIENCE,
                busy: PATIENCE,
                ..Options::new(Platform::SqlServer, concurrency)
            };
            Arc::new(LocalQueue::open(&path, options).unwrap())
        }
    }

    fn folder() -> Option<Folder> {
        Some(Folder(tempfile::tempdir().unwrap()))
    }

    queue_contract!(folder);
}

mod service_bus {
    use std::{sync::Arc, time::Duration};

    use sbm::{
        azure::service_bus::{Options, ServiceBus},
        protocol::{Concurrency, Platform},
        queue::Queue,
    };
    use uuid::Uuid;

    use crate::{
        azure::sandbox::Sandbox,
        contract::queue::{Place, queue_contract},
    };

    /// A job's queue in the sandbox.
    #[derive(Debug)]
    struct Job {
        bus: Arc<ServiceBus>,
        run_id: Uuid,
    }

    impl Place for Job {
        fn receiver(&self, concurrency: Concurrency) -> Arc<dyn Queue> {
            let job = format!("q{}", self.run_id.simple());
            let options = Options {
                sessions: 100,
                lock: Duration::from_secs(300),
                // That nothing is there is only known by waiting, and the machine may be busy.
                least_wait: Duration::from_secs(5),
                linger: Duration::from_secs(10),
                ..Options::new(&job, self.run_id, Platform::SqlServer, concurrency)
            };
            Arc::new(self.bus.queue(options))
        }
    }

    fn job() -> Option<Job> {
        let sandbox = Sandbox::find()?;
        Some(Job {
            bus: ServiceBus::open(sandbox.open(&sandbox.service_bus.connection)).unwrap(),
            run_id: Uuid::new_v4(),
        })
    }

    queue_contract!(job);
}
