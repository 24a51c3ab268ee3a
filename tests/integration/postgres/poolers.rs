//! Poolers between the program and the server.

use std::{fs, net::TcpListener, thread, time::Duration};

use super::EFFECT;
use crate::support::{
    fleet::{Fleet, Platform},
    postgres::Server,
    skip,
};

#[test]
fn a_transaction_pooler_is_refused_without_a_transaction() {
    let test = "postgres::a_transaction_pooler_is_refused_without_a_transaction";
    let Ok(pgbouncer) = std::env::var("SBM_TEST_PGBOUNCER") else {
        return skip("SBM_TEST_PGBOUNCER", test);
    };
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, test) else {
        return;
    };
    let server = Server::for_test(test).unwrap();
    let pooler = pooler(&pgbouncer, &server);
    fleet.package(&[("1.sql", EFFECT)]);
    let list = fleet.list(&[format!("{}:{}", pooler.name, fleet.names[0])]);
    let build = || fleet.threaded_run_on(&list).option("--sslmode", "disable");
    build().run().expect_code(0);
    let run = build()
        .option("--transactional", "false")
        .run()
        .expect_code(1);
    assert!(run.stdout.contains("transaction pooler"), "{}", run.stdout);
    assert_eq!(fleet.rows(0, "t"), Some(1));
}

struct Pooler {
    name: String,
    process: std::process::Child,
    _folder: tempfile::TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn pooler(program: &str, server: &Server) -> Pooler {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let users = folder.path().join("users.txt");
    fs::write(&users, format!("\"{}\" \"\"\n", server.user())).unwrap();
    let config = folder.path().join("pgbouncer.ini");
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\n\
         auth_type=trust\nauth_file={}\npool_mode=transaction\nunix_socket_dir=\n",
        server.port(),
        users.display()
    );
    fs::write(&config, text).unwrap();
    let mut command = std::process::Command::new(program);
    if let Ok(user) = std::env::var("SBM_TEST_SERVER_USER") {
        // It refuses to run as root.
        use std::os::unix::fs::PermissionsExt;
        for path in [folder.path(), &users, &config] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        command.arg("-u").arg(user);
    }
    let process = command
        .arg(&config)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let pooler = Pooler {
        name: format!("127.0.0.1:{port}"),
        process: process.unwrap(),
        _folder: folder,
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(&pooler.name).is_err() {
        assert!(
            std::time::Instant::now() < deadline,
            "pgbouncer does not listen"
        );
        thread::sleep(Duration::from_millis(20));
    }
    pooler
}
