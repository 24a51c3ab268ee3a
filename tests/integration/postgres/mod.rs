//! What is special about PostgreSQL: the network between, encryption, rights, and answers that are lost.

mod encryption;
mod logins;
mod lost_commits;
mod poolers;
mod sessions;
mod tokens;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sbm::{
    engine::Postgres,
    protocol::{Connection, SslMode},
};

use crate::support::{
    fleet::{Fleet, Platform},
    postgres::Server,
    program::Program,
    proxy::Proxy,
};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY);\n";
const EFFECT: &str = "CREATE TABLE IF NOT EXISTS t (id int); INSERT INTO t VALUES (1);";

/// Long enough for everything that is to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database behind a proxy, and the command that builds it.
fn behind_proxy(test: &str) -> Option<(Fleet, Proxy, PathBuf)> {
    let fleet = Fleet::new(Platform::Postgres, 1, test)?;
    let port = Server::for_test(test)?.port();
    let proxy = Proxy::start("127.0.0.1", port);
    fleet.package(&[("1.sql", EFFECT)]);
    let list = fleet.list(&[format!("{}:{}", proxy.name, fleet.names[0])]);
    Some((fleet, proxy, list))
}

fn plain(fleet: &Fleet, list: &Path) -> Program {
    fleet
        .threaded_run_on(list)
        .option("--sslmode", "disable")
        .option("--output", "json")
}

/// The engine with the login of the tests, unencrypted so that a proxy can read along.
fn engine(server: &Server) -> Postgres {
    Postgres::new(&connection(server), None, None).unwrap()
}

fn connection(server: &Server) -> Connection {
    Connection {
        user: Some(server.user().to_owned()),
        connect_timeout: Duration::from_secs(20),
        ssl_mode: SslMode::Disable,
        ..Connection::default()
    }
}
