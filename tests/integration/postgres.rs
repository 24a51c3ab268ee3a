//! What is special about PostgreSQL: the network between, encryption, rights, and answers that are lost.

use std::{fs, io::Write, net::TcpListener, sync::Arc, thread, time::Duration};

use sbm::{
    engine::{Engine, Mode, Postgres, ledger, schema::Changes},
    protocol::{Connection, Platform as Kind},
};
use tokio_util::sync::CancellationToken;

use crate::support::{
    fleet::{Fleet, Platform},
    postgres::{Server, runtime},
    program::Program,
    proxy::{Commit, Proxy},
    skip,
};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY);\n";
const EFFECT: &str = "CREATE TABLE IF NOT EXISTS t (id int); INSERT INTO t VALUES (1);";

/// A database behind a proxy, and the command that builds it.
fn behind_proxy(test: &str) -> Option<(Fleet, Proxy, std::path::PathBuf)> {
    let fleet = Fleet::new(Platform::Postgres, 1, test)?;
    let port = Server::for_test(test)?.port();
    let proxy = Proxy::start("127.0.0.1", port);
    fleet.package(&[("1.sql", EFFECT)]);
    let list = fleet.list(&[format!("{}:{}", proxy.name, fleet.names[0])]);
    Some((fleet, proxy, list))
}

fn plain(fleet: &Fleet, list: &std::path::Path) -> Program {
    fleet
        .threaded_run_on(list)
        .option("--sslmode", "disable")
        .option("--output", "json")
}

#[test]
fn a_commit_whose_answer_is_lost_is_found_in_the_ledger() {
    let Some((fleet, proxy, list)) = behind_proxy("postgres::a_commit_whose_answer_is_lost") else {
        return;
    };
    proxy.next_commit(Commit::Passes);
    plain(&fleet, &list).words(["--trial"]).run().expect_code(0);
    proxy.next_commit(Commit::LosesItsAnswer);
    // The first COMMIT makes the tables; the second is the build's.
    fleet.sql(0, "SELECT 1");
    let run = plain(&fleet, &list).run().expect_code(0);
    assert_eq!(run.json()["totals"]["committed"], 1, "{}", run.stdout);
    assert_eq!(
        (fleet.rows(0, "t"), fleet.rows(0, "SqlBuild_Ledger")),
        (Some(1), Some(1))
    );
    proxy.next_commit(Commit::LosesItsAnswer);
    let run = plain(&fleet, &list).run().expect_code(0);
    assert_eq!(run.json()["totals"]["committed"], 1, "{}", run.stdout);
    assert_eq!(
        (fleet.rows(0, "t"), fleet.rows(0, "SqlBuild_Ledger")),
        (Some(2), Some(2))
    );
}

#[test]
fn a_commit_that_never_arrived_is_repeated_with_one_effect() {
    let Some((fleet, proxy, list)) = behind_proxy("postgres::a_commit_that_never_arrived") else {
        return;
    };
    plain(&fleet, &list).run().expect_code(0);
    proxy.next_commit(Commit::NeverArrives);
    plain(&fleet, &list).run().expect_code(0);
    assert_eq!(
        (fleet.rows(0, "t"), fleet.rows(0, "SqlBuild_Ledger")),
        (Some(2), Some(2))
    );
}

#[test]
fn a_commit_about_which_nobody_can_be_asked_is_unknown_until_somebody_can() {
    let Some((fleet, proxy, list)) = behind_proxy("postgres::a_commit_about_which_nobody") else {
        return;
    };
    plain(&fleet, &list).run().expect_code(0);
    proxy.next_commit(Commit::LosesItsAnswer);
    proxy.refuse_after_cut();
    let run = plain(&fleet, &list).run().expect_code(5);
    assert_eq!(run.json()["totals"]["unknown"], 1, "{}", run.stdout);
    let unresolved = fs::read_to_string(fleet.logs().join("unresolveddatabases.cfg")).unwrap();
    assert!(unresolved.contains(&fleet.names[0]));
    proxy.heal();
    let run = plain(&fleet, &list)
        .words(["--resume"])
        .run()
        .expect_code(0);
    assert_eq!(
        run.json()["totals"]["alreadyCommitted"],
        1,
        "{}",
        run.stdout
    );
    assert_eq!(
        (fleet.rows(0, "t"), fleet.rows(0, "SqlBuild_Ledger")),
        (Some(2), Some(2))
    );
}

