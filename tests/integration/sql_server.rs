//! SQL Server's bad days, played by a stub: routing, encryption that does not fit, tokens, servers that stop or talk nonsense,
//! and what becomes of a transaction.

use std::{
    net::IpAddr,
    sync::{LazyLock, Mutex},
    time::{Duration, Instant},
};

use sbm::{
    engine::{Engine, Error, Mode, Session, SqlServer, TransactionFate, connect_with_retry},
    protocol::{Connection, SslMode},
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::support::program::Program;
use crate::support::skip;
use crate::support::tds_stub::{
    ATTENTION, ATTENTION_SEEN, BATCH, BEGUN, Browser, CERTIFICATE, COMMITTED, COUNT,
    ENCRYPT_NOT_SUPPORTED, ENCRYPT_ON, FAILED, LOGIN, MORE, PRELOGIN, ROLLED_BACK, Step, Stub,
    done, error, error_in, framed, instance, logged_in, numbers, poison, prelogin, print, routing,
    transaction, variant, word,
};

/// One for all calls: a connection belongs to the runtime that opened it.
fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    &RUNTIME
}

const SECRET: &str = "canary-5af1";

fn connection(ssl_mode: SslMode) -> Connection {
    Connection {
        user: Some("me".into()),
        ssl_mode,
        connect_timeout: Duration::from_secs(60),
        ..Connection::default()
    }
}

fn engine(connection: &Connection) -> SqlServer {
    SqlServer::new(connection, Some(SECRET.to_owned().into()), None).unwrap()
}

fn connect(connection: &Connection, stub: &Stub) -> Result<Box<dyn Session>, Error> {
    runtime().block_on(engine(connection).connect(&stub.name(), "db"))
}

/// A refused login, and whether another try may help.
fn refused(connection: &Connection, stub: &Stub) -> (String, bool) {
    let error = connect(connection, stub).unwrap_err();
    assert!(!error.to_string().contains(SECRET), "{error}");
    let transient = error.is_transient();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    (error.to_string(), transient)
}

fn plain(login: Vec<u8>) -> Vec<Step> {
    vec![
        Step::Answer(prelogin(ENCRYPT_NOT_SUPPORTED)),
        Step::Answer(login),
    ]
}

fn encrypted(login: Vec<u8>) -> Vec<Step> {
    vec![
        Step::Answer(prelogin(ENCRYPT_ON)),
        Step::Encrypt,
        Step::Answer(login),
    ]
}

// --- Encryption ---

#[test]
fn a_server_that_cannot_encrypt_gets_no_login_unless_the_user_says_so() {
    for mode in [SslMode::Require, SslMode::VerifyFull] {
        let stub = Stub::start(vec![plain(logged_in())]);
        let (error, transient) = refused(&connection(mode), &stub);
        assert!(error.contains("encryption") && !transient, "{error}");
        assert_eq!(stub.types(), [PRELOGIN]);
    }
    let stub = Stub::start(vec![plain(logged_in())]);
    connect(&connection(SslMode::Disable), &stub).unwrap();
    assert_eq!(stub.types(), [PRELOGIN, LOGIN]);
    // On this machine `auto` asks first and goes on without.
    let stub = Stub::start(vec![plain(vec![]), plain(logged_in())]);
    connect(&connection(SslMode::Auto), &stub).unwrap();
    assert_eq!(stub.types(), [PRELOGIN, PRELOGIN, LOGIN]);
}

#[test]
fn a_certificate_must_be_trusted_before_the_password_is_sent() {
    let stub = Stub::start(vec![encrypted(logged_in())]);
    let (error, transient) = refused(&connection(SslMode::VerifyFull), &stub);
    assert!(error.contains("--sslrootcert") && !transient, "{error}");
    assert_eq!(stub.types(), [PRELOGIN]);

    let trusting = Connection {
        ssl_root_cert: Some(CERTIFICATE.into()),
        ..connection(SslMode::VerifyFull)
    };
    for connection in [
        trusting,
        connection(SslMode::Require),
        connection(SslMode::Prefer),
    ] {
        let stub = Stub::start(vec![encrypted(logged_in())]);
        connect(&connection, &stub).unwrap();
        assert_eq!(stub.types(), [PRELOGIN, LOGIN]);
    }
}

