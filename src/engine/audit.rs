//! The audit table, `SqlBuild_Logging`: one row for each script that was committed. Its columns are the reference
//! program's, so that both programs can work on one fleet.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Error, Session, Value, schema::Table};
use crate::protocol::JobSpec;

pub(super) const POSTGRES_COLUMNS: &[(&str, &str)] = &[
    ("BuildFileName", "varchar(300) NOT NULL"),
    ("ScriptFileName", "varchar(300) NOT NULL"),
    ("ScriptId", "uuid NOT NULL"),
    ("ScriptFileHash", "varchar(100)"),
    ("CommitDate", "timestamp NOT NULL DEFAULT now()"),
    ("Sequence", "int NOT NULL DEFAULT 0"),
    ("UserId", "varchar(100)"),
    ("AllowScriptBlock", "boolean NOT NULL DEFAULT true"),
    ("AllowBlockUpdateId", "varchar(200)"),
    ("ScriptText", "text"),
    ("Tag", "varchar(200)"),
    ("TargetDatabase", "varchar(200)"),
    ("RunWithVersion", "varchar(50)"),
    ("BuildProjectHash", "varchar(100)"),
    ("BuildRequestedBy", "varchar(256)"),
    ("ScriptRunStart", "timestamp"),
    ("ScriptRunEnd", "timestamp"),
    ("Description", "varchar(500)"),
];

pub(super) const SQLITE_COLUMNS: &[(&str, &str)] = &[
    ("BuildFileName", "TEXT NOT NULL"),
    ("ScriptFileName", "TEXT NOT NULL"),
    ("ScriptId", "TEXT NOT NULL"),
    ("ScriptFileHash", "TEXT"),
    ("CommitDate", "TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP"),
    ("Sequence", "INTEGER NOT NULL DEFAULT 0"),
    ("UserId", "TEXT"),
    ("AllowScriptBlock", "INTEGER NOT NULL DEFAULT 1"),
    ("AllowBlockUpdateId", "TEXT"),
    ("ScriptText", "TEXT"),
    ("Tag", "TEXT"),
    ("TargetDatabase", "TEXT"),
    ("RunWithVersion", "TEXT"),
    ("BuildProjectHash", "TEXT"),
    ("BuildRequestedBy", "TEXT"),
    ("ScriptRunStart", "TEXT"),
    ("ScriptRunEnd", "TEXT"),
    ("Description", "TEXT"),
];

/// The characters that file names and package names may have.
pub const NAME_CHARS: usize = 300;

/// The characters that a tag may have.
pub const TAG_CHARS: usize = 200;

/// The characters that a description may have.
pub const DESCRIPTION_CHARS: usize = 500;

/// What is the same for all rows of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The base name of the package.
    pub package: String,
    /// The reference program's hash of the package.
    pub package_hash: String,
    /// The account under which this program runs.
    pub user: String,
    /// The person or pipeline that asked for the build.
    pub requested_by: String,
    /// The description of the build.
    pub description: String,
}

impl Run {
    /// What `job` says, built under the account `user`.
    pub fn of(job: &JobSpec, user: String) -> Self {
        Self {
            package: job.package.name.clone(),
            package_hash: job.package.build_hash.clone(),
            user,
            requested_by: job.build.requested_by.clone(),
            description: job.build.description.clone(),
        }
    }
}

/// One script that ran.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Its file name.
    pub file: &'a str,
    /// Its identity.
    pub id: Uuid,
    /// The reference program's hash of its text.
    pub hash: &'a str,
    /// Its text, or the beginning of a long one.
    pub text: &'a str,
    /// Its tag.
    pub tag: &'a str,
    /// Its place among the scripts that ran, from 0.
    pub sequence: i64,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
}

const COLUMNS: usize = 16;

/// Rows in one statement at most: 16 parameters each, and SQL Server allows 2,100 in all.
const ROWS_PER_STATEMENT: usize = 131;