#[test]
fn a_backend_that_is_ended_in_mid_script_leaves_nothing() {
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, "postgres::a_backend_that_is_ended") else {
        return;
    };
    let run = fleet
        .build(&[
            ("1.sql", TABLE),
            (
                "2.sql",
                "INSERT INTO t VALUES (1); SELECT pg_terminate_backend(pg_backend_pid());",
            ),
        ])
        .expect_code(1);
    assert!(
        run.stdout.contains("1 rolled back") && run.stdout.contains("2.sql:1"),
        "{}",
        run.stdout
    );
    assert!(!fleet.has_table(0, "t"));
}

#[test]
fn a_login_without_rights_is_told_what_an_administrator_can_do() {
    let test = "postgres::a_login_without_rights";
    let (Some(fleet), Some(server)) = (
        Fleet::new(Platform::Postgres, 1, test),
        Server::for_test(test),
    ) else {
        return;
    };
    let role = format!("role_{}", fleet.names[0]);
    server.run("postgres", &format!("CREATE ROLE {role} LOGIN"));
    fleet.package(&[("1.sql", "SELECT 1;")]);
    let list = fleet.list(&fleet.lines());
    let build = || {
        Program::new([
            "threaded",
            "run",
            "--platform",
            "PostgreSQL",
            "--username",
            &role,
        ])
        .option("--packagename", fleet.folder.path().join("package"))
        .option("--override", &list)
        .option("--rootloggingpath", fleet.logs())
        .run()
    };
    let run = build().expect_code(1);
    assert!(
        run.stdout
            .contains("sbm ledger script --platform PostgreSQL"),
        "{}",
        run.stdout
    );
    let script = Program::new([
        "ledger",
        "script",
        "--platform",
        "PostgreSQL",
        "--username",
        &role,
    ])
    .run()
    .expect_code(0);
    fleet.sql(0, &script.stdout);
    build().expect_code(0);
    assert_eq!(fleet.rows(0, "SqlBuild_Ledger"), Some(1));
    fleet.sql(0, &format!("DROP OWNED BY {role}"));
    server.run("postgres", &format!("DROP ROLE {role}"));
}

#[test]
fn every_sslmode_verifies_what_it_says() {
    let test = "postgres::every_sslmode_verifies_what_it_says";
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, test) else {
        return;
    };
    let Ok(authority) = std::env::var("SBM_TEST_POSTGRES_CA") else {
        return skip("SBM_TEST_POSTGRES_CA", test);
    };
    let port = Server::for_test(test).unwrap().port();
    // The certificate names localhost and 127.0.0.1, but not this address.
    let elsewhere = Proxy::start("127.0.0.2", port).name;
    let named = format!("localhost:{port}");
    fleet.package(&[("1.sql", "SELECT 1 / (CASE WHEN ssl THEN 1 ELSE 1 END) FROM pg_stat_ssl WHERE pid = pg_backend_pid();")]);
    for (server, mode, trusts, code) in [
        (&named, "verify-full", true, 0),
        (&named, "verify-full", false, 1),
        (&named, "verify-ca", false, 1),
        (&named, "require", false, 0),
        (&named, "prefer", false, 0),
        (&named, "disable", false, 0),
        (&elsewhere, "verify-full", true, 1),
        (&elsewhere, "verify-ca", true, 0),
    ] {
        let list = fleet.list(&[format!("{server}:{}", fleet.names[0])]);
        let mut program = fleet.threaded_run_on(&list).option("--sslmode", mode);
        if trusts {
            program = program.option("--sslrootcert", &authority);
        }
        let run = program.run();
        assert_eq!(
            run.code,
            Some(code),
            "{server} {mode} {trusts}\n{}{}",
            run.stdout,
            run.stderr
        );
    }
}

#[test]
fn a_wrong_password_is_not_tried_again() {
    let test = "postgres::a_wrong_password_is_not_tried_again";
    let Some((fleet, proxy, list)) = behind_proxy(test) else {
        return;
    };
    let Ok(password) = std::env::var("SBM_TEST_POSTGRES_PASSWORD") else {
        return skip("SBM_TEST_POSTGRES_PASSWORD", test);
    };
    fleet.sql(0, "GRANT CREATE ON SCHEMA public TO sbm_password");
    let build = |password: &str| {
        Program::new([
            "threaded",
            "run",
            "--platform",
            "PostgreSQL",
            "--username",
            "sbm_password",
        ])
        .option("--packagename", fleet.folder.path().join("package"))
        .option("--override", &list)
        .option("--rootloggingpath", fleet.logs())
        .option("--sslmode", "disable")
        .variable("SBM_PASSWORD", password)
        .run()
    };
    build("wrong").expect_code(1);
    assert_eq!(proxy.connections(), 1);
    build(&password).expect_code(0);
}

