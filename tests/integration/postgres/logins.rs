//! Logins that fail: what they say, and how often they are tried.

use std::{
    fmt,
    io::Write,
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use async_trait::async_trait;
use sbm::{
    engine::{Engine, Error, Postgres, Session, connect_with_retry},
    protocol::Platform as Kind,
};
use tokio_util::sync::CancellationToken;

use super::{EFFECT, PATIENCE, behind_proxy, engine};
use crate::support::{
    fleet::{Fleet, Platform},
    postgres::{Server, runtime},
    program::Program,
    proxy::Proxy,
    skip,
};

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

/// Counts logins.
#[derive(Debug)]
struct Counted(Postgres, AtomicUsize);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl Engine for Counted {
    fn platform(&self) -> Kind {
        self.0.platform()
    }

    async fn connect(&self, server: &str, database: &str) -> Result<Box<dyn Session>, Error> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.connect(server, database).await
    }
}

#[test]
fn only_what_may_pass_is_tried_again_and_not_for_ever() {
    let Some(server) = Server::for_test("postgres::only_what_may_pass_is_tried_again") else {
        return;
    };
    // Nobody listens on a port that was free a moment ago.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let closed = closed.unwrap().to_string();
    for (place, database, tries) in [
        (&closed, "postgres", 2..=10),
        (&server.name(), "no_such_database", 1..=1),
    ] {
        let counted = Counted(engine(&server), AtomicUsize::new(0));
        let never = CancellationToken::new();
        let login = connect_with_retry(&counted, place, database, PATIENCE, &never);
        let error = runtime().block_on(login).unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error:?}");
        assert!(error.to_string().contains(database), "{error}");
        let count = counted.1.into_inner();
        assert!(tries.contains(&count), "{place}: {count}");
    }
}

/// A server that answers each connection with `answer` and then keeps silent, or closes the connection.
fn odd_server(answer: Vec<u8>, closes: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut open = Vec::new();
        for mut client in listener.incoming().flatten() {
            client.write_all(&answer).ok();
            if !closes {
                open.push(client);
            }
        }
    });
    name
}

/// `AuthenticationOk`, and the beginning of what follows it.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0S\0\0\0\x19client_enc";

#[test]
fn servers_that_answer_nothing_or_nonsense_end_in_an_error() {
    let test = "postgres::servers_that_answer_nothing";
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, test) else {
        return;
    };
    fleet.package(&[("1.sql", "SELECT 1;")]);
    let mut random = fastrand::Rng::with_seed(7);
    let mut answers: Vec<Vec<u8>> = [b"", &b"N"[..], b"S", &WELCOME[..9], WELCOME]
        .map(<[u8]>::to_vec)
        .to_vec();
    for length in [1, 5, 40, 400, 4_000] {
        answers.push((0..length).map(|_| random.u8(..)).collect());
    }
    let count = answers.len() * 2;
    let lines: Vec<String> = answers
        .into_iter()
        .flat_map(|answer| [(answer.clone(), true), (answer, false)])
        .map(|(answer, closes)| format!("{}:{}", odd_server(answer, closes), fleet.names[0]))
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
        let all = format!("{count} rolled back");
        assert!(run.stdout.contains(&all), "{}", run.stdout);
    }
}

/// Whatever a network does to one answer of a server, the effect and the word about it agree.
#[test]
fn a_spoilt_answer_costs_neither_truth_nor_the_program() {
    let test = "postgres::a_spoilt_answer_costs_neither_truth_nor_the_program";
    let Some(fleet) = Fleet::new(Platform::Postgres, 24, test) else {
        return;
    };
    let port = Server::for_test(test).unwrap().port();
    fleet.package(&[("1.sql", EFFECT)]);
    let seeds = 0..fleet.names.len();
    let lines = seeds.zip(&fleet.names).map(|(seed, name)| {
        let proxy = Proxy::start("127.0.0.1", port);
        proxy.spoil(seed % 12, u64::try_from(seed).unwrap());
        format!("{}:{name}", proxy.name)
    });
    let list = fleet.list(&lines.collect::<Vec<_>>());
    let run = super::plain(&fleet, &list)
        .option("--connecttimeout", "2")
        .run();
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    let mut effects = 0;
    for index in 0..fleet.names.len() {
        let rows = fleet.rows(index, "t").unwrap_or(0);
        let recorded = fleet.rows(index, "SqlBuild_Ledger").unwrap_or(0);
        assert!(rows == recorded && rows < 2, "{index}: {rows} {recorded}");
        effects += rows;
    }
    let told = run.count("committed") + run.count("alreadyCommitted");
    assert_eq!(told, effects, "{}", run.stdout);
    assert!(effects > 0);
}
