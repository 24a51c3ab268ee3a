//! Builds whose message is lost: they are rolled back, and left to whoever has it.

use std::{sync::Arc, thread, time::Duration};

use rusqlite::Connection;
use sbm::{
    engine::{Engine, Postgres, Sqlite},
    protocol::{Connection as Login, Pair, SslMode, State, Target},
};

use crate::support::{
    fleet::{Fleet, Platform},
    live::eventually,
    postgres::Server,
    proxy::{Commit, Proxy},
    scripted::{Renewals, Working},
};

/// Runs as long as the table `pace` says.
fn paced(platform: Platform) -> &'static str {
    match platform {
        Platform::Postgres => "CREATE TABLE t (id int); SELECT pg_sleep(n) FROM pace;",
        _ => {
            "CREATE TABLE t (id int); SELECT count(*) FROM (WITH RECURSIVE c(n) AS \
             (SELECT 1 UNION ALL SELECT c.n + 1 FROM c, pace WHERE c.n < pace.n) SELECT n FROM c);"
        }
    }
}

fn pace(fleet: &Fleet, steps: i64) {
    fleet.sql(0, &format!("UPDATE pace SET n = {steps}"));
}

/// One database with a script that does not end by itself.
fn fleet(platform: Platform, test: &str) -> Option<Fleet> {
    let fleet = Fleet::new(platform, 1, test)?;
    fleet.package(&[("1.sql", paced(platform))]);
    fleet.sql(
        0,
        "CREATE TABLE pace (n bigint); INSERT INTO pace VALUES (0);",
    );
    pace(&fleet, 1_000_000_000);
    Some(fleet)
}

fn target(server: &str, fleet: &Fleet) -> Target {
    Target {
        server: server.to_owned(),
        pairs: vec![Pair {
            default: String::new(),
            database: fleet.names[0].clone(),
        }],
        tag: None,
    }
}

fn postgres(test: &str) -> Option<Postgres> {
    let server = Server::for_test(test)?;
    let login = Login {
        user: Some(server.user().to_owned()),
        connect_timeout: Duration::from_secs(20),
        ssl_mode: SslMode::Disable,
        ..Login::default()
    };
    Some(Postgres::new(&login, None, None).unwrap())
}

fn engine(fleet: &Fleet, test: &str) -> Option<Arc<dyn Engine>> {
    match fleet.platform {
        Platform::Postgres => Some(Arc::new(postgres(test)?)),
        _ => Some(Arc::new(Sqlite::new())),
    }
}

/// Whether the script is running in the database.
fn runs(fleet: &Fleet) -> bool {
    match fleet.platform {
        Platform::Postgres => {
            let sql = format!(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND query LIKE '%pg_sleep%' \
                 AND state = 'active' AND pid <> pg_backend_pid()",
                fleet.names[0]
            );
            fleet.value(0, &sql) == "1"
        }
        _ => {
            let database = Connection::open(fleet.path_of(0)).unwrap();
            database.busy_timeout(Duration::ZERO).unwrap();
            database.execute_batch("BEGIN IMMEDIATE").is_err()
        }
    }
}

/// What happens to the lock of a build that runs; then its target is handed out again.
fn loses_its_lock(platform: Platform, renewals: Renewals, test: &str) {
    let Some(fleet) = fleet(platform, test) else {
        return;
    };
    let Some(engine) = engine(&fleet, test) else {
        return;
    };
    let target = target(&fleet.server(), &fleet);
    let mut working = Working::start(&fleet, engine, true);
    working.queue.hand_out(target.clone(), 1);
    eventually("the build runs", || runs(&fleet));
    if renewals == Renewals::Lost {
        working.queue.take_away();
    } else {
        working.queue.renewals(renewals);
    }
    eventually("the build ends", || !working.lines().is_empty());
    assert!(!runs(&fleet) && !fleet.has_table(0, "t"));
    pace(&fleet, 0);
    working.queue.renewals(Renewals::Succeed);
    working.queue.hand_out(target, 2);
    eventually("it is built", || working.lines().len() == 2);
    let queue = Arc::clone(&working.queue);
    let lines = working.end();
    let states: Vec<_> = lines
        .iter()
        .map(|line| (line.state, line.is_final))
        .collect();
    assert_eq!(
        states,
        [(State::RolledBack, false), (State::Committed, true)]
    );
    assert!(
        lines[0].warnings[0].contains("lock of its message"),
        "{:?}",
        lines[0]
    );
    let settled: &[&str] = match renewals {
        // Who has lost it has nothing to settle.
        Renewals::Lost => &["completed"],
        _ => &["abandoned", "completed"],
    };
    assert_eq!(queue.settled(), settled);
    assert_eq!(fleet.rows(0, "SqlBuild_Ledger"), Some(1));
}

