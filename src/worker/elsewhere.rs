//! Audit rows that go to another database than the one that was changed (`--logtodatabasename`).
//!
//! They cannot share the target's transaction. The ledger of the other database keeps them from being written twice, the
//! ledger of the target remembers that they are missing.

use std::collections::HashMap;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Worker,
    attempt::{Attempt, Done, audit_rows, prepare_tables},
};
use crate::engine::{Error, Mode, Session, audit, connect_with_retry, ledger, schema::Table};

/// The other database; none when the rows stay in `database`.
pub(super) fn database<'a>(worker: &'a Worker, database: &str) -> Option<&'a str> {
    let other = worker.job.build.log_to_database.as_deref()?;
    (!other.eq_ignore_ascii_case(database)).then_some(other)
}

/// What the ledger must remember to write the rows later.
pub(super) fn detail(done: &[Done]) -> Option<String> {
    serde_json::to_string(done).ok()
}

/// The opposite of [`detail`].
pub(super) fn read_detail(text: &str) -> Vec<Done> {
    serde_json::from_str(text).unwrap_or_default()
}

/// Which run-once scripts the other database knows for `name`.
pub(super) async fn already_run(
    worker: &Worker,
    server: &str,
    other: &str,
    name: &str,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Option<String>>, Error> {
    let mut session = open(worker, server, other).await?;
    if session.columns(Table::Audit).await?.is_empty() {
        return Ok(HashMap::new());
    }
    audit::already_run(&mut *session, ids, Some(name)).await
}

/// Writes the rows of one database, once for each attempt at it, and then tells its ledger.
pub(super) async fn write(attempt: &mut Attempt<'_>, index: usize) -> Result<(), Error> {
    let worker = attempt.worker;
    let name = attempt.databases[index].name.clone();
    let Some(other) = database(worker, &name) else {
        return Ok(());
    };
    let mut session = open(worker, &attempt.target.server, other).await?;
    prepare_tables(&mut *session, worker.engine.platform(), false).await?;
    let marker = format!("audit:{name}");
    let known = ledger::read(&mut *session, worker.job.run_id, attempt.key, &marker).await?;
    let database = &mut attempt.databases[index];
    let made = database.row.as_ref().map_or(1, |row| row.attempt);
    if known.as_ref().is_none_or(|known| known.attempt < made) {
        let rows = audit_rows(worker, &database.done);
        audit::insert(&mut *session, &worker.audit, &name, &rows).await?;
        if let Some(row) = &database.row {
            let row = ledger::Row {
                database: marker,
                audit_pending: false,
                detail: None,
                ..row.clone()
            };
            ledger::write(&mut *session, &row, known.is_some()).await?;
        }
        session.commit().await?;
    }
    if let Some(row) = database.row.as_mut().filter(|row| row.audit_pending) {
        (row.audit_pending, row.detail) = (false, None);
        ledger::write(&mut *database.session, row, true).await?;
        database.session.commit().await?;
    }
    Ok(())
}

/// A session on the other database, under its lock. All targets of a server want it, so it is held for a moment only.
async fn open(worker: &Worker, server: &str, other: &str) -> Result<Box<dyn Session>, Error> {
    // Rows of what is committed are written even when the run is told to stop.
    let never = CancellationToken::new();
    let budget = std::time::Duration::from_secs(30);
    let mut session = connect_with_retry(&*worker.engine, server, other, budget, &never).await?;
    session
        .lock(Mode::Transactional, worker.job.build.lock_wait, &never)
        .await?;
    Ok(session)
}
