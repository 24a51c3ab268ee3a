//! Audit rows that go to another database than the one that was changed (`--logtodatabasename`).
//!
//! They cannot share the target's transaction. The ledger of the other database keeps them from being written twice, the
//! ledger of the target remembers that they are missing.

use std::{collections::HashMap, time::Duration};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Worker,
    attempt::{AFTERWARDS, Attempt, Database, Done, audit_rows},
};
use crate::engine::{
    Error, Mode, Session, audit, connect_with_retry, ledger,
    schema::{self, Table},
};

/// The other database; none when the rows stay in `database`.
pub(super) fn database<'a>(worker: &'a Worker, database: &str) -> Option<&'a str> {
    let other = worker.job.build.log_to_database.as_deref()?;
    (other != database).then_some(other)
}

/// What the ledger must remember to write the rows later.
pub(super) fn detail(done: &[Done]) -> Option<String> {
    serde_json::to_string(done).ok()
}

/// Which run-once scripts the other database knows for the one with this index.
pub(super) async fn already_run(
    attempt: &mut Attempt<'_>,
    other: &str,
    index: usize,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Option<String>>, Error> {
    let name = attempt.databases[index].name.clone();
    let own = place(attempt, other);
    if let Some(own) = own {
        return audit::already_run(&mut *attempt.databases[own].session, ids, Some(&name)).await;
    }
    let (worker, stop) = (attempt.worker, attempt.stop);
    let mut session = connect(worker, &attempt.target.server, other, stop).await?;
    let wait = worker.job.build.lock_wait;
    session.lock(Mode::Transactional, wait, stop).await?;
    if session.columns(Table::Audit).await?.is_empty() {
        return Ok(HashMap::new());
    }
    audit::already_run(&mut *session, ids, Some(&name)).await
}

/// Writes the rows of one database, once for each attempt at it, and then tells its ledger.
///
/// The locks of the attempt's transactions are gone by now. All targets of a server want the other database, so it is held
/// for a moment only; rows of what is committed are written even when the run is told to stop.
pub(super) async fn write(attempt: &mut Attempt<'_>, index: usize) -> Result<(), Error> {
    let (worker, never) = (attempt.worker, CancellationToken::new());
    let name = attempt.databases[index].name.clone();
    let Some(other) = database(worker, &name) else {
        return Ok(());
    };
    let done = done(&attempt.databases[index])?;
    let row = attempt.databases[index].row.clone();
    let mut opened;
    let own = place(attempt, other);
    let session = match own {
        Some(own) => &mut *attempt.databases[own].session,
        None => {
            opened = connect(worker, &attempt.target.server, other, &never).await?;
            &mut *opened
        }
    };
    session
        .lock(Mode::Transactional, AFTERWARDS, &never)
        .await?;
    schema::prepare(session, worker.engine.platform(), false).await?;
    let marker = format!("audit:{name}");
    let known = ledger::read(session, worker.job.run_id, &marker).await?;
    let made = row.as_ref().map_or(1, |row| row.attempt);
    if known.as_ref().is_none_or(|known| known.attempt < made) {
        audit::insert(session, &worker.audit, &name, &audit_rows(worker, &done)).await?;
        if let Some(row) = row {
            let row = ledger::Row {
                database: marker,
                audit_pending: false,
                detail: None,
                ..row
            };
            ledger::write(session, &row, known.is_some()).await?;
        }
        session.commit().await?;
    } else {
        session.rollback().await?;
    }
    let database = &mut attempt.databases[index];
    if let Some(row) = database.row.as_mut().filter(|row| row.audit_pending) {
        (row.audit_pending, row.detail) = (false, None);
        ledger::write(&mut *database.session, row, true).await?;
        database.session.commit().await?;
    }
    Ok(())
}

/// The scripts that ran: in this attempt, or in the earlier one that committed.
fn done(database: &Database) -> Result<Vec<Done>, Error> {
    if database.runs {
        return Ok(database.done.clone());
    }
    let detail = database
        .row
        .as_ref()
        .and_then(|row| row.detail.as_deref())
        .unwrap_or_default();
    serde_json::from_str(detail).map_err(|error| {
        Error::Settings(format!(
            "the ledger row of {} does not say which scripts ran: {error}",
            database.name
        ))
    })
}

async fn connect(
    worker: &Worker,
    server: &str,
    other: &str,
    stop: &CancellationToken,
) -> Result<Box<dyn Session>, Error> {
    connect_with_retry(
        &*worker.engine,
        server,
        other,
        Duration::from_secs(30),
        stop,
    )
    .await
}

/// The other database, when it belongs to the target itself: then the attempt holds its lock already.
fn place(attempt: &Attempt<'_>, other: &str) -> Option<usize> {
    attempt
        .databases
        .iter()
        .position(|database| database.name == other)
}
