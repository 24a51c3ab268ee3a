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

    queue_contract!(Memory::default);
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

    fn folder() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    queue_contract!(folder);
}