#[test]
fn nonsense_instead_of_tls_is_an_error() {
    let nonsense = framed(PRELOGIN, b"this is not TLS at all");
    let stub = Stub::start(vec![vec![
        Step::Answer(prelogin(ENCRYPT_ON)),
        Step::Raw(nonsense),
    ]]);
    refused(&connection(SslMode::Require), &stub);
}

// --- Logins ---

#[test]
fn a_login_goes_where_the_server_sends_it() {
    let node = Stub::start(vec![encrypted(logged_in())]);
    let to_node = [routing("localhost", node.port()), logged_in()].concat();
    let gateway = Stub::start(vec![encrypted(to_node)]);
    connect(&connection(SslMode::Require), &gateway).unwrap();
    assert_eq!(gateway.types(), [PRELOGIN, LOGIN]);
    assert_eq!(node.types(), [PRELOGIN, LOGIN]);
}

#[test]
fn a_login_that_is_sent_elsewhere_verifies_who_it_meets_there() {
    let trusting = Connection {
        ssl_root_cert: Some(CERTIFICATE.into()),
        ..connection(SslMode::VerifyFull)
    };
    // As Azure does it: no word of a login that succeeded, capitals, and perhaps an instance.
    let sent_to = |host: &str| {
        let everywhere = IpAddr::from([0, 0, 0, 0]);
        let node = Stub::start_at(everywhere, |_| vec![encrypted(logged_in())]);
        let gateway = [routing(host, node.port()), done(0, 0)].concat();
        let gateway = Stub::start(vec![encrypted(gateway)]);
        (connect(&trusting, &gateway), node)
    };
    let (session, node) = sent_to(r"LOCALHOST\MSSQLSERVER");
    session.unwrap();
    assert_eq!(node.types(), [PRELOGIN, LOGIN]);
    // The certificate names no such server.
    let (refused, node) = sent_to("127.0.0.2");
    let error = refused.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    // Elsewhere this machine has one such address alone.
    assert!(
        !cfg!(target_os = "linux") || !error.is_transient(),
        "{error}"
    );
    assert!(!node.types().contains(&LOGIN));
}

#[test]
fn a_named_instance_is_asked_for_at_its_browser() {
    let test = "sql_server::a_named_instance_is_asked_for_at_its_browser";
    let Some(browser) = Browser::new() else {
        return skip("a machine with all of 127.0.0.0/8", test);
    };
    let server = format!(r"{}\TWO", browser.at);
    let stub = Stub::start_at(browser.at, |_| vec![plain(logged_in())]);
    // The first question gets lost, the second an answer that is none. The driver waits for a second alone, which a busy
    // machine may need to answer the third.
    let mut answers = vec![None, Some(vec![5, 1])];
    answers.resize(60, Some(instance("TWO", stub.port())));
    let questions = browser.answer(answers);
    let engine = engine(&connection(SslMode::Disable));
    let login = || runtime().block_on(engine.connect(&server, "db"));
    let lost = login().unwrap_err();
    assert!(
        lost.is_transient() && lost.to_string().contains("1434"),
        "{lost}"
    );
    let nonsense = login().unwrap_err();
    assert!(matches!(nonsense, Error::Connect { .. }), "{nonsense:?}");
    let found = (0..58).find_map(|_| {
        login()
            .inspect_err(|error| assert!(error.is_transient()))
            .ok()
    });
    assert!(found.is_some());
    assert!(questions.try_iter().all(|question| question == b"\x04TWO"));
    // The server is asked whether it is that instance.
    let (_, prelogin) = &stub.heard()[0];
    assert!(prelogin.windows(4).any(|window| window == b"TWO\0"));
    assert_eq!(stub.types(), [PRELOGIN, LOGIN]);
}

#[test]
fn servers_that_send_a_login_in_circles_are_left() {
    let stub = Stub::start_with(|port| {
        let again = [routing("127.0.0.1", port), logged_in()].concat();
        vec![plain(again); 3]
    });
    let (error, _) = refused(&connection(SslMode::Disable), &stub);
    assert!(error.contains("3 times"), "{error}");
}

