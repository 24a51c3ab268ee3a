//! Encryption, what is verified of the server, and the ways to prove a password.

use std::path::Path;

use sbm::{
    engine::{Engine, Error, MySql},
    protocol::{Connection, SslMode},
};

use super::{fleet, proxy::Proxy};
use crate::support::{
    builds::note, mysql::Server, postgres::runtime, program::Program, run_files::all_files, skip,
};

/// The authority of the test server's certificate, if the tests know it.
fn authority(test: &str) -> Option<String> {
    let authority = std::env::var("SBM_TEST_MYSQL_CA").ok();
    if authority.is_none() {
        skip("SBM_TEST_MYSQL_CA", test);
    }
    authority
}

/// Whether a login is encrypted; none when it is refused, for good.
fn encrypted(server: &str, connection: &Connection, password: &str) -> Option<bool> {
    let engine = MySql::new(connection, Some(password.into())).unwrap();
    runtime().block_on(async {
        let mut session = match engine.connect(server, "mysql").await {
            Ok(session) => session,
            Err(Error::Connect {
                transient: false, ..
            }) => return None,
            Err(error) => panic!("{server}: {error:?}"),
        };
        let rows = session
            .query("SHOW SESSION STATUS LIKE 'Ssl_cipher'", &[])
            .await
            .unwrap();
        Some(
            rows[0][1]
                .as_text()
                .is_some_and(|cipher| !cipher.is_empty()),
        )
    })
}

#[test]
fn every_sslmode_encrypts_and_verifies_what_it_says() {
    use SslMode::{Auto, Disable, Prefer, Require, VerifyCa, VerifyFull};
    let test = "mysql::every_sslmode_encrypts_and_verifies_what_it_says";
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
    let unnamed = [Proxy::at("127.0.0.2", port).name];
    let (plain, secret, refused) = (Some(false), Some(true), None);
    let (own, other, none) = (Some(&authority), Some(&another), None::<&String>);
    for (mode, trusted, at_named, at_unnamed) in [
        (Disable, none, plain, plain),
        (Prefer, none, secret, secret),
        (Prefer, other, secret, secret),
        (Require, none, secret, secret),
        (Require, other, secret, secret),
        (VerifyCa, none, refused, refused),
        (VerifyCa, other, refused, refused),
        (VerifyCa, own, secret, secret),
        (VerifyFull, none, refused, refused),
        (VerifyFull, other, refused, refused),
        (VerifyFull, own, secret, refused),
        // All of them are on this machine.
        (Auto, none, secret, secret),
    ] {
        let connection = Connection {
            ssl_mode: mode,
            ssl_root_cert: trusted.cloned(),
            ..server.connection()
        };
        for (servers, expected) in [(&named[..], at_named), (&unnamed[..], at_unnamed)] {
            for name in servers {
                let found = encrypted(name, &connection, server.password());
                assert_eq!(found, expected, "{name} {mode:?} {trusted:?}");
            }
        }
    }
}

#[test]
fn a_password_is_proved_in_each_way_that_the_server_has() {
    let test = "mysql::a_password_is_proved_in_each_way_that_the_server_has";
    let Some(server) = Server::for_test(test) else {
        return;
    };
    // The plug-in may be there already.
    server.try_run("", "INSTALL SONAME 'auth_ed25519'").ok();
    let name = format!("sbm_{:08x}", fastrand::u32(..));
    for way in ["mysql_native_password", "ed25519"] {
        server.run(
            "",
            &format!(
                "CREATE OR REPLACE USER {name} IDENTIFIED VIA {way} USING PASSWORD('se''cret é'); \
                 GRANT SELECT ON mysql.* TO {name}"
            ),
        );
        for ssl_mode in [SslMode::Require, SslMode::Disable] {
            let connection = Connection {
                user: Some(name.clone()),
                ssl_mode,
                ..server.connection()
            };
            let login = |password: &str| encrypted(&server.name(), &connection, password);
            assert_eq!(
                login("se'cret é"),
                Some(ssl_mode == SslMode::Require),
                "{way}"
            );
            assert_eq!(login("wrong"), None, "{way}");
            assert_eq!(login(""), None, "{way}");
        }
    }
    server.run("", &format!("DROP USER {name}"));
}

#[test]
fn no_build_however_it_fails_shows_its_password() {
    const PASSWORD: &str = "canary/7f3a+Zq%";
    let Some(fleet) = fleet("mysql::no_build_however_it_fails_shows_its_password") else {
        return;
    };
    let (name, user) = (&fleet.names[0], format!("u{}", &fleet.names[0]));
    fleet.sql(
        0,
        &format!("CREATE USER {user} IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON {name}.* TO {user}"),
    );
    let list = fleet.list(&fleet.lines());
    for (script, code) in [(note("1"), 0), ("SELECT * FROM missing;".to_owned(), 1)] {
        fleet.package(&[("1.sql", &script)]);
        for (user, code) in [(user.as_str(), code), ("nobody", 1)] {
            let run = Program::new(["threaded", "run", "--platform", "MySQL"])
                .option("--packagename", fleet.folder.path().join("package"))
                .option("--override", &list)
                .option("--rootloggingpath", fleet.logs())
                .option("--username", user)
                .variable("SBM_PASSWORD", PASSWORD)
                .variable("RUST_LOG", "trace")
                .run()
                .expect_code(code);
            assert!(!run.stdout.contains("canary") && !run.stderr.contains("canary"));
        }
    }
    for path in all_files(&fleet.logs()) {
        let text = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("canary"), "{}", path.display());
    }
    fleet.sql(0, &format!("DROP USER {user}"));
}
