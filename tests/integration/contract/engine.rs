//! What every engine promises: one function per promise, called for each platform in `engines.rs`.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use sbm::{
    engine::{
        Engine, Error, Mode, Session, Statement, TransactionFate, Value,
        audit::{self, Row},
        ledger::{self, Progress},
        schema::{self, Changes, Table},
    },
    protocol::{Pair, Target, TargetKey},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::endings::Ending;

/// Long enough for everything that is to succeed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A fresh database, and the few words that platforms do not share.
#[derive(Clone, Debug)]
pub(crate) struct Fixture {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) server: String,
    pub(crate) database: String,
    /// A statement that runs for minutes.
    pub(crate) endless: &'static str,
    /// A query of 100,000 rows.
    pub(crate) many: &'static str,
    /// A batch that ends the build's transaction by a commit.
    pub(crate) commits: &'static str,
    /// Whether a script that commits is refused, so that nothing stays; else it is noticed, and what it committed stays.
    pub(crate) refuses_commits: bool,
    pub(crate) words: Words,
}

/// More of what each platform says in its own way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    /// Scripts that end the build's transaction, in which a row is in the table `t (id int PRIMARY KEY)`.
    pub(crate) endings: &'static [Ending],
    /// Begins a transaction.
    pub(crate) begins: &'static str,
    /// A query of 256 rows of a megabyte each.
    pub(crate) wide: &'static str,
    /// Where the server shows in the present database that `endless` runs: what follows `SELECT count(*) FROM`.
    pub(crate) running: Option<&'static str>,
    /// Does its best to make unqualified names of our tables mean something else.
    pub(crate) hides_tables: &'static str,
    /// An audit table as an old version of the reference program made it, narrow and without newer columns, with one row
    /// of the sequence 7.
    pub(crate) old_audit_table: &'static str,
    /// Makes `v (id, number, truth, words, ident, moment)`, of the types in which values are kept.
    pub(crate) table_of_values: &'static str,
}

impl Fixture {
    pub(crate) async fn connect(&self) -> Box<dyn Session> {
        self.engine
            .connect(&self.server, &self.database)
            .await
            .unwrap()
    }

    /// A session that holds the lock in an open transaction.
    pub(crate) async fn begun(&self) -> Box<dyn Session> {
        let mut session = self.locked(Mode::Transactional).await;
        session.begin().await.unwrap();
        session
    }

    pub(crate) async fn locked(&self, mode: Mode) -> Box<dyn Session> {
        let mut session = self.connect().await;
        session.lock(mode, PATIENCE, &never()).await.unwrap();
        session
    }

    /// Runs statements for themselves, outside of any build.
    pub(crate) async fn admin(&self, sql: &str) {
        let mut session = self.locked(Mode::Autocommit).await;
        run(&mut *session, sql).await.unwrap();
    }

    /// The rows of a table as another session sees them.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let mut session = self.connect().await;
        count(&mut *session, table).await
    }

    fn key(&self) -> TargetKey {
        let pair = Pair {
            default: String::new(),
            database: self.database.clone(),
        };
        Target {
            server: self.server.clone(),
            pairs: vec![pair],
            tag: None,
        }
        .key(self.engine.platform())
    }

    /// Our tables, made as a build makes them.
    pub(crate) async fn with_tables(&self) {
        let mut session = self.locked(Mode::Transactional).await;
        let changes = Changes::needed(&mut *session, self.engine.platform())
            .await
            .unwrap();
        changes
            .apply(&mut *session, self.engine.platform())
            .await
            .unwrap();
        session.begin().await.unwrap();
        session.commit().await.unwrap();
    }
}

pub(crate) fn never() -> CancellationToken {
    CancellationToken::new()
}

pub(crate) async fn run(session: &mut dyn Session, sql: &str) -> Result<Vec<u64>, Error> {
    session
        .run(sql, PATIENCE, &never())
        .await
        .map(|result| result.rows)
}

pub(crate) async fn count(session: &mut dyn Session, table: &str) -> i64 {
    let rows = session
        .query(&format!("SELECT count(*) FROM {table}"), &[])
        .await
        .unwrap();
    rows[0][0].as_int().unwrap()
}

pub(crate) const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY)";

pub(crate) async fn runs_several_statements_and_counts_their_rows(fixture: Fixture) {
    fixture.admin(TABLE).await;
    let mut session = fixture.begun().await;
    let sql = "INSERT INTO t VALUES (1), (2), (3); SELECT * FROM t; DELETE FROM t WHERE id > 1;";
    assert_eq!(run(&mut *session, sql).await.unwrap(), [3, 3, 2]);
}