#[test]
fn a_token_logs_in_over_an_encrypted_connection_only() {
    let with_token = |ssl_mode| Connection {
        user: None,
        ..connection(ssl_mode)
    };
    let stub = Stub::start(vec![encrypted(logged_in())]);
    connect(&with_token(SslMode::Require), &stub).unwrap();
    let heard = stub.heard();
    let token: Vec<u8> = SECRET.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let login = &heard[1].1;
    assert!(login.windows(token.len()).any(|window| window == token));

    // `prefer`, which is also `auto` on this machine, does not fall back for a token.
    for mode in [SslMode::Auto, SslMode::Prefer] {
        let stub = Stub::start(vec![plain(logged_in())]);
        let (error, _) = refused(&with_token(mode), &stub);
        assert!(error.contains("encryption"), "{error}");
        assert_eq!(stub.types(), [PRELOGIN]);
    }
    let refused = SqlServer::new(
        &with_token(SslMode::Disable),
        Some(SECRET.to_owned().into()),
        None,
    );
    assert!(matches!(refused, Err(Error::Settings(_))));
}

#[test]
fn refused_logins_say_whether_they_may_succeed_later() {
    // A wrong password, a wrong name, a database that takes no more data: never. The service, its limits, a fail-over: later.
    let never = [18456, 4060, 40544, 40532, 47073];
    let later = [
        40613, 40197, 40501, 40143, 10928, 10929, 49918, 49919, 49920, 4221, 42108, 42109, 1205,
        233, 18401, 926, 978,
    ];
    let all = never.map(|number| (number, false)).into_iter();
    for (number, passes) in all.chain(later.map(|number| (number, true))) {
        let answer = [error(number, 14, "no", 1), done(FAILED, 0)].concat();
        let stub = Stub::start(vec![plain(answer)]);
        let error = connect(&connection(SslMode::Disable), &stub).unwrap_err();
        assert_eq!(
            (error.code(), error.is_transient()),
            (Some(number.to_string().as_str()), passes)
        );
        assert_eq!(error.login_budget().is_some(), number == 40613);
    }
}

#[test]
fn a_database_that_is_not_available_yet_is_waited_for_longer_than_four_logins() {
    let refused = |number| plain([error(number, 14, "not now", 1), done(FAILED, 0)].concat());
    let log_in = |number| {
        let mut scripts = vec![refused(number); 4];
        scripts.push(plain(logged_in()));
        let stub = Stub::start(scripts);
        let engine = engine(&connection(SslMode::Disable));
        let (server, stop) = (stub.name(), CancellationToken::new());
        let budget = Duration::from_secs(600);
        runtime().block_on(connect_with_retry(&engine, &server, "db", budget, &stop))
    };
    log_in(40613).unwrap();
    let busy = log_in(40501).unwrap_err();
    assert_eq!(busy.code(), Some("40501"));
}

#[test]
fn a_login_says_of_which_program_and_machine_it_is() {
    let stub = Stub::start(vec![plain(logged_in())]);
    connect(&connection(SslMode::Disable), &stub).unwrap();
    let (_, login) = &stub.heard()[1];
    let says = |text: &str| {
        let text: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        login.windows(text.len()).any(|window| window == text)
    };
    assert!(says(concat!("sbm ", env!("CARGO_PKG_VERSION"))) && says("db") && says("me"));
    if let Ok(machine) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
        assert!(says(machine.trim()), "{machine}");
    }
}

#[test]
fn a_server_that_stops_in_the_middle_of_a_login_is_left_in_time() {
    let patient = |mode| Connection {
        connect_timeout: Duration::from_millis(300),
        ..connection(mode)
    };
    let answer = || Step::Answer(prelogin(ENCRYPT_NOT_SUPPORTED));
    let encrypts = || Step::Answer(prelogin(ENCRYPT_ON));
    for (mode, steps) in [
        (SslMode::Disable, vec![Step::Silence]),
        (SslMode::Disable, vec![answer(), Step::Silence]),
        (SslMode::Require, vec![encrypts(), Step::Silence]),
        (
            SslMode::Require,
            vec![encrypts(), Step::Encrypt, Step::Silence],
        ),
    ] {
        let stub = Stub::start(vec![steps]);
        let started = Instant::now();
        let (error, transient) = refused(&patient(mode), &stub);
        assert!(
            error.contains("no answer within 0.3 s") && transient,
            "{error}"
        );
        assert!(started.elapsed() < Duration::from_secs(30));
    }
    // One that hangs up.
    for steps in [vec![], vec![answer()]] {
        let stub = Stub::start(vec![steps]);
        assert!(refused(&connection(SslMode::Disable), &stub).1);
    }
}

