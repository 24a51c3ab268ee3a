//! Reading from SQL Server, played by a stub: there is no transaction that only reads, so the words of the text, the proof
//! and the rollback decide.

use std::{sync::LazyLock, time::Duration};

use sbm::{
    engine::{Answer, Engine, Error, Session, SqlServer},
    protocol::{Connection, SslMode},
};
use tokio::{runtime::Runtime, sync::mpsc};
use tokio_util::sync::CancellationToken;

use crate::support::tds_stub::{
    BATCH, BEGUN, COMMITTED, ENCRYPT_NOT_SUPPORTED, FAILED, MORE, Step, Stub, done, error, framed,
    logged_in, numbers, prelogin, transaction,
};

/// Long enough for everything that is to succeed.
const PATIENCE: Duration = Duration::from_secs(600);

/// The id of the query's transaction.
const OURS: i64 = 77;

/// One for all calls: a connection belongs to the runtime that opened it.
fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    &RUNTIME
}

/// A session; `then` are the answers to what it sends when its transaction is open.
fn session(then: Vec<Step>) -> (Stub, Box<dyn Session>) {
    let mut steps = vec![
        Step::Answer(prelogin(ENCRYPT_NOT_SUPPORTED)),
        Step::Answer(logged_in()),
        // The options of the session.
        Step::Answer(done(0, 0)),
        Step::Answer([transaction(BEGUN), numbers(&[1, 1, OURS]), done(0, 0)].concat()),
    ];
    steps.extend(then);
    let stub = Stub::start(vec![steps]);
    let connection = Connection {
        user: Some("me".into()),
        ssl_mode: SslMode::Disable,
        connect_timeout: Duration::from_secs(60),
        ..Connection::default()
    };
    let engine = SqlServer::new(&connection, Some("x".to_owned().into()), None).unwrap();
    let session = runtime()
        .block_on(engine.connect(&stub.name(), "db"))
        .unwrap();
    (stub, session)
}

fn alive() -> Step {
    Step::Answer([numbers(&[1, 1, OURS]), done(0, 0)].concat())
}

fn rolled_back() -> Step {
    Step::Answer([numbers(&[0]), done(0, 0)].concat())
}

fn read(session: &mut dyn Session, query: &str) -> (Result<u64, Error>, Vec<Answer>) {
    runtime().block_on(async {
        let (to, mut from) = mpsc::channel(1_000);
        let stop = CancellationToken::new();
        let result = session.read(query, PATIENCE, &stop, &to).await;
        drop(to);
        let mut all = Vec::new();
        while let Some(answer) = from.recv().await {
            all.push(answer);
        }
        (result, all)
    })
}

fn row(cells: &[&str]) -> Answer {
    Answer::Row(cells.iter().map(|cell| Some((*cell).to_owned())).collect())
}

#[test]
fn an_answer_is_read_in_a_transaction_that_is_proved_and_rolled_back() {
    let answer = Step::Answer([numbers(&[4, 5]), done(0, 0)].concat());
    let (stub, mut session) = session(vec![answer, alive(), rolled_back()]);
    let (result, answers) = read(&mut *session, "-- note\nSELECT 4, 5;\nGO\n");
    assert_eq!(result.unwrap(), 1);
    let columns = Answer::Columns(vec![String::new(), String::new()]);
    assert_eq!(answers, [columns, row(&["4", "5"])]);
    let batches = stub.batches();
    assert!(batches[0].contains("SET ROWCOUNT 0"), "{batches:?}");
    assert!(batches[1].starts_with("BEGIN TRANSACTION"), "{batches:?}");
    assert_eq!(batches[2], "SELECT 4, 5");
    assert!(batches[3].contains("@@TRANCOUNT"), "{batches:?}");
    assert!(batches[4].contains("ROLLBACK"), "{batches:?}");
}

#[test]
fn what_is_no_query_is_never_sent() {
    for text in [
        "",
        "DELETE FROM t",
        "SELECT 1 DELETE FROM t",
        "SELECT 1; COMMIT",
        "WITH x AS (SELECT 1 AS a) UPDATE t SET a = 1",
        "SELECT * INTO t FROM s",
        "SELECT NEXT VALUE FOR s",
        "EXEC p",
    ] {
        let (stub, mut session) = session(vec![]);
        let (result, answers) = read(&mut *session, text);
        assert!(matches!(result, Err(Error::NotAQuery(_))), "{result:?}");
        assert!(answers.is_empty());
        assert!(!stub.types().contains(&BATCH), "{text}");
    }
}

#[test]
fn a_query_that_leaves_its_transaction_is_a_failure() {
    let answer = Step::Answer([transaction(COMMITTED), numbers(&[4]), done(0, 0)].concat());
    let gone = Step::Answer([numbers(&[0, 0, 99]), done(0, 0)].concat());
    let (_stub, mut session) = session(vec![answer, gone, rolled_back()]);
    let (result, _) = read(&mut *session, "SELECT dbo.f()");
    let Err(Error::NotAQuery(why)) = result else {
        panic!("{result:?}");
    };
    assert!(why.contains("ended the transaction"), "{why}");
}

#[test]
fn an_answer_of_two_tables_is_none_of_a_query() {
    let answer = Step::Answer([numbers(&[4]), numbers(&[5]), done(0, 0)].concat());
    let (_stub, mut session) = session(vec![answer, rolled_back()]);
    let (result, answers) = read(&mut *session, "SELECT 4 SELECT 5");
    let Err(Error::NotAQuery(why)) = result else {
        panic!("{result:?}");
    };
    assert!(why.contains("more than one table"), "{why}");
    assert_eq!(answers.len(), 2);
}

#[test]
fn an_error_after_rows_has_its_place_in_the_text() {
    let failure = error(8134, 16, "Divide by zero error encountered.", 2);
    let numbers = numbers(&[4]);
    let answer = Step::Answer([numbers, failure, done(FAILED, 0)].concat());
    let (stub, mut session) = session(vec![answer, rolled_back()]);
    let text = "/* a note */ SELECT 4\n  / 0";
    let (result, _) = read(&mut *session, text);
    let Err(Error::Sql(error)) = result else {
        panic!("{result:?}");
    };
    assert_eq!(error.code.as_deref(), Some("8134"));
    assert_eq!(error.offset, text.find("/ 0"));
    assert!(stub.batches().last().unwrap().contains("ROLLBACK"));
}

#[test]
fn rows_are_handed_on_before_the_answer_ends() {
    let mut unfinished = framed(4, &[numbers(&[4]), done(MORE, 0)].concat());
    // Another packet follows.
    unfinished[1] = 0;
    let (_stub, mut session) = session(vec![Step::Raw(unfinished), Step::Silence]);
    let result = runtime().block_on(async {
        let (to, mut from) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let reader = async {
            assert!(matches!(from.recv().await, Some(Answer::Columns(_))));
            assert_eq!(from.recv().await, Some(row(&["4"])));
            stop.cancel();
        };
        let reading = session.read("SELECT 4", PATIENCE, &stop, &to);
        tokio::join!(reading, reader).0
    });
    assert!(matches!(result, Err(Error::Stopped)), "{result:?}");
}