pub(crate) async fn a_commit_is_seen_by_others_and_a_rollback_is_not(fixture: Fixture) {
    fixture.admin(TABLE).await;
    for (id, commits) in [(1, true), (2, false)] {
        let mut session = fixture.begun().await;
        run(&mut *session, &format!("INSERT INTO t VALUES ({id})"))
            .await
            .unwrap();
        if commits {
            session.commit().await.unwrap();
        } else {
            session.rollback().await.unwrap();
        }
    }
    let mut session = fixture.begun().await;
    run(&mut *session, "INSERT INTO t VALUES (3)")
        .await
        .unwrap();
    drop(session);
    assert_eq!(fixture.count("t").await, 1);
}

pub(crate) async fn a_syntax_error_is_placed(fixture: Fixture) {
    let mut session = fixture.begun().await;
    let sql = "SELECT 1;\nSELECT 'ä€';\n  SELEC 2;";
    let Err(Error::Sql(error)) = run(&mut *session, sql).await else {
        panic!("not refused");
    };
    assert_eq!(error.offset, sql.find("SELEC 2"), "{error:?}");
    assert!(error.code.is_some() && !error.message.is_empty());
    assert_eq!(error.fate, TransactionFate::Alive);
}

pub(crate) async fn a_run_time_error_is_placed_at_its_statement(fixture: Fixture) {
    fixture.admin(TABLE).await;
    let mut session = fixture.begun().await;
    let sql =
        "INSERT INTO t VALUES (1);\n-- ä\nINSERT INTO t VALUES (1);\nINSERT INTO t VALUES (2)";
    let Err(Error::Sql(error)) = run(&mut *session, sql).await else {
        panic!("not refused");
    };
    assert_eq!(
        error.offset,
        sql.find("-- ä\n").map(|at| at + "-- ä\n".len()),
        "{error:?}"
    );
    assert!(!error.transient);
}

