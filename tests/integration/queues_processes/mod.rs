//! The queue that is a file, where many processes use it, where they are killed, and where the file is not what it should be.

mod children;
mod files;
mod locks;

use std::{path::Path, time::Duration};

use sbm::{
    protocol::{Concurrency, Platform},
    queue::{LocalQueue, Options, Queue},
};

use crate::contract::queue::PATIENCE;

/// A lock that does not end while a test runs.
const LONG: Duration = Duration::from_secs(3600);

fn options(concurrency: Concurrency) -> Options {
    Options {
        lock: LONG,
        busy: PATIENCE,
        ..Options::new(Platform::SqlServer, concurrency)
    }
}

fn open(path: &Path, options: Options) -> LocalQueue {
    LocalQueue::open(path, options).unwrap()
}

async fn made(path: &Path, options: Options) -> LocalQueue {
    let queue = open(path, options);
    queue.create().await.unwrap();
    queue
}

/// Changes or reads the file behind the queue's back.
fn sqlite(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.busy_timeout(PATIENCE).unwrap();
    connection
}
