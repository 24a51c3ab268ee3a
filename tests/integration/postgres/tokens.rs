//! Logins by access token.

use std::sync::Arc;

use sbm::{
    engine::{self, Error},
    protocol::{Connection, Platform, SslMode},
};

use crate::support::{
    postgres::{Server, runtime},
    skip,
    token::Fixed,
};

fn connection(ssl_mode: SslMode) -> Connection {
    Connection {
        user: Some("sbm_password".to_owned()),
        ssl_mode,
        connect_timeout: std::time::Duration::from_secs(60),
        ..Connection::default()
    }
}

#[test]
fn each_login_has_the_token_of_the_moment_and_is_encrypted() {
    let test = "postgres::tokens::each_login_has_the_token_of_the_moment_and_is_encrypted";
    let Some(server) = Server::for_test(test) else {
        return;
    };
    let Ok(password) = std::env::var("SBM_TEST_POSTGRES_PASSWORD") else {
        return skip("SBM_TEST_POSTGRES_PASSWORD", test);
    };
    let connect = |credential: &Arc<Fixed>, mode| {
        let credential = Arc::clone(credential);
        engine::connect_as(Platform::PostgreSql, &connection(mode), credential, None)
    };
    runtime().block_on(async {
        let good = Fixed::new(&password);
        // On this machine a server need not encrypt, but for a token.
        let engine = connect(&good, SslMode::Auto).unwrap();
        for asked in 1..=2 {
            let mut session = engine.connect(&server.name(), "postgres").await.unwrap();
            let sql = "SELECT current_user::text, (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())::text";
            let rows = session.query(sql, &[]).await.unwrap();
            assert_eq!(rows[0][0].as_text(), Some("sbm_password"));
            assert_eq!(rows[0][1].as_text(), Some("true"));
            assert_eq!(good.asked(), asked);
        }
        assert!(!format!("{engine:?}").contains(&password));

        let bad = connect(&Fixed::new("canary"), SslMode::Require).unwrap();
        let error = bad.connect(&server.name(), "postgres").await.unwrap_err();
        assert!(matches!(error, Error::Connect { transient: false, .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("canary"));

        let refused = connect(&good, SslMode::Disable).unwrap_err().to_string();
        assert!(refused.contains("--sslmode disable"), "{refused}");
    });
}