/// Text in one statement at most, unless one row has more: a server takes packets up to a limit of its own.
const BYTES_PER_STATEMENT: usize = 1024 * 1024;

/// The rows in portions for one statement each.
fn chunks<'a, 'b>(rows: &'a [Row<'b>]) -> impl Iterator<Item = &'a [Row<'b>]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |row: &&Row<'_>| {
            bytes += row.text.len();
            bytes <= BYTES_PER_STATEMENT
        };
        let count = rest
            .iter()
            .take(ROWS_PER_STATEMENT)
            .take_while(fits)
            .count();
        let (chunk, others) = rest.split_at_checked(count.max(1))?;
        rest = others;
        Some(chunk)
    })
}

/// Writes the rows, in the order given, for scripts that ran in `database`.
pub async fn insert(
    session: &mut dyn Session,
    run: &Run,
    database: &str,
    rows: &[Row<'_>],
) -> Result<(), Error> {
    let commit_date = Timestamp::now();
    let table = session.table_name(Table::Audit);
    for chunk in chunks(rows) {
        let places = vec![format!("({})", vec!["?"; COLUMNS].join(", ")); chunk.len()].join(", ");
        let sql = format!(
            "INSERT INTO {table} (BuildFileName, ScriptFileName, ScriptId, ScriptFileHash, CommitDate, Sequence, \
             UserId, ScriptText, Tag, TargetDatabase, RunWithVersion, BuildProjectHash, BuildRequestedBy, \
             ScriptRunStart, ScriptRunEnd, Description) VALUES {places}"
        );
        let parameters: Vec<Value> = chunk
            .iter()
            .flat_map(|row| values(run, database, commit_date, row))
            .collect();
        session.execute(&sql, &parameters).await?;
    }
    Ok(())
}

/// The parameters of one row. `AllowScriptBlock` is left to its default, which is true.
fn values(run: &Run, database: &str, commit_date: Timestamp, row: &Row<'_>) -> [Value; COLUMNS] {
    let cut = |text: &str, chars: usize| Value::Text(text.chars().take(chars).collect());
    [
        run.package.as_str().into(),
        row.file.into(),
        Value::Uuid(row.id),
        row.hash.into(),
        Value::Time(commit_date),
        Value::Int(row.sequence),
        cut(&run.user, 50),
        row.text.into(),
        row.tag.into(),
        cut(database, 200),
        env!("CARGO_PKG_VERSION").into(),
        run.package_hash.as_str().into(),
        cut(&run.requested_by, 256),
        Value::Time(row.started),
        Value::Time(row.finished),
        run.description.as_str().into(),
    ]
}

/// Which of the run-once scripts `ids` the table knows, each with the hash of its newest run; where the table serves
/// several databases, for one of them.
pub async fn already_run(
    session: &mut dyn Session,
    ids: &[Uuid],
    target_database: Option<&str>,
) -> Result<HashMap<Uuid, Option<String>>, Error> {
    let table = session.table_name(Table::Audit);
    let only = if target_database.is_some() {
        " AND TargetDatabase = ?"
    } else {
        ""
    };
    let mut found = HashMap::new();
    for chunk in ids.chunks(1_000) {
        let places = vec!["?"; chunk.len()].join(", ");
        let sql = format!(
            "SELECT ScriptId, ScriptFileHash FROM {table} WHERE AllowScriptBlock = ? AND ScriptId IN ({places}){only} \
             ORDER BY CommitDate"
        );
        let parameters: Vec<Value> = std::iter::once(Value::Bool(true))
            .chain(chunk.iter().map(|id| Value::Uuid(*id)))
            .chain(target_database.map(Value::from))
            .collect();
        for cells in session.query(&sql, &parameters).await? {
            if let [id, hash] = cells.as_slice()
                && let Some(id) = id.as_uuid()
            {
                found.insert(id, hash.as_text().map(str::to_owned));
            }
        }
    }
    Ok(found)
}
