//! Logins by access token.

use std::{sync::Arc, time::Duration};

use sbm::{
    engine::{self, Error},
    protocol::{Connection, Platform, SslMode},
};
use tokio_util::sync::CancellationToken;

use crate::support::{mysql::Server, postgres::runtime, token::Fixed};

#[test]
fn each_login_has_the_token_of_the_moment_also_the_one_that_cancels() {
    let test = "mysql::tokens::each_login_has_the_token_of_the_moment_also_the_one_that_cancels";
    let Some(server) = Server::for_test(test) else {
        return;
    };
    let name = format!("127.0.0.1:{}", server.port());
    let connect = |credential: &Arc<Fixed>, ssl_mode| {
        let connection = Connection {
            ssl_mode,
            ..server.connection()
        };
        let credential = Arc::clone(credential);
        engine::connect_as(Platform::MySql, &connection, credential, None)
    };
    runtime().block_on(async {
        let good = Fixed::new(server.password());
        // On this machine a server need not encrypt, but for a token.
        let engine = connect(&good, SslMode::Auto).unwrap();
        let mut session = engine.connect(&name, "mysql").await.unwrap();
        let rows = session
            .query("SHOW SESSION STATUS LIKE 'Ssl_cipher'", &[])
            .await;
        assert_ne!(rows.unwrap()[0][1].as_text(), Some(""));
        assert_eq!(good.asked(), 1);
        let stop = CancellationToken::new();
        let short = Duration::from_millis(200);
        let ended = session.run("SELECT SLEEP(600)", short, &stop).await;
        assert!(ended.is_err());
        assert_eq!(good.asked(), 2);
        assert!(!format!("{engine:?} {session:?}").contains(server.password()));

        let bad = connect(&Fixed::new("canary"), SslMode::Require).unwrap();
        let error = bad.connect(&name, "mysql").await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Connect {
                    transient: false,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(!format!("{error} {error:?}").contains("canary"));
        let refused = connect(&good, SslMode::Disable).unwrap_err().to_string();
        assert!(refused.contains("--sslmode disable"), "{refused}");
    });
}