/// A server that answers each connection with `answer` and then keeps silent.
fn odd_server(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut open = Vec::new();
        for mut client in listener.incoming().flatten() {
            client.write_all(&answer).ok();
            open.push(client);
        }
    });
    name
}

#[test]
fn servers_that_answer_nothing_or_nonsense_end_in_an_error() {
    let Some(fleet) = Fleet::new(
        Platform::Postgres,
        1,
        "postgres::servers_that_answer_nothing",
    ) else {
        return;
    };
    fleet.package(&[("1.sql", "SELECT 1;")]);
    let mut random = fastrand::Rng::with_seed(7);
    let mut answers: Vec<Vec<u8>> = vec![
        Vec::new(),
        b"N".to_vec(),
        b"S".to_vec(),
        b"R\0\0\0\x08\0\0\0\0".to_vec(),
    ];
    for length in [1, 5, 40, 400, 4_000] {
        answers.push((0..length).map(|_| random.u8(..)).collect());
    }
    let lines: Vec<String> = answers
        .into_iter()
        .map(|answer| format!("{}:{}", odd_server(answer), fleet.names[0]))
        .collect();
    for mode in ["disable", "require"] {
        let list = fleet.list(&lines);
        let run = fleet
            .threaded_run_on(&list)
            .option("--sslmode", mode)
            .option("--connecttimeout", "1")
            .run()
            .expect_code(1);
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
        assert!(run.stdout.contains("9 rolled back"), "{}", run.stdout);
    }
}

#[test]
fn the_ledger_is_read_after_the_lock_in_every_isolation() {
    let test = "postgres::the_ledger_is_read_after_the_lock";
    let Some(server) = Server::for_test(test) else {
        return;
    };
    let databases = server.databases(1);
    let name = &databases.names[0];
    server.run(
        "postgres",
        &format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"),
    );
    let connection = Connection {
        user: Some(server.user().to_owned()),
        connect_timeout: Duration::from_secs(20),
        ..Connection::default()
    };
    let engine: Arc<dyn Engine> = Arc::new(Postgres::new(&connection, None, None).unwrap());
    let (run_id, never, wait) = (
        uuid::Uuid::from_u128(7),
        CancellationToken::new(),
        Duration::from_secs(60),
    );
    runtime().block_on(async {
        let mut first = engine.connect(&server.name(), name).await.unwrap();
        first.lock(Mode::Transactional, wait, &never).await.unwrap();
        let changes = Changes::needed(&mut *first, Kind::PostgreSql)
            .await
            .unwrap();
        changes.apply(&mut *first, Kind::PostgreSql).await.unwrap();
        first.begin().await.unwrap();
        let row = ledger::Row {
            run_id,
            key: sbm::protocol::TargetKey::stored("k"),
            database: name.clone(),
            attempt: 1,
            package_sha256: "s".into(),
            worker: "w".into(),
            state: ledger::Progress::Committed,
            started: jiff::Timestamp::now(),
            finished: None,
            audit_pending: false,
            detail: None,
        };
        ledger::write(&mut *first, &row, false).await.unwrap();
        let mut second = engine.connect(&server.name(), name).await.unwrap();
        let commit = async {
            // Committed while the other waits, or before it does: it has to see the row in both cases.
            first.commit().await.unwrap();
        };
        let (locked, ()) = tokio::join!(second.lock(Mode::Transactional, wait, &never), commit);
        locked.unwrap();
        second.begin().await.unwrap();
        assert!(
            ledger::read(&mut *second, run_id, name)
                .await
                .unwrap()
                .is_some()
        );
    });
}

#[test]
fn a_package_that_moves_the_search_path_is_not_built_twice() {
    let Some(fleet) = Fleet::new(
        Platform::Postgres,
        1,
        "postgres::a_package_that_moves_the_search_path",
    ) else {
        return;
    };
    let script =
        "CREATE SCHEMA postgres; CREATE TABLE public.t (id int); SET search_path TO nowhere;";
    fleet.build(&[("1.sql", script)]).expect_code(0);
    let run = fleet
        .threaded_run()
        .words(["--resume"])
        .option("--output", "json")
        .run()
        .expect_code(0);
    assert_eq!(
        run.json()["totals"]["alreadyCommitted"],
        1,
        "{}",
        run.stdout
    );
    assert_eq!(
        fleet.value(0, "SELECT count(*) FROM public.sqlbuild_ledger"),
        "1"
    );
}

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
