//! What became of a database when nobody answered: the ledger knows.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    Worker,
    attempt::{Outcome, report},
};
use crate::{
    engine::{Error, Mode, connect_with_retry, ledger, schema::Table},
    protocol::{ErrorReport, State, Target},
};

/// How long a server that went away may take to come back.
const BUDGET: Duration = Duration::from_secs(60);

/// How long the lost session may hold its lock: servers are told to end orphans within two minutes.
const ORPHAN: Duration = Duration::from_secs(150);

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Committed,
    NotCommitted,
    /// The database cannot be asked.
    Unreachable,
}

/// Asks the ledger of one database, under its lock, so that a commit that is still going on is waited for.
pub(super) async fn fate(worker: &Worker, target: &Target, database: &str) -> Fate {
    match progress(worker, target, database).await {
        Ok(Some(ledger::Progress::Committed)) => Fate::Committed,
        Ok(_) => Fate::NotCommitted,
        Err(error) => {
            log::warn!("{target}: cannot tell whether {database} is committed: {error}");
            Fate::Unreachable
        }
    }
}

async fn progress(
    worker: &Worker,
    target: &Target,
    database: &str,
) -> Result<Option<ledger::Progress>, Error> {
    // The question is short, and its answer is wanted even when the run is told to stop.
    let never = CancellationToken::new();
    let mut session =
        connect_with_retry(&*worker.engine, &target.server, database, BUDGET, &never).await?;
    session.lock(Mode::Transactional, ORPHAN, &never).await?;
    if session.columns(Table::Ledger).await?.is_empty() {
        return Ok(None);
    }
    let row = ledger::read(&mut *session, worker.job.run_id, database).await?;
    Ok(row.map(|row| row.state))
}

/// The outcome of a target whose build broke down in this program itself: what the ledgers say, and why it is asked.
pub(super) async fn reconcile(worker: &Worker, target: &Target, why: &str) -> Outcome {
    let mut outcome = Outcome {
        is_final: true,
        ..Outcome::default()
    };
    let mut states = Vec::new();
    for database in target.databases() {
        match progress(worker, target, database).await {
            Ok(progress) => {
                states.push(progress);
                let committed = progress == Some(ledger::Progress::Committed);
                let list = if committed {
                    &mut outcome.committed
                } else {
                    &mut outcome.missing
                };
                list.push(database.to_owned());
            }
            Err(error) => {
                outcome.errors.push(report(database, &error));
                outcome.is_final = false;
            }
        }
    }
    let state = if outcome.is_final {
        state_of(&states)
    } else {
        State::Unknown
    };
    outcome.state = Some(state);
    if state != State::PartlyCommitted {
        outcome.committed.clear();
        outcome.missing.clear();
    }
    outcome.errors.insert(
        0,
        ErrorReport {
            message: why.to_owned(),
            ..ErrorReport::default()
        },
    );
    outcome
}

/// The state of a target whose databases are no longer worked on.
fn state_of(rows: &[Option<ledger::Progress>]) -> State {
    use ledger::Progress::{Committed, Failed, Started};
    if rows.contains(&Some(Failed)) {
        State::Failed
    } else if rows.contains(&Some(Started)) {
        State::Interrupted
    } else if !rows.contains(&Some(Committed)) {
        State::RolledBack
    } else if rows.iter().all(|row| *row == Some(Committed)) {
        State::Committed
    } else {
        State::PartlyCommitted
    }
}