pub(crate) async fn a_savepoint_undoes_a_batch_and_no_more(fixture: Fixture) {
    fixture.admin(TABLE).await;
    let mut session = fixture.begun().await;
    run(&mut *session, "INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    session.savepoint("s1").await.unwrap();
    run(&mut *session, "INSERT INTO t VALUES (2)")
        .await
        .unwrap();
    assert!(
        run(
            &mut *session,
            "INSERT INTO t VALUES (3); INSERT INTO t VALUES (1)"
        )
        .await
        .is_err()
    );
    session.roll_back_to("s1").await.unwrap();
    session.savepoint("s1").await.unwrap();
    run(&mut *session, "INSERT INTO t VALUES (4)")
        .await
        .unwrap();
    session.release("s1").await.unwrap();
    session.commit().await.unwrap();
    let mut session = fixture.connect().await;
    let rows = session
        .query("SELECT id FROM t ORDER BY id", &[])
        .await
        .unwrap();
    assert_eq!(rows, [[Value::Int(1)], [Value::Int(4)]]);
}

pub(crate) async fn a_batch_that_takes_too_long_is_cancelled(fixture: Fixture) {
    fixture.admin(TABLE).await;
    let mut session = fixture.begun().await;
    session.savepoint("s1").await.unwrap();
    let sql = format!("INSERT INTO t VALUES (1); {}", fixture.endless);
    let result = session
        .run(&sql, Duration::from_millis(300), &never())
        .await;
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
    session.roll_back_to("s1").await.unwrap();
    run(&mut *session, "INSERT INTO t VALUES (2)")
        .await
        .unwrap();
    session.commit().await.unwrap();
    assert_eq!(fixture.count("t").await, 1);
}

pub(crate) async fn a_batch_stops_on_request(fixture: Fixture) {
    let mut session = fixture.begun().await;
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    let batch = session.run(fixture.endless, PATIENCE, &stop);
    let (result, ()) = tokio::join!(batch, async move { cancel.cancel() });
    assert!(matches!(result, Err(Error::Stopped)), "{result:?}");
    session.rollback().await.unwrap();
}

pub(crate) async fn the_lock_has_one_holder(fixture: Fixture) {
    let mut first = fixture.begun().await;
    let wait = Duration::from_millis(200);
    let mut second = fixture.connect().await;
    let refused = second.lock(Mode::Transactional, wait, &never()).await;
    assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
    drop(second);
    first.commit().await.unwrap();
    drop(first);
    drop(fixture.begun().await);
    fixture.begun().await.rollback().await.unwrap();
}

pub(crate) async fn the_lock_without_transaction_has_one_holder(fixture: Fixture) {
    let first = fixture.locked(Mode::Autocommit).await;
    for mode in [Mode::Autocommit, Mode::Transactional] {
        let mut second = fixture.connect().await;
        let refused = second
            .lock(mode, Duration::from_millis(200), &never())
            .await;
        assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
    }
    drop(first);
    drop(fixture.locked(Mode::Autocommit).await);
}

pub(crate) async fn waiting_for_the_lock_ends_on_request(fixture: Fixture) {
    let _first = fixture.begun().await;
    let mut second = fixture.connect().await;
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    let lock = second.lock(Mode::Transactional, PATIENCE, &stop);
    let (result, ()) = tokio::join!(lock, async move { cancel.cancel() });
    assert!(matches!(result, Err(Error::Stopped)), "{result:?}");
}

pub(crate) async fn who_waits_for_the_lock_gets_it(fixture: Fixture) {
    let first = fixture.begun().await;
    let mut second = fixture.connect().await;
    let stop = never();
    let lock = second.lock(Mode::Transactional, PATIENCE, &stop);
    let (result, ()) = tokio::join!(lock, async move { drop(first) });
    result.unwrap();
}

pub(crate) async fn a_script_that_commits_is_noticed(fixture: Fixture) {
    for ending in ["", "; SELECT * FROM no_such_table"] {
        fixture.admin("DROP TABLE IF EXISTS t").await;
        fixture.admin(TABLE).await;
        let mut session = fixture.begun().await;
        run(&mut *session, "INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        let error = run(&mut *session, &format!("{}{ending}", fixture.commits))
            .await
            .unwrap_err();
        let expected = if fixture.refuses_commits {
            TransactionFate::RolledBack
        } else {
            TransactionFate::EndedByScript
        };
        assert_eq!(error.fate(), expected, "{error:?}");
        drop(session);
        assert_eq!(
            fixture.count("t").await,
            i64::from(!fixture.refuses_commits)
        );
    }
}

pub(crate) async fn tables_outlive_a_build_that_is_rolled_back(fixture: Fixture) {
    let platform = fixture.engine.platform();
    let mut session = fixture.locked(Mode::Transactional).await;
    let changes = Changes::needed(&mut *session, platform).await.unwrap();
    assert!(!changes.is_empty());
    changes.apply(&mut *session, platform).await.unwrap();
    session.begin().await.unwrap();
    session.rollback().await.unwrap();
    drop(session);
    let mut session = fixture.begun().await;
    assert!(
        Changes::needed(&mut *session, platform)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(!session.columns(Table::Ledger).await.unwrap().is_empty());
}

pub(crate) async fn a_trial_leaves_no_tables(fixture: Fixture) {
    let platform = fixture.engine.platform();
    let mut session = fixture.locked(Mode::Transactional).await;
    schema::prepare(&mut *session, platform, true)
        .await
        .unwrap();
    session.rollback().await.unwrap();
    drop(session);
    let mut session = fixture.begun().await;
    assert!(session.columns(Table::Audit).await.unwrap().is_empty());
}

pub(crate) fn row(fixture: &Fixture, run_id: u128, finished: Timestamp) -> ledger::Row {
    ledger::Row {
        run_id: Uuid::from_u128(run_id),
        key: fixture.key(),
        database: fixture.database.clone(),
        attempt: 1,
        package_sha256: "5f".into(),
        worker: "it's ä".into(),
        state: Progress::Committed,
        started: Timestamp::from_microsecond(1_700_000_000_123_456).unwrap(),
        finished: Some(finished),
        audit_pending: true,
        detail: Some("a 'detail' with \"quotes\" and \u{1f40d}".into()),
    }
}

pub(crate) async fn ledger_rows_come_back_as_they_went(fixture: Fixture) {
    fixture.with_tables().await;
    let finished = Timestamp::from_microsecond(1_800_000_000_654_321).unwrap();
    let mut written = row(&fixture, 7, finished);
    let mut session = fixture.begun().await;
    assert_eq!(
        ledger::read(&mut *session, written.run_id, &fixture.database)
            .await
            .unwrap(),
        None
    );
    ledger::write(&mut *session, &written, false).await.unwrap();
    assert_eq!(
        ledger::read(&mut *session, written.run_id, &fixture.database)
            .await
            .unwrap(),
        Some(written.clone())
    );
    (written.state, written.attempt, written.finished) = (Progress::Started, 2, None);
    (written.audit_pending, written.detail) = (false, None);
    ledger::write(&mut *session, &written, true).await.unwrap();
    session.commit().await.unwrap();
    drop(session);
    let mut session = fixture.begun().await;
    assert_eq!(
        ledger::read(&mut *session, written.run_id, &fixture.database)
            .await
            .unwrap(),
        Some(written.clone())
    );
    session.rollback().await.unwrap();
    drop(session);
    let mut session = fixture.begun().await;
    assert!(
        ledger::write(&mut *session, &written, false).await.is_err(),
        "a second row of one run"
    );
}

pub(crate) async fn old_ledger_rows_of_other_runs_are_pruned(fixture: Fixture) {
    fixture.with_tables().await;
    let now = Timestamp::now();
    let ago = |days: i64| now - jiff::SignedDuration::from_hours(24 * days);
    let mut session = fixture.begun().await;
    for (run_id, days) in [(1, 100), (2, 80), (3, 100)] {
        ledger::write(&mut *session, &row(&fixture, run_id, ago(days)), false)
            .await
            .unwrap();
    }
    let keep = Duration::from_secs(90 * 24 * 3_600);
    let own = Uuid::from_u128(3);
    for (has_old, age) in [(true, keep), (false, keep * 2)] {
        let read = ledger::read_with_age(&mut *session, own, &fixture.database, age);
        let (found, old) = read.await.unwrap();
        assert_eq!((found.unwrap().run_id, old), (own, has_old));
    }
    let prune = ledger::prune_statement(&*session, own, keep).unwrap();
    assert_eq!(session.record(&[prune]).await.unwrap(), [1]);
    let read = ledger::read_with_age(&mut *session, own, &fixture.database, keep);
    assert!(!read.await.unwrap().1);
    for (run_id, stays) in [(1, false), (2, true), (3, true)] {
        let found = ledger::read(&mut *session, Uuid::from_u128(run_id), &fixture.database)
            .await
            .unwrap();
        assert_eq!(found.is_some(), stays, "{run_id}");
    }
}

pub(crate) async fn audit_rows_are_written_and_found(fixture: Fixture) {
    fixture.with_tables().await;
    let run = audit::Run {
        package: "p.sbm".into(),
        package_hash: "H".into(),
        user: "u".repeat(60),
        requested_by: "me".into(),
        description: "it's \u{1f40d}".into(),
    };
    let rows: Vec<Row<'_>> = (0..300_u128)
        .map(|number| Row {
            file: "a 'b'.sql",
            id: Uuid::from_u128(number),
            hash: if number == 5 { "old" } else { "h" },
            text: "SELECT 'ä';",
            tag: "",
            sequence: i64::try_from(number).unwrap(),
            started: Timestamp::now(),
            finished: Timestamp::now(),
        })
        .collect();
    let mut session = fixture.begun().await;
    audit::insert(&mut *session, &run, &fixture.database, &rows)
        .await
        .unwrap();
    let newer = Row {
        hash: "new",
        ..rows[5].clone()
    };
    audit::insert(&mut *session, &run, &fixture.database, &[newer])
        .await
        .unwrap();
    let table = session.table_name(Table::Audit);
    assert_eq!(count(&mut *session, &table).await, 301);
    let ids = [
        Uuid::from_u128(5),
        Uuid::from_u128(299),
        Uuid::from_u128(1_000),
    ];
    let found = audit::already_run(&mut *session, &ids, None).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[&ids[0]].as_deref(), Some("new"));
    let found = audit::already_run(&mut *session, &ids, Some("another"))
        .await
        .unwrap();
    assert!(found.is_empty());
}

pub(crate) async fn what_is_recorded_at_once_stays_whole_or_not_at_all(fixture: Fixture) {
    fixture.admin(TABLE).await;
    let inserts = |ids: &[i64]| -> Vec<Statement> {
        let insert = |id: &i64| Statement {
            sql: "INSERT INTO t VALUES (?)".into(),
            parameters: vec![Value::Int(*id)],
        };
        ids.iter().map(insert).collect()
    };
    let mut session = fixture.begun().await;
    let many: Vec<i64> = (1..=20).collect();
    let changed = session.record(&inserts(&many)).await.unwrap();
    assert_eq!(changed, [1; 20]);
    session.commit().await.unwrap();
    drop(session);

    // The statement that fails is told, not one that fails because of it.
    let mut session = fixture.begun().await;
    let error = session.record(&inserts(&[21, 1, 22])).await.unwrap_err();
    assert_ne!(error.code(), Some("25P02"), "{error}");
    assert!(matches!(error, Error::Sql(_)), "{error}");
    session.rollback().await.unwrap();
    drop(session);
    assert_eq!(fixture.count("t").await, 20);

    let mut session = fixture.locked(Mode::Autocommit).await;
    session.begin().await.unwrap();
    session.record(&inserts(&[23, 1, 24])).await.unwrap_err();
    drop(session);
    assert_eq!(fixture.count("t").await, 21);
}

pub(crate) async fn without_a_transaction_each_statement_stays(fixture: Fixture) {
    let mut session = fixture.locked(Mode::Autocommit).await;
    run(&mut *session, TABLE).await.unwrap();
    run(&mut *session, "INSERT INTO t VALUES (1)")
        .await
        .unwrap();
    assert!(
        run(&mut *session, "INSERT INTO t VALUES (1)")
            .await
            .is_err()
    );
    run(&mut *session, "INSERT INTO t VALUES (2)")
        .await
        .unwrap();
    drop(session);
    assert_eq!(fixture.count("t").await, 2);
}

pub(crate) async fn a_transaction_that_a_script_left_open_is_ended(fixture: Fixture) {
    fixture.admin(TABLE).await;
    for (id, commits) in [(1, true), (2, false)] {
        let mut session = fixture.locked(Mode::Autocommit).await;
        run(&mut *session, fixture.words.begins).await.unwrap();
        run(&mut *session, &format!("INSERT INTO t VALUES ({id})"))
            .await
            .unwrap();
        if commits {
            session.commit().await.unwrap();
        } else {
            session.rollback().await.unwrap();
        }
        session.commit().await.unwrap();
    }
    assert_eq!(fixture.count("t").await, 1);
}

pub(crate) async fn an_unknown_database_is_no_passing_reason(fixture: Fixture) {
    let error = fixture
        .engine
        .connect(&fixture.server, "no_such_database_here")
        .await
        .unwrap_err();
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
}

pub(crate) async fn a_thousand_rows_are_read_and_counted(fixture: Fixture) {
    let mut session = fixture.begun().await;
    assert_eq!(run(&mut *session, fixture.many).await.unwrap(), [100_000]);
}

/// Every promise as a test of the module's fixture.
macro_rules! engine_contract {
    ($fixture:expr) => {
        $crate::contract::engine::engine_contract! { @each $fixture; engine:
            runs_several_statements_and_counts_their_rows
            a_commit_is_seen_by_others_and_a_rollback_is_not
            a_syntax_error_is_placed
            a_run_time_error_is_placed_at_its_statement
            a_savepoint_undoes_a_batch_and_no_more
            a_batch_that_takes_too_long_is_cancelled
            a_batch_stops_on_request
            the_lock_has_one_holder
            the_lock_without_transaction_has_one_holder
            waiting_for_the_lock_ends_on_request
            who_waits_for_the_lock_gets_it
            a_script_that_commits_is_noticed
            tables_outlive_a_build_that_is_rolled_back
            a_trial_leaves_no_tables
            ledger_rows_come_back_as_they_went
            old_ledger_rows_of_other_runs_are_pruned
            audit_rows_are_written_and_found
            what_is_recorded_at_once_stays_whole_or_not_at_all
            without_a_transaction_each_statement_stays
            a_transaction_that_a_script_left_open_is_ended
            an_unknown_database_is_no_passing_reason
            a_thousand_rows_are_read_and_counted
        }
        $crate::contract::engine::engine_contract! { @each $fixture; endings:
            the_end_of_a_transaction_by_a_script_is_told_truthfully
            after_an_error_nothing_more_of_the_batch_runs
            a_batch_that_is_stopped_is_undone_and_gone_from_the_server
            a_batch_that_took_too_long_is_gone_from_the_server
            the_lock_is_free_after_a_commit_and_after_a_rollback
            wide_rows_are_counted_but_not_kept
        }
        $crate::contract::engine::engine_contract! { @each $fixture; tables:
            an_old_audit_table_is_brought_up_to_date
            our_tables_are_found_whatever_a_script_did
            values_come_back_as_they_went
        }
    };
    (@each $fixture:expr; $file:ident: $($promise:ident)*) => {
        $(
            #[test]
            fn $promise() {
                let test = concat!(module_path!(), "::", stringify!($promise));
                if let Some((fixture, _guard)) = $fixture(test) {
                    $crate::support::postgres::runtime()
                        .block_on($crate::contract::$file::$promise(fixture));
                }
            }
        )*
    };
}
pub(crate) use engine_contract;
