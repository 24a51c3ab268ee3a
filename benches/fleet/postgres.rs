//! PostgreSQL. No contender encrypts, since the server is on this machine and cryptography would hide what differs.

use std::{fs, path::PathBuf, process::Command, sync::Arc};

use futures::future::join_all;
use tokio::{runtime::Runtime, sync::Semaphore};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use super::{
    AT_ONCE,
    contest::{Contender, Contest},
    scripts::{
        By, SCRIPTS, audit_insert, ledger_insert, sbm, succeed, write_client_script, write_package,
    },
};

/// The databases, the package and a place for results.
struct Fleet {
    config: Config,
    names: Vec<String>,
    folder: tempfile::TempDir,
}

/// Makes the fleet; none when no server is named.
pub(crate) fn contest(databases: usize) -> Option<Contest> {
    let config: Config = std::env::var("SBM_TEST_POSTGRES_URL")
        .ok()?
        .parse()
        .unwrap();
    let prefix = format!("sbm_bench_{:08x}", fastrand::u32(..));
    let fleet = Arc::new(Fleet {
        names: (0..databases)
            .map(|place| format!("{prefix}_{place}"))
            .collect(),
        config,
        folder: tempfile::tempdir().unwrap(),
    });
    fleet.make();
    let threaded = Arc::clone(&fleet);
    let (client, floor) = (Arc::clone(&fleet), Arc::clone(&fleet));
    threaded.sbm(By::Threads);
    let local = Arc::clone(&fleet);
    Some(Contest {
        title: "PostgreSQL".into(),
        databases,
        contenders: vec![
            Contender::new("floor: bare loop, same guarantees", move || floor.floor()),
            Contender::new("sbm threaded run", move || threaded.sbm(By::Threads)),
            Contender::new("sbm local run, 4 workers", move || {
                local.sbm(By::Workers(4));
            }),
            Contender::new("xargs psql -1", move || client.psql()),
        ],
        _fleet: Box::new(fleet),
    })
}

impl Fleet {
    fn server(&self) -> String {
        format!("127.0.0.1:{}", self.config.get_ports()[0])
    }

    fn make(&self) {
        runtime().block_on(async {
            let client = connect(&self.config, "postgres").await;
            for name in &self.names {
                let sql = format!("CREATE DATABASE {name} STRATEGY file_copy");
                client.simple_query(&sql).await.unwrap();
            }
        });
        write_package(self.folder.path());
        write_client_script(self.folder.path(), "sqlbuild_logging", "now()");
        let list: String = self
            .names
            .iter()
            .map(|name| format!("{}:{name}\n", self.server()))
            .collect();
        fs::write(self.folder.path().join("fleet.cfg"), list).unwrap();
        fs::write(self.path("names"), self.names.join("\n")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sbm(&self, by: By) {
        let logs = tempfile::tempdir_in(self.folder.path()).unwrap();
        succeed(
            sbm(by, "PostgreSQL", self.folder.path(), logs.path())
                .args(["--sslmode", "disable", "--username"])
                .arg(self.config.get_user().unwrap()),
        );
    }

    fn psql(&self) {
        succeed(
            Command::new("xargs")
                .arg("-a")
                .arg(self.path("names"))
                .arg("-P")
                .arg(AT_ONCE.to_string())
                .args(["-I{}", "psql", "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1"])
                .args(["-h", "127.0.0.1", "-p"])
                .arg(self.config.get_ports()[0].to_string())
                .arg("-U")
                .arg(self.config.get_user().unwrap())
                .args(["-d", "{}", "-f"])
                .arg(self.path("client.sql"))
                .env("PGSSLMODE", "disable"),
        );
    }

    /// Lock, ledger, scripts with the proof that the transaction is still the same, audit and ledger rows, commit: each message
    /// holds what need not wait for the answer to the one before.
    fn floor(&self) {
        let run = format!("floor-{:016x}", fastrand::u64(..));
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let free = Arc::new(Semaphore::new(AT_ONCE));
            let builds = self.names.iter().map(|name| {
                let (free, name) = (Arc::clone(&free), name.clone());
                let (config, run) = (self.config.clone(), run.clone());
                tokio::spawn(async move {
                    let _slot = free.acquire_owned().await.unwrap();
                    build(&config, &name, &run).await;
                })
            });
            for ended in join_all(builds.collect::<Vec<_>>()).await {
                ended.unwrap();
            }
        });
    }
}

async fn build(config: &Config, name: &str, run: &str) {
    let client = connect(config, name).await;
    let begin = format!(
        "BEGIN; SET LOCAL idle_in_transaction_session_timeout TO '120s'; SET LOCAL lock_timeout TO '300s'; \
         SELECT pg_advisory_xact_lock(7); SELECT txid_current(); \
         SELECT State FROM sqlbuild_ledger WHERE RunId = '{run}' AND DatabaseName = '{name}'"
    );
    let transaction = last_cell(&client, &begin).await;
    for (_, text) in SCRIPTS {
        let proof = last_cell(&client, &format!("{text}; SELECT txid_current()")).await;
        assert_eq!(proof, transaction);
    }
    let end = format!(
        "{} {} COMMIT",
        audit_insert("sqlbuild_logging", name, "now()"),
        ledger_insert("sqlbuild_ledger", run, name, "now()", "false")
    );
    client.simple_query(&end).await.unwrap();
}

async fn last_cell(client: &Client, sql: &str) -> Option<String> {
    let messages = client.simple_query(sql).await.unwrap();
    messages.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

async fn connect(config: &Config, name: &str) -> Client {
    let mut config = config.clone();
    let (client, connection) = config.dbname(name).connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

impl Drop for Fleet {
    fn drop(&mut self) {
        runtime().block_on(async {
            let client = connect(&self.config, "postgres").await;
            for name in &self.names {
                let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                client.simple_query(&sql).await.ok();
            }
        });
    }
}
