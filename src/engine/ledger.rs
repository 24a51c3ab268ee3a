//! The ledger: in each database, what each run has done with it. It is what makes an effect exactly once.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Error, Session, Statement, Value, schema::Table};
use crate::protocol::TargetKey;

pub(super) const POSTGRES_COLUMNS: &[(&str, &str)] = &[
    ("RunId", "varchar(36) NOT NULL"),
    ("TargetKey", "varchar(400) NOT NULL"),
    ("DatabaseName", "varchar(128) NOT NULL"),
    ("Attempt", "int NOT NULL"),
    ("PackageSha256", "varchar(64) NOT NULL"),
    ("Worker", "varchar(200) NOT NULL"),
    ("State", "varchar(20) NOT NULL"),
    ("Started", "timestamp NOT NULL"),
    ("Finished", "timestamp"),
    ("AuditPending", "boolean NOT NULL DEFAULT false"),
    ("Detail", "text"),
];

pub(super) const SQLITE_COLUMNS: &[(&str, &str)] = &[
    ("RunId", "TEXT NOT NULL"),
    ("TargetKey", "TEXT NOT NULL"),
    ("DatabaseName", "TEXT NOT NULL"),
    ("Attempt", "INTEGER NOT NULL"),
    ("PackageSha256", "TEXT NOT NULL"),
    ("Worker", "TEXT NOT NULL"),
    ("State", "TEXT NOT NULL"),
    ("Started", "TEXT NOT NULL"),
    ("Finished", "TEXT"),
    ("AuditPending", "INTEGER NOT NULL DEFAULT 0"),
    ("Detail", "TEXT"),
];

/// What a run has done with one database.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The run.
    pub run_id: Uuid,
    /// The target of which the database is a part.
    pub key: TargetKey,
    /// The real database.
    pub database: String,
    /// Counts from 1.
    pub attempt: i64,
    /// Which package.
    pub package_sha256: String,
    /// Who did it.
    pub worker: String,
    /// How far it got.
    pub state: Progress,
    /// When the attempt began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// Audit rows are still to be written to another database.
    pub audit_pending: bool,
    /// What is needed to write them, as JSON; or why the build failed.
    pub detail: Option<String>,
}

/// How far a run got with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A non-transactional build has begun.
    Started,
    /// Everything is committed.
    Committed,
    /// A part may have been applied.
    Failed,
}

impl Progress {
    fn name(self) -> &'static str {
        match self {
            Self::Started => "Started",
            Self::Committed => "Committed",
            Self::Failed => "Failed",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Started, Self::Committed, Self::Failed]
            .into_iter()
            .find(|progress| progress.name() == text)
    }
}

/// What this run has done with the database so far. The database itself is the identity: a resumed run may reach it by
/// another name of its server, and so by another target key.
pub async fn read(
    session: &mut dyn Session,
    run_id: Uuid,
    database: &str,
) -> Result<Option<Row>, Error> {
    let sql = format!("{} WHERE RunId = ? AND DatabaseName = ?", select(session));
    let run = run_id.to_string();
    let parameters = [run.as_str().into(), database.into()];
    let rows = session.query(&sql, &parameters).await?;
    own(&rows, run_id, database)
}

/// The same, and whether there are rows of other runs that ended more than `age` ago. To ask for both at once costs less than
/// to delete rows that are not there.
pub async fn read_with_age(
    session: &mut dyn Session,
    run_id: Uuid,
    database: &str,
    age: Duration,
) -> Result<(Option<Row>, bool), Error> {
    let Some(before) = cutoff(age) else {
        return Ok((read(session, run_id, database).await?, false));
    };
    let sql = format!(
        "{} WHERE (RunId = ? AND DatabaseName = ?) OR (Finished < ? AND RunId <> ?)",
        select(session)
    );
    let run = run_id.to_string();
    let parameters = [
        run.as_str().into(),
        database.into(),
        before,
        run.as_str().into(),
    ];
    let rows = session.query(&sql, &parameters).await?;
    let has_old = rows.iter().any(|cells| !is_of(cells, run_id));
    Ok((own(&rows, run_id, database)?, has_old))
}

fn select(session: &dyn Session) -> String {
    format!(
        "SELECT TargetKey, Attempt, PackageSha256, Worker, State, Started, Finished, AuditPending, Detail, RunId FROM {}",
        session.table_name(Table::Ledger)
    )
}

