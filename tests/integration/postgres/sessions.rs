//! What a session does and notices that only PostgreSQL has.

use std::time::{Duration, Instant};

use sbm::{
    engine::{Engine, Error, Mode, Session, TransactionFate, ledger, schema::Changes},
    protocol::{Platform as Kind, TargetKey},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{PATIENCE, TABLE, engine};
use crate::support::{
    fleet::{Fleet, Platform},
    postgres::{Databases, Server, runtime},
};

fn never() -> CancellationToken {
    CancellationToken::new()
}

fn database(test: &str) -> Option<Databases> {
    Server::for_test(test).map(|server| server.databases(1))
}

async fn connect(databases: &Databases) -> Box<dyn Session> {
    let server = &databases.server;
    engine(server)
        .connect(&server.name(), &databases.names[0])
        .await
        .unwrap()
}

/// Waits until a query in the database says `t`.
async fn until(databases: &Databases, sql: &str) {
    let deadline = Instant::now() + PATIENCE;
    let mut session = connect(databases).await;
    loop {
        let rows = session.query(sql, &[]).await.unwrap();
        if rows[0][0].as_int() == Some(1) {
            return;
        }
        assert!(Instant::now() < deadline, "never: {sql}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const OTHERS: &str =
    "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";

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
fn a_session_that_the_server_ends_is_lost_and_so_is_what_it_did() {
    let Some(databases) = database("postgres::a_session_that_the_server_ends") else {
        return;
    };
    runtime().block_on(async {
        let mut session = connect(&databases).await;
        let stop = never();
        session
            .lock(Mode::Transactional, PATIENCE, &stop)
            .await
            .unwrap();
        session.begin().await.unwrap();
        let sql = format!("{TABLE}; SELECT pg_sleep(600)");
        let batch = session.run(&sql, PATIENCE, &stop);
        let end = async {
            let sleeps = format!("SELECT count(*) > 0 FROM {OTHERS} AND wait_event = 'PgSleep'");
            until(&databases, &sleeps).await;
            let ends = format!("SELECT bool_and(pg_terminate_backend(pid)) FROM {OTHERS} AND wait_event = 'PgSleep'");
            until(&databases, &ends).await;
        };
        let (result, ()) = tokio::join!(batch, end);
        assert!(matches!(result, Err(Error::Lost(_))), "{result:?}");
        for again in [
            session.commit().await,
            session.rollback().await,
            session.execute("SELECT 1", &[]).await.map(drop),
        ] {
            assert!(matches!(again, Err(Error::Lost(_))), "{again:?}");
        }
        until(&databases, "SELECT to_regclass('t') IS NULL").await;
    });
}

#[test]
fn a_copy_from_or_to_the_client_is_an_error_and_no_hang() {
    let Some(databases) = database("postgres::a_copy_from_or_to_the_client") else {
        return;
    };
    runtime().block_on(async {
        for copy in ["COPY t FROM STDIN", "COPY t TO STDOUT"] {
            let mut session = connect(&databases).await;
            session
                .lock(Mode::Transactional, PATIENCE, &never())
                .await
                .unwrap();
            session.begin().await.unwrap();
            session.run(TABLE, PATIENCE, &never()).await.unwrap();
            let result = session.run(copy, PATIENCE, &never()).await;
            let Err(Error::Sql(error)) = result else {
                panic!("{copy}: {result:?}");
            };
            assert!(error.message.contains("COPY"), "{error:?}");
            assert_eq!(error.fate, TransactionFate::RolledBack);
            let again = session.run("SELECT 1", PATIENCE, &never()).await;
            assert!(matches!(again, Err(Error::Lost(_))), "{copy}: {again:?}");
            // The server knows, too: nobody holds the lock any more.
            until(&databases, &format!("SELECT count(*) = 0 FROM {OTHERS}")).await;
            until(&databases, "SELECT to_regclass('t') IS NULL").await;
        }
    });
}

#[test]
fn notices_arrive_with_the_result_and_with_the_error() {
    let Some(databases) = database("postgres::notices_arrive") else {
        return;
    };
    runtime().block_on(async {
        let mut session = connect(&databases).await;
        session
            .lock(Mode::Transactional, PATIENCE, &never())
            .await
            .unwrap();
        session.begin().await.unwrap();
        let says = "DO $$ BEGIN RAISE NOTICE 'ä %', 1; RAISE WARNING 'two'; END $$;";
        let result = session.run(says, PATIENCE, &never()).await.unwrap();
        let expected = ["NOTICE: ä 1", "WARNING: two"];
        assert_eq!(result.messages, expected);
        let result = session.run("SELECT 1", PATIENCE, &never()).await.unwrap();
        assert!(result.messages.is_empty(), "{:?}", result.messages);
        let sql = format!("{says} SELECT 'ä€', 1 / 0;");
        let Err(Error::Sql(error)) = session.run(&sql, PATIENCE, &never()).await else {
            panic!("not refused");
        };
        assert_eq!(error.messages, expected);
        assert_eq!(error.code.as_deref(), Some("22012"));
        assert_eq!(error.severity.as_deref(), Some("ERROR"));
        assert_eq!(error.offset, sql.find("SELECT 'ä"), "{error:?}");
    });
}

#[test]
fn the_server_is_told_to_end_an_orphan_and_not_to_limit_the_build() {
    let test = "postgres::the_server_is_told_to_end_an_orphan";
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, test) else {
        return;
    };
    let name = &fleet.names[0];
    fleet.sql(
        0,
        &format!("ALTER DATABASE {name} SET statement_timeout TO '50s'; ALTER DATABASE {name} SET lock_timeout TO '40s'"),
    );
    let expected = [
        ["client_connection_check_interval", "10000"],
        ["idle_in_transaction_session_timeout", "120000"],
        ["lock_timeout", "40000"],
        ["statement_timeout", "0"],
        ["tcp_keepalives_count", "4"],
        ["tcp_keepalives_idle", "30"],
        ["tcp_keepalives_interval", "15"],
        ["tcp_user_timeout", "90000"],
    ];
    let names = expected.map(|[name, _]| format!("'{name}'")).join(", ");
    let script = format!(
        "DROP TABLE IF EXISTS limits; CREATE TABLE limits AS SELECT name, setting FROM pg_settings WHERE name IN ({names});"
    );
    fleet.package(&[("1.sql", &script)]);
    for transactional in ["true", "false"] {
        let build = fleet.threaded_run();
        build
            .option("--transactional", transactional)
            .run()
            .expect_code(0);
        let found = fleet.sql(0, "SELECT name, setting FROM limits ORDER BY name");
        let mut expected = expected
            .map(|pair| pair.map(str::to_owned).to_vec())
            .to_vec();
        let version: u32 = fleet.value(0, "SHOW server_version_num").parse().unwrap();
        if version < 140_000 {
            expected.remove(0);
        }
        assert_eq!(found, expected, "transactional: {transactional}");
    }
}

/// Nobody tells the server: it has to look.
#[test]
fn a_program_that_is_killed_in_mid_statement_frees_its_database() {
    let test = "postgres::a_program_that_is_killed_in_mid_statement";
    let Some(fleet) = Fleet::new(Platform::Postgres, 1, test) else {
        return;
    };
    fleet.package(&[("1.sql", TABLE), ("2.sql", "SELECT pg_sleep(600);")]);
    let mut child = fleet.threaded_run().start();
    fleet.wait_for_script("2.sql");
    child.kill().unwrap();
    child.wait().unwrap();
    fleet.package(&[("1.sql", TABLE)]);
    fleet
        .threaded_run()
        .option("--lockwait", "60")
        .run()
        .expect_code(0);
    assert_eq!(fleet.rows(0, "SqlBuild_Ledger"), Some(1));
}

/// In a stricter isolation the snapshot would be older than the lock, and what its holder committed would not be seen.
#[test]
fn what_the_holder_of_the_lock_committed_is_seen_in_every_isolation() {
    let Some(databases) = database("postgres::what_the_holder_of_the_lock_committed") else {
        return;
    };
    let name = &databases.names[0];
    let strict =
        format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'");
    databases.server.run("postgres", &strict);
    runtime().block_on(async {
        for (number, mode) in [(1, Mode::Transactional), (2, Mode::Autocommit)] {
            let mut first = connect(&databases).await;
            first.lock(mode, PATIENCE, &never()).await.unwrap();
            first.begin().await.unwrap();
            let row = ledger_row(number, name);
            let mut second = connect(&databases).await;
            let stop = never();
            let holder = async {
                until(
                    &databases,
                    "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                )
                .await;
                make_tables(&mut *first).await;
                ledger::write(&mut *first, &row, false).await.unwrap();
                first.commit().await.unwrap();
                drop(first);
            };
            let (locked, ()) = tokio::join!(second.lock(mode, PATIENCE, &stop), holder);
            locked.unwrap();
            let changes = Changes::needed(&mut *second, Kind::PostgreSql).await;
            assert!(changes.unwrap().is_empty(), "{mode:?}");
            second.begin().await.unwrap();
            let found = ledger::read(&mut *second, row.run_id, name).await.unwrap();
            assert!(found.is_some(), "{mode:?}");
            let tables = "DROP TABLE sqlbuild_ledger; DROP TABLE sqlbuild_logging";
            second.run(tables, PATIENCE, &never()).await.unwrap();
            second.commit().await.unwrap();
        }
    });
}

async fn make_tables(session: &mut dyn Session) {
    let changes = Changes::needed(session, Kind::PostgreSql).await.unwrap();
    assert!(!changes.is_empty());
    changes.apply(session, Kind::PostgreSql).await.unwrap();
}

fn ledger_row(number: u128, database: &str) -> ledger::Row {
    ledger::Row {
        run_id: Uuid::from_u128(number),
        key: TargetKey::stored("k"),
        database: database.to_owned(),
        attempt: 1,
        package_sha256: "s".into(),
        worker: "w".into(),
        state: ledger::Progress::Committed,
        started: jiff::Timestamp::now(),
        finished: None,
        audit_pending: false,
        detail: None,
    }
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