mod a_build_that_loses_its_lock_is_rolled_back_and_left_to_who_has_it {
    use super::*;

    #[test]
    fn on_sqlite() {
        let test = concat!(module_path!(), "::on_sqlite");
        loses_its_lock(Platform::Sqlite, Renewals::Lost, test);
    }

    #[test]
    fn on_postgresql() {
        let test = concat!(module_path!(), "::on_postgresql");
        loses_its_lock(Platform::Postgres, Renewals::Lost, test);
    }
}

mod a_build_whose_lock_is_not_renewed_in_time_is_rolled_back_and_given_back {
    use super::*;

    #[test]
    fn on_sqlite() {
        let test = concat!(module_path!(), "::on_sqlite");
        loses_its_lock(Platform::Sqlite, Renewals::Silent, test);
    }

    #[test]
    fn on_postgresql() {
        let test = concat!(module_path!(), "::on_postgresql");
        loses_its_lock(Platform::Postgres, Renewals::Silent, test);
    }
}

#[test]
fn a_build_that_has_not_read_the_ledger_says_rolled_back_only_where_no_other_can_have_been() {
    let test = "worker_locks::a_build_that_has_not_read_the_ledger";
    let fleet = fleet(Platform::Sqlite, test).unwrap();
    let mut occupied = Connection::open(fleet.path_of(0)).unwrap();
    let occupied = occupied
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    let cases = [
        (true, 1, State::RolledBack),
        (true, 2, State::Unknown),
        (false, 1, State::Unknown),
    ];
    let workers: Vec<Working> = cases
        .iter()
        .map(|(new_run, count, _)| {
            let working = Working::start(&fleet, Arc::new(Sqlite::new()), *new_run);
            working
                .queue
                .hand_out(target(&fleet.server(), &fleet), *count);
            working.queue.renewals(Renewals::Lost);
            working
        })
        .collect();
    for (mut working, (_, _, state)) in workers.into_iter().zip(cases) {
        eventually("the build ends", || !working.lines().is_empty());
        let lines = working.end();
        assert_eq!((lines[0].state, lines[0].is_final), (state, false));
    }
    drop(occupied);
    assert!(!fleet.has_table(0, "t"));
}

#[test]
fn a_worker_whose_locks_nobody_keeps_rolls_back_and_fails() {
    let test = "worker_locks::a_worker_whose_locks_nobody_keeps";
    let fleet = fleet(Platform::Sqlite, test).unwrap();
    let working = Working::start(&fleet, Arc::new(Sqlite::new()), true);
    working.queue.renewals(Renewals::Panics);
    working.queue.hand_out(target(&fleet.server(), &fleet), 1);
    let error = working.failure().to_string();
    assert!(error.contains("message locks"), "{error}");
    assert!(!runs(&fleet) && !fleet.has_table(0, "t"));
}

#[test]
fn a_commit_that_was_sent_is_waited_for_whatever_becomes_of_the_lock() {
    let test = "worker_locks::a_commit_that_was_sent";
    let Some(fleet) = fleet(Platform::Postgres, test) else {
        return;
    };
    let (Some(engine), Some(server)) = (postgres(test), Server::for_test(test)) else {
        return;
    };
    pace(&fleet, 0);
    let proxy = Proxy::start("127.0.0.1", server.port());
    // The first COMMIT makes the tables.
    proxy.after_commits(1, Commit::ArrivesLate);
    let mut working = Working::start(&fleet, Arc::new(engine), true);
    working.queue.hand_out(target(&proxy.name, &fleet), 1);
    eventually("the COMMIT is sent", || proxy.has_struck());
    working.queue.take_away();
    // Until the loss is told and the time to roll back is over. On a machine that takes longer the test proves less.
    thread::sleep(Duration::from_secs(24));
    assert!(working.lines().is_empty());
    proxy.let_go();
    eventually("the COMMIT is answered", || !working.lines().is_empty());
    let lines = working.end();
    assert_eq!(
        (lines[0].state, lines[0].is_final),
        (State::Committed, true)
    );
    assert_eq!(fleet.rows(0, "t"), Some(0));
    assert_eq!(fleet.rows(0, "SqlBuild_Ledger"), Some(1));
}
