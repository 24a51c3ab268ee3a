//! The worker's loop with an engine that breaks down.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use sbm::{
    engine::{
        Answer, BatchResult, Engine, Error, Mode, Session, Sqlite, Value, audit,
        schema::{Column, Table},
    },
    events::InProcess as Events,
    package::{Limits, Package},
    protocol::{EventKind, JobSpec, Pair, Platform, ResultLine, State, Target},
    queue::{InProcess, Purpose, Queue},
    worker::{Shutdown, Worker, prepare::Prepared, run},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::postgres::runtime;

/// SQLite, but a batch in the database `bad` panics, and so does the COMMIT in `late`, once it is carried out.
#[derive(Debug)]
struct Fragile(Sqlite);

impl fmt::Display for Fragile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("fragile SQLite")
    }
}

#[async_trait]
impl Engine for Fragile {
    fn platform(&self) -> Platform {
        Platform::Sqlite
    }

    async fn connect(&self, server: &str, database: &str) -> Result<Box<dyn Session>, Error> {
        let session = self.0.connect(server, database).await?;
        Ok(match database {
            "bad" => Box::new(Panics(session, When::InABatch)),
            "late" => Box::new(Panics(session, When::AfterTheCommit)),
            _ => session,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    InABatch,
    AfterTheCommit,
}

#[derive(Debug)]
struct Panics(Box<dyn Session>, When);

#[async_trait]
impl Session for Panics {
    async fn lock(
        &mut self,
        mode: Mode,
        wait: Duration,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        self.0.lock(mode, wait, stop).await
    }

    async fn begin(&mut self) -> Result<(), Error> {
        self.0.begin().await
    }

    async fn run(
        &mut self,
        sql: &str,
        timeout: Duration,
        stop: &CancellationToken,
    ) -> Result<BatchResult, Error> {
        assert_ne!(
            self.1,
            When::InABatch,
            "the driver met bytes that it does not know"
        );
        self.0.run(sql, timeout, stop).await
    }

    async fn commit(&mut self) -> Result<(), Error> {
        self.0.commit().await?;
        panic!("the driver met bytes that it does not know")
    }

    async fn rollback(&mut self) -> Result<(), Error> {
        self.0.rollback().await
    }

    async fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<u64, Error> {
        self.0.execute(sql, parameters).await
    }

    async fn query(&mut self, sql: &str, parameters: &[Value]) -> Result<Vec<Vec<Value>>, Error> {
        self.0.query(sql, parameters).await
    }

    async fn read(
        &mut self,
        query: &str,
        timeout: Duration,
        stop: &CancellationToken,
        to: &mpsc::Sender<Answer>,
    ) -> Result<u64, Error> {
        self.0.read(query, timeout, stop, to).await
    }

    async fn columns(&mut self, table: Table) -> Result<Vec<Column>, Error> {
        self.0.columns(table).await
    }

    fn table_name(&self, table: Table) -> String {
        self.0.table_name(table)
    }
}

fn job(package: &Package) -> JobSpec {
    let job = serde_json::json!({
        "version": 1,
        "runId": "0f8fad5b-d9cb-469f-a165-70867728950e",
        "package": {"name": "p", "buildHash": package.build_hash(), "sha256": package.sha256()},
        "platform": "SQLite",
        "connection": {"sslMode": "auto", "connectTimeout": 20.0},
        "build": {
            "transactional": true, "trial": false, "description": "", "ledgerKeepDays": 90,
            "defaultScriptTimeout": 60.0, "timeoutRetryCount": 0, "lockWait": 60.0, "finishPartial": false,
            "redoInterrupted": false, "redoFailed": false, "requestedBy": "me"
        },
        "concurrency": {"kind": "Count", "limit": 2, "maxSlots": 2},
        "created": "2026-01-01T00:00:00Z"
    });
    serde_json::from_value(job).unwrap()
}

#[test]
fn a_panic_of_a_driver_costs_its_target_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("1.sql"), "CREATE TABLE t (id int);").unwrap();
    let package = Package::open(folder.path(), &Limits::default()).unwrap();
    let job = job(&package);
    let targets = ["a", "bad", "c", "late"].map(|name| {
        std::fs::write(folder.path().join(name), "").unwrap();
        let pair = Pair {
            default: String::new(),
            database: name.into(),
        };
        Target {
            server: folder.path().display().to_string(),
            pairs: vec![pair],
            tag: None,
        }
    });
    let (events, mut subscription) = Events::new();
    let worker = Worker {
        prepared: Arc::new(Prepared::new(&package, &job).unwrap()),
        engine: Arc::new(Fragile(Sqlite::new())),
        name: "w".into(),
        new_run: true,
        audit: audit::Run::of(&job, "me".into()),
        events: Arc::new(events),
        results: None,
        logs: None,
        job: job.clone(),
    };
    let mut lines: Vec<ResultLine> = runtime().block_on(async move {
        let queue = InProcess::new(job.platform, job.concurrency);
        queue
            .send_all(targets.to_vec(), Purpose::Build)
            .await
            .unwrap();
        run(Arc::new(worker), &queue, &Shutdown::new())
            .await
            .unwrap();
        let mut lines = Vec::new();
        while let Ok(event) = subscription.try_recv() {
            if let EventKind::Finished { line } = event.kind {
                lines.push(*line);
            }
        }
        lines
    });
    lines.sort_by_key(|line| line.target.to_string());
    let states: Vec<State> = lines.iter().map(|line| line.state).collect();
    assert_eq!(
        states,
        [
            State::Committed,
            State::RolledBack,
            State::Committed,
            // What the ledger says, not what a panic lets fear.
            State::Committed
        ]
    );
    for line in [&lines[1], &lines[3]] {
        let errors = &line.errors;
        assert!(errors[0].message.contains("broke down"), "{errors:?}");
        assert!(line.is_final);
    }
}