#[test]
fn bytes_that_make_no_sense_neither_hang_nor_panic() {
    let quick = Connection {
        connect_timeout: Duration::from_secs(2),
        ..connection(SslMode::Disable)
    };
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..150 {
        let garbage: Vec<u8> = (0..random.usize(1..200)).map(|_| random.u8(..)).collect();
        let mut bent = [
            framed(4, &prelogin(ENCRYPT_NOT_SUPPORTED)),
            framed(4, &logged_in()),
        ];
        let which = random.usize(..2);
        let at = random.usize(8..bent[which].len());
        bent[which][at] = random.u8(..);
        let [first, second] = bent;
        let scripts = [
            vec![Step::Raw(garbage.clone())],
            vec![Step::Answer(garbage.clone())],
            vec![
                Step::Answer(prelogin(ENCRYPT_NOT_SUPPORTED)),
                Step::Answer(garbage),
            ],
            vec![Step::Raw(first), Step::Raw(second)],
        ];
        for steps in scripts {
            let stub = Stub::start(vec![steps]);
            match connect(&quick, &stub) {
                Ok(_) | Err(Error::Connect { .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn no_level_of_the_log_shows_a_secret_or_a_row() {
    let row = "canary-row-77";
    let wishes = [
        (Some("trace"), "trace,tiberius=trace"),
        (None, "trace,tiberius::tds::stream::token=trace"),
    ];
    for (level, wish) in wishes {
        let mut steps = plain(logged_in());
        steps.push(Step::Answer(
            [numbers(&[0]), word(row), done(0, 0)].concat(),
        ));
        let stub = Stub::start(vec![steps]);
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("package")).unwrap();
        std::fs::write(folder.path().join("package/1.sql"), "SELECT 1").unwrap();
        let list = folder.path().join("targets.cfg");
        std::fs::write(&list, format!("{}:db", stub.name())).unwrap();
        let mut run = Program::new(["threaded", "run"])
            .option("--packagename", folder.path().join("package"))
            .option("--override", &list)
            .option("--rootloggingpath", folder.path().join("logs"))
            .option("--platform", "SqlServer")
            .option("--sslmode", "disable")
            .option("--username", "me")
            .variable("SBM_PASSWORD", SECRET)
            .variable("RUST_LOG", wish);
        if let Some(level) = level {
            run = run.option("--loglevel", level);
        }
        let run = run.run().expect_code(1);
        assert!(stub.types().contains(&BATCH));
        assert!(run.stderr.contains("TRACE") || run.stderr.contains("DEBUG"));
        for text in [SECRET, row, "tiberius"] {
            assert!(
                !run.stderr.contains(text) && !run.stdout.contains(text),
                "{text}: {}",
                run.stderr
            );
        }
    }
}

#[test]
fn crates_that_log_by_way_of_tracing_are_heard_beside_a_session() {
    struct Ear;

    static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());

    impl log::Log for Ear {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.target() == "somebody_else"
        }

        fn log(&self, record: &log::Record<'_>) {
            if self.enabled(record.metadata()) {
                HEARD.lock().unwrap().push(record.args().to_string());
            }
        }

        fn flush(&self) {}
    }

    log::set_logger(&Ear).expect("no other test listens to the log");
    log::set_max_level(log::LevelFilter::Info);
    let stub = Stub::start(vec![plain(logged_in())]);
    let _session = connect(&connection(SslMode::Disable), &stub).unwrap();
    tracing::event!(target: "somebody_else", tracing::Level::INFO, "words");
    assert!(
        HEARD
            .lock()
            .unwrap()
            .iter()
            .any(|heard| heard.contains("words"))
    );
}

// --- Batches ---

const OURS: i64 = 77;

fn state(depth: i64, health: i64, id: i64) -> Step {
    Step::Answer([numbers(&[depth, health, id]), done(0, 0)].concat())
}

fn alive() -> Step {
    state(1, 1, OURS)
}

/// The answer to the question whose rights the session has.
fn who(user: &str) -> Step {
    Step::Answer([word(user), done(0, 0)].concat())
}

fn lock(answer: i64) -> Step {
    Step::Answer([numbers(&[answer]), word("db"), word("me"), done(0, 0)].concat())
}

/// A session in its transaction; `then` are the answers to what it sends next.
fn session(then: Vec<Step>) -> (Stub, Box<dyn Session>) {
    let mut steps = plain(logged_in());
    steps.push(lock(0));
    steps.push(Step::Answer(
        [transaction(BEGUN), numbers(&[1, 1, OURS]), done(0, 0)].concat(),
    ));
    steps.extend(then);
    let stub = Stub::start(vec![steps]);
    let mut session = connect(&connection(SslMode::Disable), &stub).unwrap();
    runtime().block_on(async {
        let stop = CancellationToken::new();
        session
            .lock(Mode::Transactional, Duration::ZERO, &stop)
            .await
            .unwrap();
        session.begin().await.unwrap();
    });
    (stub, session)
}

fn run(session: &mut dyn Session, sql: &str) -> Result<sbm::engine::BatchResult, Error> {
    let stop = CancellationToken::new();
    runtime().block_on(session.run(sql, Duration::from_secs(60), &stop))
}

#[test]
fn a_lock_that_somebody_else_holds_is_busy_and_other_answers_are_errors() {
    for answer in [-1, -2, -3, -999] {
        let mut steps = plain(logged_in());
        steps.push(lock(answer));
        let stub = Stub::start(vec![steps]);
        let mut session = connect(&connection(SslMode::Disable), &stub).unwrap();
        let stop = CancellationToken::new();
        let locked =
            runtime().block_on(session.lock(Mode::Transactional, Duration::from_secs(1), &stop));
        match (answer, locked.unwrap_err()) {
            (-1, Error::Busy { .. }) | (_, Error::Lost(_)) => {}
            (_, other) => panic!("{answer}: {other:?}"),
        }
        let batch = &stub.batches()[0];
        assert!(
            batch.contains("@LockOwner = 'Session'") && batch.contains("@LockTimeout = 1000,"),
            "{batch}"
        );
    }
}

#[test]
fn prints_and_counts_are_kept_and_the_batch_is_sent_alone() {
    let answer = [
        print("hello"),
        done(MORE | COUNT, 3),
        done(MORE, 9),
        print("bye"),
        done(COUNT, 1),
    ]
    .concat();
    let (stub, mut session) = session(vec![Step::Answer(answer), alive()]);
    let result = run(&mut *session, "CREATE PROCEDURE p AS SELECT 1").unwrap();
    assert_eq!(
        (result.rows, result.messages),
        (vec![3, 1], vec!["hello".to_owned(), "bye".into()])
    );
    let batches = stub.batches();
    assert_eq!(batches[2], "CREATE PROCEDURE p AS SELECT 1");
    assert!(
        batches[3].contains("XACT_STATE()") && batches.len() == 4,
        "{batches:?}"
    );
}

#[test]
fn a_column_of_any_type_does_no_harm() {
    let (_stub, mut session) = session(vec![Step::Answer(variant(7)), alive()]);
    let result = run(&mut *session, "SELECT SERVERPROPERTY('EngineEdition')").unwrap();
    assert_eq!(result.rows, [1]);
}

#[test]
fn a_print_that_reads_like_the_end_of_a_transaction_is_a_print() {
    let dead_lock = error(1205, 13, "dead-lock", 1);
    for words in [
        "Commit transaction",
        "Begin transaction",
        "Rollback transaction",
    ] {
        let answer = [
            print(words),
            dead_lock.clone(),
            transaction(ROLLED_BACK),
            done(FAILED, 0),
        ];
        let (_stub, mut session) =
            session(vec![Step::Answer(answer.concat()), state(0, 0, OURS + 1)]);
        let Err(Error::Sql(error)) = run(&mut *session, "PRINT") else {
            panic!("no error");
        };
        assert_eq!(error.messages, [words]);
        assert_eq!(error.fate, TransactionFate::RolledBack, "{words}");
    }
    // And what the driver says of the session is no print.
    let answer = [transaction(BEGUN), transaction(COMMITTED), done(0, 0)].concat();
    let (_stub, mut session) = session(vec![Step::Answer(answer), alive()]);
    let result = run(&mut *session, "BEGIN TRANSACTION; COMMIT").unwrap();
    assert_eq!(result.messages, Vec::<String>::new());
}

#[test]
fn an_error_has_number_severity_place_and_what_was_said_with_it() {
    let answer = [
        print("before"),
        error_in(50_000, 5, "first", "", 3),
        error(208, 16, "second", 4),
        done(FAILED, 0),
    ]
    .concat();
    let (_stub, mut session) = session(vec![Step::Answer(answer), alive()]);
    let sql = "a\nb\n  c\nd";
    let Err(Error::Sql(error)) = run(&mut *session, sql) else {
        panic!("no error");
    };
    assert_eq!(
        (error.code.as_deref(), error.severity.as_deref()),
        (Some("50000"), Some("16"))
    );
    assert_eq!(error.message, "first (state 5)");
    assert_eq!(error.offset, sql.find('c'));
    assert_eq!(error.messages, ["before", "error 208: second"]);
    assert_eq!(error.fate, TransactionFate::Alive);
}

#[test]
fn a_line_of_a_procedure_is_no_line_of_the_batch_that_calls_it() {
    let answer = [error_in(8134, 1, "Divide by zero", "p", 2), done(FAILED, 0)].concat();
    let (_stub, mut session) = session(vec![Step::Answer(answer), alive()]);
    let Err(Error::Sql(error)) = run(&mut *session, "-- x\nEXEC p\n") else {
        panic!("no error");
    };
    assert_eq!(error.offset, None);
    assert_eq!(
        error.message,
        "Divide by zero (state 1, procedure p, line 2)"
    );
}

#[test]
fn what_became_of_the_transaction_is_told_truthfully() {
    let gone = || state(0, 0, 99);
    let failed = || done(FAILED, 0);
    let dead_lock = || error(1205, 13, "dead-lock", 1);
    for (answer, proof, fate, transient) in [
        (
            [dead_lock(), transaction(ROLLED_BACK), failed()].concat(),
            gone(),
            TransactionFate::RolledBack,
            true,
        ),
        (
            [
                error(245, 16, "conversion", 1),
                transaction(ROLLED_BACK),
                failed(),
            ]
            .concat(),
            gone(),
            TransactionFate::RolledBack,
            false,
        ),
        (
            [
                transaction(COMMITTED),
                done(MORE, 0),
                error(208, 16, "no table", 1),
                failed(),
            ]
            .concat(),
            gone(),
            TransactionFate::EndedByScript,
            false,
        ),
        (
            [
                transaction(ROLLED_BACK),
                done(MORE, 0),
                done(MORE | COUNT, 1),
                dead_lock(),
                failed(),
            ]
            .concat(),
            gone(),
            TransactionFate::EndedByScript,
            true,
        ),
        (
            [
                error(2627, 14, "duplicate", 1),
                done(FAILED | MORE, 0),
                done(COUNT, 1),
            ]
            .concat(),
            state(2, 1, OURS),
            TransactionFate::Alive,
            false,
        ),
    ] {
        let (_stub, mut session) = session(vec![Step::Answer(answer), proof]);
        let error = run(&mut *session, "x").unwrap_err();
        assert_eq!(
            (error.fate(), error.is_transient()),
            (fate, transient),
            "{error:?}"
        );
    }
}

#[test]
fn a_script_that_ends_the_transaction_without_an_error_is_noticed() {
    for (answer, proof) in [
        (
            [transaction(COMMITTED), done(0, 0)].concat(),
            state(0, 0, 99),
        ),
        (
            [transaction(ROLLED_BACK), done(0, 0)].concat(),
            state(0, 0, 99),
        ),
        (
            [
                transaction(COMMITTED),
                done(MORE, 0),
                transaction(BEGUN),
                done(0, 0),
            ]
            .concat(),
            state(1, 1, 99),
        ),
    ] {
        let (_stub, mut session) = session(vec![Step::Answer(answer), proof]);
        let ended = run(&mut *session, "x");
        assert!(matches!(ended, Err(Error::TransactionEnded)), "{ended:?}");
    }
}

#[test]
fn a_script_that_silences_the_server_is_proved_all_the_same() {
    let nothing = || Step::Answer(done(0, 0));
    let silent = |modes: usize| vec![nothing(); 2 * modes];
    for (place, mode) in ["NOEXEC", "PARSEONLY", "FMTONLY", "SHOWPLAN_ALL"]
        .iter()
        .enumerate()
    {
        // The script, the question; for each mode its end and the question.
        let mut steps = [
            silent(1),
            silent(place),
            vec![nothing(), alive(), nothing()],
        ]
        .concat();
        // Before the next script: the modes that are known, the question, and for each mode once more.
        let by_itself = place < 3;
        steps.push(nothing());
        if !by_itself {
            steps.extend([vec![nothing()], silent(place), vec![nothing()]].concat());
        }
        steps.extend([alive(), who("me")]);
        let (stub, mut session) = session(steps);
        run(&mut *session, &format!("SET {mode} ON")).unwrap();
        let batches = stub.batches();
        let last = batches.len() - 1;
        assert_eq!(
            (batches[last - 2].clone(), batches[last].clone()),
            (format!("SET {mode} OFF"), format!("SET {mode} ON"))
        );
        runtime().block_on(session.begin_script()).unwrap();
        assert!(stub.batches().last().unwrap().contains("SET NOCOUNT OFF;"));
    }
}

#[test]
fn plans_and_figures_that_a_script_has_asked_for_are_no_answers_of_ours() {
    // The figures of a statement come as a result behind it.
    let figures = numbers(&[1, 1, 1, 1]);
    let proof = [
        numbers(&[1, 1, OURS]),
        figures,
        word("<ShowPlanXML/>"),
        done(0, 0),
    ]
    .concat();
    let nothing = || Step::Answer(done(0, 0));
    let (stub, mut session) = session(vec![nothing(), Step::Answer(proof), nothing(), who("me")]);
    run(
        &mut *session,
        "SET STATISTICS PROFILE ON; SET STATISTICS XML ON",
    )
    .unwrap();
    runtime().block_on(session.begin_script()).unwrap();
    assert!(stub.batches()[4].contains("SET STATISTICS PROFILE OFF; SET STATISTICS XML OFF"));
}

#[test]
fn a_batch_is_cancelled_by_attention_and_the_connection_is_used_on() {
    // The answer comes in two parts: a print at once, and the end only after the attention.
    let (stub, mut session) = session(vec![
        Step::Raw(vec![]),
        Step::Answer(done(ATTENTION_SEEN, 0)),
        alive(),
        Step::Answer(done(0, 0)),
        alive(),
    ]);
    let stop = CancellationToken::new();
    let result = runtime().block_on(session.run("WAITFOR", Duration::from_millis(100), &stop));
    assert!(
        matches!(
            result,
            Err(Error::Timeout {
                fate: TransactionFate::Alive,
                ..
            })
        ),
        "{result:?}"
    );
    assert!(stub.types().contains(&ATTENTION));
    run(&mut *session, "next").unwrap();
}

#[test]
fn a_server_that_is_deaf_to_attention_loses_the_connection() {
    let (stub, mut session) = session(vec![Step::Silence]);
    let stop = CancellationToken::new();
    stop.cancel();
    let result = runtime().block_on(session.run("WAITFOR", Duration::from_secs(60), &stop));
    assert!(matches!(result, Err(Error::Stopped)), "{result:?}");
    assert!(matches!(run(&mut *session, "x"), Err(Error::Lost(_))));
    assert_eq!(
        stub.types().iter().filter(|kind| **kind == BATCH).count(),
        3
    );
}

#[test]
fn a_panic_of_the_driver_costs_one_session_its_connection_and_nothing_else() {
    let (_stub, mut session) = session(vec![Step::Answer(poison())]);
    let lost = run(&mut *session, "SELECT 1");
    assert!(
        matches!(&lost, Err(Error::Lost(why)) if why.contains("driver")),
        "{lost:?}"
    );
    assert!(matches!(
        run(&mut *session, "SELECT 1"),
        Err(Error::Lost(_))
    ));

    let (_stub, mut next) = self::session(vec![Step::Answer(done(0, 0)), alive()]);
    run(&mut *next, "SELECT 1").unwrap();
}

#[test]
fn a_connection_that_is_cut_in_a_batch_is_lost() {
    let (_stub, mut session) = session(vec![]);
    let lost = run(&mut *session, "x").unwrap_err();
    assert!(
        matches!(lost, Error::Lost(_)) && lost.is_transient(),
        "{lost:?}"
    );

    // What the batch had committed before stays.
    let cut = framed(4, &[transaction(COMMITTED), done(MORE, 0)].concat());
    let open = [&cut[..1], &[0], &cut[2..]].concat();
    let (_stub, mut session) = self::session(vec![Step::Raw(open)]);
    let ended = run(&mut *session, "COMMIT; x");
    assert!(matches!(ended, Err(Error::TransactionEnded)), "{ended:?}");
}

// --- Ends ---

fn commit(steps: Vec<Step>) -> (Stub, Result<(), Error>) {
    let (stub, mut session) = session(steps);
    let result = runtime().block_on(session.commit());
    (stub, result)
}

#[test]
fn a_commit_is_told_from_a_refusal_and_from_silence() {
    let yes = Step::Answer([transaction(COMMITTED), numbers(&[0]), done(0, 0)].concat());
    let (stub, committed) = commit(vec![yes]);
    committed.unwrap();
    assert!(stub.batches()[2].contains(&format!("CURRENT_TRANSACTION_ID() = {OURS}")));

    let no = [error(3930, 16, "cannot be committed", 1), done(FAILED, 0)].concat();
    assert!(commit(vec![Step::Answer(no)]).1.unwrap_err().is_answer());

    for open in [
        vec![],
        // The service failed over; the commit may have been the last that it did.
        vec![Step::Answer(
            [error(40197, 20, "service", 1), done(FAILED, 0)].concat(),
        )],
        vec![Step::Answer(
            [error(40197, 16, "service", 1), done(FAILED, 0)].concat(),
        )],
        vec![Step::Answer(
            [
                transaction(COMMITTED),
                error(9001, 16, "log", 1),
                done(FAILED, 0),
            ]
            .concat(),
        )],
        // Another transaction is open, or none.
        vec![Step::Answer([numbers(&[-1]), done(0, 0)].concat())],
    ] {
        let error = commit(open).1.unwrap_err();
        assert!(!error.is_answer(), "{error:?}");
    }
}

#[test]
fn options_that_a_script_has_set_do_not_reach_the_next_one() {
    let nothing = || Step::Answer(done(0, 0));
    let (stub, mut session) = session(vec![nothing(), alive(), who("me"), nothing(), alive()]);
    run(&mut *session, "SET XACT_ABORT ON").unwrap();
    runtime().block_on(session.begin_script()).unwrap();
    run(&mut *session, "SELECT 1").unwrap();
    let batches = stub.batches();
    for option in [
        "XACT_ABORT OFF",
        "ROWCOUNT 0",
        "LOCK_TIMEOUT -1",
        "IMPLICIT_TRANSACTIONS OFF",
    ] {
        assert!(batches[4].contains(&format!("SET {option};")), "{option}");
    }
    assert_eq!(batches[5], "SELECT 1");
}

#[test]
fn a_script_that_leaves_the_session_to_somebody_else_does_not_leave_the_next_one_to_them() {
    let nothing = || Step::Answer(done(0, 0));
    let (stub, mut session) = session(vec![
        nothing(),
        alive(),
        who("b"),
        nothing(),
        who("a"),
        nothing(),
        who("me"),
        nothing(),
        alive(),
    ]);
    let script = "EXECUTE AS USER = 'a'; EXECUTE AS USER = 'b'";
    run(&mut *session, script).unwrap();
    runtime().block_on(session.begin_script()).unwrap();
    run(&mut *session, "SELECT 1").unwrap();
    let batches = stub.batches();
    assert_eq!(
        (batches[5].as_str(), batches[7].as_str()),
        ("REVERT", "REVERT")
    );
    assert_eq!(batches[9], "SELECT 1");
}
