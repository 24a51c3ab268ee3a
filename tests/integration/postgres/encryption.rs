//! Encryption, and what is verified of the server.

use std::path::Path;

use sbm::{
    engine::{Engine, Error, Postgres, Value},
    protocol::{Connection, SslMode},
};

use super::connection;
use crate::support::{
    postgres::{Server, runtime},
    proxy::Proxy,
    skip,
};

/// The authority of the test server's certificate, if the tests know it.
fn authority(test: &str) -> Option<String> {
    let authority = std::env::var("SBM_TEST_POSTGRES_CA").ok();
    if authority.is_none() {
        skip("SBM_TEST_POSTGRES_CA", test);
    }
    authority
}

/// Whether a login is encrypted; none when it is refused, for good.
fn encrypted(server: &str, connection: &Connection, password: Option<String>) -> Option<bool> {
    let engine = Postgres::new(connection, password.map(Into::into), None).unwrap();
    runtime().block_on(async {
        let mut session = match engine.connect(server, "postgres").await {
            Ok(session) => session,
            Err(Error::Connect {
                transient: false, ..
            }) => return None,
            Err(error) => panic!("{server}: {error:?}"),
        };
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let rows = session.query(sql, &[]).await.unwrap();
        Some(rows == [[Value::Bool(true)]])
    })
}

#[test]
fn every_sslmode_encrypts_and_verifies_what_it_says() {
    use SslMode::{Auto, Disable, Prefer, Require, VerifyCa, VerifyFull};
    let test = "postgres::every_sslmode_encrypts_and_verifies_what_it_says";
    let (Some(server), Some(authority)) = (Server::for_test(test), authority(test)) else {
        return;
    };
    let another = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/tls/another-authority.pem")
        .display()
        .to_string();
    let port = server.port();
    // The certificate names localhost and 127.0.0.1, but not 127.0.0.2.
    let named = [format!("localhost:{port}"), format!("127.0.0.1:{port}")];
    let unnamed = [Proxy::start("127.0.0.2", port).name];
    let without_tls = [Proxy::without_tls(port).name];
    let (plain, secret, refused) = (Some(false), Some(true), None);
    let (own, other, none) = (Some(&authority), Some(&another), None::<&String>);
    for (mode, trusted, at_named, at_unnamed, at_without) in [
        (Disable, none, plain, plain, plain),
        (Prefer, none, secret, secret, plain),
        (Prefer, other, secret, secret, plain),
        (Require, none, secret, secret, refused),
        (Require, other, secret, secret, refused),
        (VerifyCa, none, refused, refused, refused),
        (VerifyCa, other, refused, refused, refused),
        (VerifyCa, own, secret, secret, refused),
        (VerifyFull, none, refused, refused, refused),
        (VerifyFull, other, refused, refused, refused),
        (VerifyFull, own, secret, refused, refused),
        // All of them are on this machine.
        (Auto, none, secret, secret, plain),
    ] {
        let connection = Connection {
            ssl_mode: mode,
            ssl_root_cert: trusted.cloned(),
            ..connection(&server)
        };
        for (servers, expected) in [
            (&named[..], at_named),
            (&unnamed[..], at_unnamed),
            (&without_tls[..], at_without),
        ] {
            for name in servers {
                let found = encrypted(name, &connection, None);
                assert_eq!(found, expected, "{name} {mode:?} {trusted:?}");
            }
        }
    }
}

#[test]
fn a_password_is_proved_over_an_encrypted_and_over_a_plain_connection() {
    let test = "postgres::a_password_is_proved_over_an_encrypted_and_over_a_plain_connection";
    let (Some(server), Some(authority)) = (Server::for_test(test), authority(test)) else {
        return;
    };
    let Ok(password) = std::env::var("SBM_TEST_POSTGRES_PASSWORD") else {
        return skip("SBM_TEST_POSTGRES_PASSWORD", test);
    };
    for (ssl_mode, expected) in [(SslMode::VerifyFull, true), (SslMode::Disable, false)] {
        let connection = Connection {
            user: Some("sbm_password".into()),
            ssl_mode,
            ssl_root_cert: Some(authority.clone()),
            ..connection(&server)
        };
        let login = |password: Option<&str>| {
            encrypted(&server.name(), &connection, password.map(str::to_owned))
        };
        assert_eq!(login(Some(&password)), Some(expected));
        assert_eq!(login(Some("wrong")), None);
        assert_eq!(login(None), None);
    }
}

/// A cancellation is a connection of its own, and encrypted like the one that it is about.
#[test]
fn a_batch_on_a_verified_connection_is_cancelled() {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    let test = "postgres::a_batch_on_a_verified_connection_is_cancelled";
    let (Some(server), Some(authority)) = (Server::for_test(test), authority(test)) else {
        return;
    };
    let connection = Connection {
        ssl_mode: SslMode::VerifyFull,
        ssl_root_cert: Some(authority),
        ..connection(&server)
    };
    let engine = Postgres::new(&connection, None, None).unwrap();
    runtime().block_on(async {
        let mut session = engine.connect(&server.name(), "postgres").await.unwrap();
        let (limit, never) = (Duration::from_millis(300), CancellationToken::new());
        let result = session.run("SELECT pg_sleep(600)", limit, &never).await;
        assert!(matches!(result, Err(Error::Timeout { .. })), "{result:?}");
        // The connection has survived: the server obeyed.
        session.rollback().await.unwrap();
    });
}
