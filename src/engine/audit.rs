//! The audit table, `SqlBuild_Logging`: one row for each script that was committed. Its columns are the reference
//! program's, so that both programs can work on one fleet.

use std::collections::HashMap;

use jiff::Timestamp;
use uuid::Uuid;

use super::{Error, Session, Statement, Value, schema::Table};
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

/// The bytes of one statement at most, unless one row has more.
const BYTES_PER_STATEMENT: usize = 1024 * 1024;

/// The beginning that is recorded of a text that the server would not take whole. Its hash is recorded in any case.
const TEXT_PART: usize = 64 * 1024;

/// What a statement has besides its rows, and a row besides its texts.
const STATEMENT_BYTES: usize = 1024;
const ROW_BYTES: usize = 1024;

/// How much a row takes of a statement, its text aside.
fn bytes_without_text(run: &Run, row: &Row<'_>) -> usize {
    let texts = [
        &run.package,
        &run.package_hash,
        &run.user,
        &run.requested_by,
        &run.description,
        row.file,
        row.hash,
        row.tag,
    ];
    ROW_BYTES + texts.iter().map(|text| text.len()).sum::<usize>()
}

/// The row with as much of its text as a server takes in statements of `longest` bytes.
fn cut<'a>(run: &Run, row: &Row<'a>, longest: usize) -> Row<'a> {
    let mut row = row.clone();
    let room = longest.saturating_sub(STATEMENT_BYTES + bytes_without_text(run, &row));
    if row.text.len() > room {
        let end = row.text.floor_char_boundary(room.min(TEXT_PART));
        row.text = row.text.get(..end).unwrap_or_default();
    }
    row
}

/// The rows in portions for one statement each, of which a server takes `longest` bytes.
fn chunks<'a, 'b>(
    run: &'a Run,
    rows: &'a [Row<'b>],
    longest: usize,
) -> impl Iterator<Item = &'a [Row<'b>]> {
    let most = BYTES_PER_STATEMENT.min(longest.saturating_sub(STATEMENT_BYTES));
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |row: &&Row<'_>| {
            bytes += row.text.len() + bytes_without_text(run, row);
            bytes <= most
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
    if let Some(last) = insert_but_last(session, run, database, rows).await? {
        session.execute(&last.sql, &last.parameters).await?;
    }
    Ok(())
}

/// The same, but the last statement is left to the caller: the only one of most builds, which goes to the server with others.
/// What scripts did to the session is undone before the first of several.
pub async fn insert_but_last(
    session: &mut dyn Session,
    run: &Run,
    database: &str,
    rows: &[Row<'_>],
) -> Result<Option<Statement>, Error> {
    let commit_date = Timestamp::now();
    let table = session.table_name(Table::Audit);
    let longest = session.longest_statement().unwrap_or(usize::MAX);
    let rows: Vec<Row<'_>> = rows.iter().map(|row| cut(run, row, longest)).collect();
    let (mut last, mut settled): (Option<Statement>, bool) = (None, false);
    for chunk in chunks(run, &rows, longest) {
        if let Some(statement) = last.take() {
            if !std::mem::replace(&mut settled, true) {
                session.settle().await?;
            }
            session
                .execute(&statement.sql, &statement.parameters)
                .await?;
        }
        let places = vec![format!("({})", vec!["?"; COLUMNS].join(", ")); chunk.len()].join(", ");
        let sql = format!(
            "INSERT INTO {table} (BuildFileName, ScriptFileName, ScriptId, ScriptFileHash, CommitDate, Sequence, \
             UserId, ScriptText, Tag, TargetDatabase, RunWithVersion, BuildProjectHash, BuildRequestedBy, \
             ScriptRunStart, ScriptRunEnd, Description) VALUES {places}"
        );
        let parameters = chunk
            .iter()
            .flat_map(|row| values(run, database, commit_date, row))
            .collect();
        last = Some(Statement { sql, parameters });
    }
    Ok(last)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        let text = |chars: usize| "ä".repeat(chars);
        Run {
            package: text(NAME_CHARS),
            package_hash: text(64),
            user: text(50),
            requested_by: text(256),
            description: text(DESCRIPTION_CHARS),
        }
    }

    fn row(text: &str) -> Row<'_> {
        Row {
            file: "a.sql",
            id: Uuid::nil(),
            hash: "hash",
            text,
            tag: "tag",
            sequence: 0,
            started: Timestamp::UNIX_EPOCH,
            finished: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn no_statement_is_longer_than_what_the_server_takes() {
        let run = run();
        for longest in [16 * 1024, 100_000, 1024 * 1024, usize::MAX] {
            let texts: Vec<String> = [1, 5_000, 20_000, 90_000, 99_999, 1_048_000, 1024 * 1024]
                .iter()
                .map(|chars| "SELECT 1;".repeat(chars / 9))
                .collect();
            let rows: Vec<Row<'_>> = texts
                .iter()
                .cycle()
                .take(200)
                .map(|text| cut(&run, &row(text), longest))
                .collect();
            let mut seen = 0;
            for chunk in chunks(&run, &rows, longest) {
                let bytes: usize = chunk
                    .iter()
                    .flat_map(|row| values(&run, "database", Timestamp::UNIX_EPOCH, row))
                    .map(|value| value.as_text().map_or(16, str::len))
                    .sum();
                assert!(bytes < longest, "{bytes} of {longest}");
                assert!(!chunk.is_empty() && chunk.len() <= ROWS_PER_STATEMENT);
                seen += chunk.len();
            }
            assert_eq!(seen, rows.len(), "{longest}");
        }
    }

    #[test]
    fn a_text_is_cut_only_where_the_server_would_not_take_it() {
        let (run, text) = (run(), "ä".repeat(200_000));
        assert_eq!(cut(&run, &row(&text), usize::MAX).text, text);
        assert_eq!(cut(&run, &row(&text), 450_000).text, text);
        assert_eq!(cut(&run, &row(&text), 400_001).text.len(), TEXT_PART);
        let short = cut(&run, &row(&text), 20_000).text;
        assert!(!short.is_empty() && short.len() < 20_000);
        assert_eq!(cut(&run, &row(&text), 10).text, "");
    }
}
