//! How batches and transactions end otherwise than they should: by a script, by an error, by a word from outside.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use sbm::{
    engine::{Error, Mode, Session, TransactionFate},
    protocol::Platform,
};
use tokio_util::sync::CancellationToken;

use super::engine::{Fixture, PATIENCE, TABLE, count, never, run};

/// A script that ends the build's transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) sql: &'static str,
    /// Whether rows are in `t` afterwards, those of the build or others.
    pub(crate) stays: bool,
}

/// One that leaves rows.
pub(crate) const fn stays(sql: &'static str) -> Ending {
    Ending { sql, stays: true }
}

/// One that leaves nothing.
pub(crate) const fn nothing_stays(sql: &'static str) -> Ending {
    Ending { sql, stays: false }
}

pub(crate) async fn the_end_of_a_transaction_by_a_script_is_told_truthfully(fixture: Fixture) {
    for Ending { sql, stays } in fixture.words.endings {
        fixture.admin("DROP TABLE IF EXISTS t").await;
        fixture.admin(TABLE).await;
        let mut session = fixture.begun().await;
        run(&mut *session, "INSERT INTO t VALUES (1)")
            .await
            .unwrap();
        let Err(error) = run(&mut *session, sql).await else {
            panic!("{sql}: not noticed");
        };
        let told = error.fate() == TransactionFate::EndedByScript
            || matches!(session.rollback().await, Err(Error::TransactionEnded));
        drop(session);
        assert_eq!(fixture.count("t").await > 0, *stays, "{sql}: {error:?}");
        assert!(told || !stays, "{sql}: nobody is told: {error:?}");
        if error.fate() == TransactionFate::RolledBack {
            assert!(!error.to_string().is_empty() && !stays, "{sql}: {error:?}");
        }
    }
}

pub(crate) async fn after_an_error_nothing_more_of_the_batch_runs(fixture: Fixture) {
    fixture.admin(TABLE).await;
    for mode in [Mode::Autocommit, Mode::Transactional] {
        let mut session = fixture.locked(mode).await;
        session.begin().await.unwrap();
        let sql = "INSERT INTO t VALUES (1); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);";
        let Err(Error::Sql(error)) = run(&mut *session, sql).await else {
            panic!("not refused");
        };
        assert!(
            error.code.is_some() && !error.message.is_empty(),
            "{error:?}"
        );
        if fixture.engine.platform() == Platform::SqlServer {
            // This server ends the statement alone and goes on; the build that fails takes it all back.
            session.rollback().await.unwrap();
            drop(session);
            let stays = i64::from(mode == Mode::Autocommit);
            assert_eq!(fixture.count("t WHERE id = 2").await, stays);
            fixture.admin("DELETE FROM t").await;
            continue;
        }
        // A commit of what is not committed must be refused or must not bring the rest.
        session.commit().await.ok();
        drop(session);
        assert_eq!(fixture.count("t WHERE id = 2").await, 0, "{mode:?}");
        fixture.admin("DELETE FROM t").await;
    }
}

pub(crate) async fn a_batch_that_is_stopped_is_undone_and_gone_from_the_server(fixture: Fixture) {
    fixture.admin(TABLE).await;
    let mut session = fixture.begun().await;
    session.savepoint("s1").await.unwrap();
    let sql = format!("INSERT INTO t VALUES (1); {}", fixture.endless);
    let stop = CancellationToken::new();
    let batch = session.run(&sql, PATIENCE, &stop);
    let (result, ()) = tokio::join!(batch, async {
        fixture.until_running(true).await;
        stop.cancel();
    });
    assert!(matches!(result, Err(Error::Stopped)), "{result:?}");
    fixture.until_running(false).await;
    session.roll_back_to("s1").await.unwrap();
    run(&mut *session, "INSERT INTO t VALUES (2)")
        .await
        .unwrap();
    session.commit().await.unwrap();
    drop(session);
    assert_eq!(fixture.count("t WHERE id = 2").await, 1);
    assert_eq!(fixture.count("t").await, 1);
}

pub(crate) async fn a_batch_that_took_too_long_is_gone_from_the_server(fixture: Fixture) {
    let mut session = fixture.begun().await;
    let stop = never();
    let batch = session.run(fixture.endless, Duration::from_secs(2), &stop);
    let (result, ()) = tokio::join!(batch, fixture.until_running(true));
    assert!(matches!(result, Err(Error::Timeout { .. })), "{result:?}");
    fixture.until_running(false).await;
}

pub(crate) async fn the_lock_is_free_after_a_commit_and_after_a_rollback(fixture: Fixture) {
    for commits in [true, false] {
        let mut first = fixture.begun().await;
        let mut second = fixture.connect().await;
        let stop = never();
        let lock = second.lock(Mode::Transactional, PATIENCE, &stop);
        let (result, ()) = tokio::join!(lock, async move {
            if commits {
                first.commit().await.unwrap();
            } else {
                first.rollback().await.unwrap();
            }
            drop(first);
        });
        result.unwrap();
        second.begin().await.unwrap();
        second.rollback().await.unwrap();
    }
}

/// A result of a quarter of a gigabyte.
pub(crate) async fn wide_rows_are_counted_but_not_kept(fixture: Fixture) {
    if done_by_a_process_of_its_own() {
        return;
    }
    let mut session = fixture.begun().await;
    let before = peak_memory_kib();
    // A slow machine may need minutes for so much.
    let limit = PATIENCE * 20;
    let result = session.run(fixture.words.wide, limit, &never()).await;
    assert_eq!(result.unwrap().rows, [256]);
    if let Some((before, after)) = before.zip(peak_memory_kib()) {
        let grown = after.saturating_sub(before);
        assert!(grown < 128 * 1024, "{grown} KiB more");
    }
}

/// Lets another process do the present test, because memory is a process's, and this one runs other tests beside it. `false`
/// in that process, which has to do it then.
fn done_by_a_process_of_its_own() -> bool {
    const ALONE: &str = "SBM_TEST_ALONE";
    let thread = std::thread::current();
    // A test runs in a thread of its name, unless all run one after the other.
    let Some(test) = thread.name().filter(|name| name.contains("::")) else {
        return false;
    };
    if std::env::var_os(ALONE).is_some() {
        return false;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains(" 1 passed"),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    true
}

/// The most memory that this process has had, where the system tells.
fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

impl Fixture {
    /// Waits until the endless statement runs on the server, or does not; nothing where nobody can see that.
    async fn until_running(&self, wanted: bool) {
        let Some(sql) = self.words.running else {
            return;
        };
        let mut session = self.connect().await;
        let deadline = std::time::Instant::now() + PATIENCE;
        while is_running(&mut *session, sql).await != wanted {
            assert!(std::time::Instant::now() < deadline, "never {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn is_running(session: &mut dyn Session, sql: &str) -> bool {
    count(session, sql).await > 0
}