/// The row of the run among those that were read.
fn own(rows: &[Vec<Value>], run_id: Uuid, database: &str) -> Result<Option<Row>, Error> {
    let Some(cells) = rows.iter().find(|cells| is_of(cells, run_id)) else {
        return Ok(None);
    };
    parse(cells, run_id, database).map(Some).ok_or_else(|| {
        Error::Settings(format!(
            "the ledger row of run {run_id} in {database} cannot be read"
        ))
    })
}

fn is_of(cells: &[Value], run_id: Uuid) -> bool {
    let run = cells.last().and_then(Value::as_text);
    run.and_then(|run| run.trim().parse::<Uuid>().ok()) == Some(run_id)
}

/// Rows that ended before this are older than `age`; none when there was no such time.
fn cutoff(age: Duration) -> Option<Value> {
    Some(Value::Time(Timestamp::now().checked_sub(age).ok()?))
}

fn parse(cells: &[Value], run_id: Uuid, database: &str) -> Option<Row> {
    let [
        key,
        attempt,
        sha256,
        worker,
        state,
        started,
        finished,
        pending,
        detail,
        _run,
    ] = cells
    else {
        return None;
    };
    let time = |value: &Value| match value {
        Value::Time(time) => Some(*time),
        Value::Text(text) => parse_time(text),
        _ => None,
    };
    Some(Row {
        run_id,
        key: TargetKey::stored(key.as_text()?),
        database: database.to_owned(),
        attempt: attempt.as_int()?,
        package_sha256: sha256.as_text()?.to_owned(),
        worker: worker.as_text()?.to_owned(),
        state: Progress::parse(state.as_text()?)?,
        started: time(started)?,
        finished: time(finished),
        audit_pending: pending.as_int()? != 0,
        detail: detail.as_text().map(str::to_owned),
    })
}

/// Reads a time that the platform keeps as text.
fn parse_time(text: &str) -> Option<Timestamp> {
    let time: jiff::civil::DateTime = text.parse().ok()?;
    time.to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// Writes the row: the first of this run for the database, or in place of the one that `read` found.
pub async fn write(session: &mut dyn Session, row: &Row, replaces: bool) -> Result<(), Error> {
    let statement = write_statement(session, row, replaces);
    let changed = session
        .execute(&statement.sql, &statement.parameters)
        .await?;
    check_written(row, changed)
}

/// The statement that does it; what it has changed is for [`check_written`].
pub fn write_statement(session: &dyn Session, row: &Row, replaces: bool) -> Statement {
    let table = session.table_name(Table::Ledger);
    let sql = if replaces {
        format!(
            "UPDATE {table} SET Attempt = ?, PackageSha256 = ?, Worker = ?, State = ?, Started = ?, Finished = ?, \
             AuditPending = ?, Detail = ? WHERE RunId = ? AND TargetKey = ? AND DatabaseName = ?"
        )
    } else {
        format!(
            "INSERT INTO {table} (Attempt, PackageSha256, Worker, State, Started, Finished, AuditPending, Detail, \
             RunId, TargetKey, DatabaseName) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
    };
    let parameters = vec![
        Value::Int(row.attempt),
        row.package_sha256.as_str().into(),
        row.worker
            .chars()
            .take(200)
            .collect::<String>()
            .as_str()
            .into(),
        row.state.name().into(),
        Value::Time(row.started),
        row.finished.map_or(Value::Null, Value::Time),
        Value::Bool(row.audit_pending),
        Value::text_or_null(row.detail.as_deref()),
        row.run_id.to_string().as_str().into(),
        row.key.as_str().into(),
        row.database.as_str().into(),
    ];
    Statement { sql, parameters }
}

/// An error unless exactly this row was written.
pub fn check_written(row: &Row, changed: u64) -> Result<(), Error> {
    if changed == 1 {
        return Ok(());
    }
    Err(Error::Settings(format!(
        "the ledger row of run {} in {} is gone; somebody else works on the table",
        row.run_id, row.database
    )))
}

/// Removes rows of other runs that ended more than `age` ago; none when there was no such time.
pub fn prune_statement(session: &dyn Session, run_id: Uuid, age: Duration) -> Option<Statement> {
    let before = cutoff(age)?;
    let sql = format!(
        "DELETE FROM {} WHERE Finished < ? AND RunId <> ?",
        session.table_name(Table::Ledger)
    );
    let parameters = vec![before, run_id.to_string().as_str().into()];
    Some(Statement { sql, parameters })
}
