//! What became of a database when nobody answered: the ledger knows.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::{
    Worker,
    attempt::{Outcome, report},
};
use crate::{
    engine::{Backoff, Error, Mode, Session, ledger, schema::Table},
    protocol::{ErrorReport, State, Target},
};

/// How long a server that went away may take to come back, in connect time-outs: a minute, unless the user says otherwise.
const TIMEOUTS: u32 = 3;

/// The same at least, for those who allow a login very little time.
const LEAST: Duration = Duration::from_secs(10);

/// How long an answer is still waited for when the run is told to stop: who stops it kills it soon.
const AFTER_STOP: Duration = Duration::from_secs(4);

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
pub(super) async fn fate(
    worker: &Worker,
    target: &Target,
    database: &str,
    stop: &CancellationToken,
) -> Fate {
    match progress(worker, target, &[database], stop).await {
        Ok(rows) if rows == [Some(ledger::Progress::Committed)] => Fate::Committed,
        Ok(_) => Fate::NotCommitted,
        Err(Silent { database, error }) => {
            log::warn!("{target}: cannot tell whether {database} is committed: {error}");
            Fate::Unreachable
        }
    }
}

/// A database that cannot be asked.
struct Silent {
    database: String,
    error: Error,
}

/// Asks until there is an answer: a failover takes longer than the few logins with which a build begins. How far the run
/// got with each of the databases.
async fn progress(
    worker: &Worker,
    target: &Target,
    databases: &[&str],
    stop: &CancellationToken,
) -> Result<Vec<Option<ledger::Progress>>, Silent> {
    let budget = LEAST.max(
        worker
            .job
            .connection
            .connect_timeout
            .saturating_mul(TIMEOUTS),
    );
    let answer = async {
        let started = Instant::now();
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(8));
        let never = CancellationToken::new();
        loop {
            match ask(worker, target, databases).await {
                Err(Silent { database, error })
                    if error.is_transient() && started.elapsed() < budget =>
                {
                    log::debug!("{target}: {database} does not answer yet: {error}");
                    backoff.wait(&never).await;
                }
                answer => return answer,
            }
        }
    };
    let too_late = async {
        stop.cancelled().await;
        tokio::time::sleep(AFTER_STOP).await;
    };
    tokio::select! {
        answer = answer => answer,
        () = too_late => Err(Silent {
            database: databases.join(", "),
            error: Error::Stopped,
        }),
    }
}

/// Reads the ledgers of all databases under the locks of all, so that no build is half seen.
async fn ask(
    worker: &Worker,
    target: &Target,
    databases: &[&str],
) -> Result<Vec<Option<ledger::Progress>>, Silent> {
    let mut sorted: Vec<&str> = databases.to_vec();
    sorted.sort_unstable();
    let mut sessions = HashMap::new();
    for database in sorted {
        let session = locked(worker, target, database).await;
        let session = session.map_err(|error| silent(database, error))?;
        sessions.insert(database, session);
    }
    let mut rows = Vec::with_capacity(databases.len());
    for &database in databases {
        let Some(session) = sessions.get_mut(database) else {
            continue;
        };
        let row = row(worker, &mut **session, database).await;
        rows.push(row.map_err(|error| silent(database, error))?);
    }
    Ok(rows)
}

fn silent(database: &str, error: Error) -> Silent {
    Silent {
        database: database.to_owned(),
        error,
    }
}

async fn locked(
    worker: &Worker,
    target: &Target,
    database: &str,
) -> Result<Box<dyn Session>, Error> {
    let mut session = worker.engine.connect(&target.server, database).await?;
    let never = CancellationToken::new();
    session.lock(Mode::Transactional, ORPHAN, &never).await?;
    Ok(session)
}

async fn row(
    worker: &Worker,
    session: &mut dyn Session,
    database: &str,
) -> Result<Option<ledger::Progress>, Error> {
    if session.columns(Table::Ledger).await?.is_empty() {
        return Ok(None);
    }
    let known_as = session.database_name(database);
    let row = ledger::read(session, worker.job.run_id, &known_as).await?;
    Ok(row.map(|row| row.state))
}

/// The outcome of a target of which nobody has told how its build ended: what the ledgers say, and why they are asked.
/// Nothing is changed.
pub(super) async fn reconcile(
    worker: &Worker,
    target: &Target,
    why: &str,
    stop: &CancellationToken,
) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.errors.push(ErrorReport {
        message: why.to_owned(),
        ..ErrorReport::default()
    });
    let databases = target.databases();
    let rows = match progress(worker, target, &databases, stop).await {
        Ok(rows) => rows,
        Err(Silent { database, error }) => {
            outcome.state = Some(State::Unknown);
            outcome.errors.push(report(&database, &error));
            return outcome;
        }
    };
    let state = state_of(&rows);
    outcome.state = Some(state);
    outcome.is_final = true;
    if state == State::PartlyCommitted {
        for (database, row) in databases.into_iter().zip(&rows) {
            let committed = *row == Some(ledger::Progress::Committed);
            let list = if committed {
                &mut outcome.committed
            } else {
                &mut outcome.missing
            };
            list.push(database.to_owned());
        }
    }
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
