//! Targets that a query finds: the text of a `.sql` file, or a `.multiDbQ` file, which also says where it is to be asked.
//!
//! By position, whatever their names, the columns of a row are: server and database; or server, default name, database;
//! and with four or more a tag behind them. From the fourth on they are kept as row data. Each row is a target of one pair.

use std::{path::Path, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Error as FileError, Fault, Listed, MultiDbQuery, RowData, RowItem, TargetList,
    load_multi_db_query,
};
use crate::{
    engine::{self, Answer, Engine, connect_with_retry},
    protocol::{Pair, Target},
    query::{Question, Unusable},
};

/// How long logins to the server are repeated.
const LOGIN_BUDGET: Duration = Duration::from_secs(30);

/// How long the answer may take.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Targets at most.
const MOST_TARGETS: usize = 1_000_000;

/// The name of the package's database when the query names none, as in the reference program.
const DEFAULT_NAME: &str = "client";

/// Why a query found no targets.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The text cannot be asked.
    #[error("the query in {file} {source}")]
    Text {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: Unusable,
    },
    /// The database did not answer.
    #[error("the query in {file} failed on {place}{line}: {source}", line = .line.map(|line| format!(" at line {line}")).unwrap_or_default())]
    Database {
        /// The file.
        file: String,
        /// Server and database.
        place: String,
        /// The line of the error in the query.
        line: Option<u32>,
        /// What the server or the driver says.
        source: engine::Error,
    },
    /// The answer has one column or none.
    #[error(
        "the query in {file} gives {columns} column(s); accepted are server and database, or server, default name, \
         database and perhaps tag and more"
    )]
    TooFewColumns {
        /// The file.
        file: String,
        /// How many there are.
        columns: usize,
    },
    /// The answer has more rows than any fleet has databases.
    #[error("the query in {file} gives more than {MOST_TARGETS} rows")]
    TooManyRows {
        /// The file.
        file: String,
    },
}

/// Asks for the targets. `place` is server and database for a `.sql` file; lines of the list are numbers of rows.
pub async fn find(
    path: &Path,
    place: Option<&(String, String)>,
    engine: &dyn Engine,
) -> Result<TargetList, QueryError> {
    let file = path.display().to_string();
    let platform = engine.platform();
    let (server, database, question) = match place {
        Some((server, database)) => {
            let question = Question::open(path, platform);
            (server.clone(), database.clone(), question)
        }
        None => {
            let MultiDbQuery {
                source_server,
                database,
                query,
            } = load_multi_db_query(path)?;
            let question = Question::new(file.clone(), query, platform);
            (source_server, database, question)
        }
    };
    let question = question.map_err(|source| QueryError::Text {
        file: file.clone(),
        source,
    })?;
    let (columns, rows) = ask(engine, (&server, &database), &question)
        .await
        .map_err(|source| QueryError::Database {
            file: file.clone(),
            place: format!("{server}:{database}"),
            line: question.line_of(&source),
            source,
        })?;
    if columns.len() < 2 {
        let columns = columns.len();
        return Err(QueryError::TooFewColumns { file, columns });
    }
    if rows.len() > MOST_TARGETS {
        return Err(QueryError::TooManyRows { file });
    }
    Ok(read_rows(file, &columns, rows))
}

type Row = Vec<Option<String>>;

/// The whole answer, in memory: it is as large as the list that it stands for.
async fn ask(
    engine: &dyn Engine,
    (server, database): (&str, &str),
    question: &Question,
) -> Result<(Vec<String>, Vec<Row>), engine::Error> {
    let stop = CancellationToken::new();
    let mut session = connect_with_retry(engine, server, database, LOGIN_BUDGET, &stop).await?;
    let (to, mut from) = mpsc::channel(64);
    let read = async move { session.read(&question.text, TIMEOUT, &stop, &to).await };
    let collect = async move {
        let (mut columns, mut rows) = (Vec::new(), Vec::new());
        while let Some(answer) = from.recv().await {
            match answer {
                Answer::Columns(names) => columns = names,
                Answer::Row(row) => rows.push(row),
            }
            if rows.len() > MOST_TARGETS {
                break;
            }
        }
        (columns, rows)
    };
    let (read, collected) = tokio::join!(read, collect);
    read?;
    Ok(collected)
}

fn read_rows(name: String, columns: &[String], rows: Vec<Row>) -> TargetList {
    let (mut targets, mut faults) = (Vec::new(), Vec::new());
    for (line, row) in (1..).zip(rows) {
        match listed(line, columns, row) {
            Ok(listed) => targets.push(listed),
            Err(fault) => faults.push(fault),
        }
    }
    if targets.is_empty() && faults.is_empty() {
        faults.push(Fault::in_lines(Vec::new(), "the query found no targets"));
    }
    TargetList {
        name: format!("the rows that {name} found"),
        targets,
        faults,
    }
}

fn listed(line: u32, columns: &[String], row: Row) -> Result<Listed, Fault> {
    let cell = |index: usize| {
        let cell = row.get(index).and_then(Option::as_deref);
        cell.unwrap_or_default().trim()
    };
    let (default, database, what) = match columns.len() {
        2 => (DEFAULT_NAME, 1, "second"),
        _ => (cell(1), 2, "third"),
    };
    for (index, name, position) in [(0, "server", "first"), (database, "database", what)] {
        let problem = match cell(index) {
            "" => format!("the {position} column, the {name}, is NULL or empty"),
            text if text.contains(char::is_control) => {
                format!("the {position} column, the {name}, holds a control character")
            }
            _ => continue,
        };
        return Err(Fault::in_lines(vec![line], problem));
    }
    let target = Target {
        server: cell(0).to_owned(),
        pairs: vec![Pair {
            default: default.to_owned(),
            database: cell(database).to_owned(),
        }],
        tag: Some(cell(3))
            .filter(|tag| !tag.is_empty())
            .map(str::to_owned),
    };
    let items = columns.iter().zip(&row).skip(3);
    let items = items.map(|(column, value)| RowItem {
        column: column.clone(),
        value: value.clone().unwrap_or_default(),
    });
    Ok(Listed {
        row_data: RowData::new(vec![items.collect()]),
        ..Listed::new(target, line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(columns: &[&str], rows: &[&[Option<&str>]]) -> TargetList {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let rows = rows
            .iter()
            .map(|row| row.iter().map(|cell| cell.map(str::to_owned)).collect());
        read_rows("q.sql".into(), &columns, rows.collect())
    }

    fn shown(list: &TargetList) -> Vec<String> {
        let lines = list.targets.iter();
        lines
            .map(|listed| crate::targets::format_line(&listed.target))
            .collect()
    }

    #[test]
    fn columns_count_by_position() {
        let list = read(&["x", "y"], &[&[Some(" s "), Some("d ")]]);
        assert_eq!(shown(&list), ["s:client,d"]);
        assert!(list.targets[0].row_data.is_empty());
        let list = read(&["a", "b", "c"], &[&[Some("s"), Some("n"), Some("d")]]);
        assert_eq!(shown(&list), ["s:n,d"]);
        let list = read(&["a", "b", "c"], &[&[Some("s"), None, Some("d")]]);
        assert_eq!(shown(&list), ["s:d"]);
    }

    #[test]
    fn the_fourth_column_is_the_tag_and_begins_the_row_data() {
        let row: &[Option<&str>] = &[Some("s"), Some("n"), Some("d"), Some("blue"), None];
        let list = read(&["a", "b", "c", "ring", "size"], &[row]);
        assert_eq!(shown(&list), ["s:n,d#blue"]);
        let items = list.targets[0].row_data.of_pair(0);
        let items: Vec<(&str, &str)> = items
            .iter()
            .map(|item| (item.column.as_str(), item.value.as_str()))
            .collect();
        assert_eq!(items, [("ring", "blue"), ("size", "")]);
    }

    #[test]
    fn rows_that_name_nothing_are_told_together() {
        let rows: &[&[Option<&str>]] = &[
            &[None, Some("d")],
            &[Some("s"), Some(" ")],
            &[Some("s"), Some("d")],
            &[Some("s\n"), Some("a\nb")],
        ];
        let list = read(&["a", "b"], rows);
        let faults: Vec<String> = list.faults.iter().map(Fault::to_string).collect();
        assert_eq!(
            faults,
            [
                "line 1: the first column, the server, is NULL or empty",
                "line 2: the second column, the database, is NULL or empty",
                "line 4: the second column, the database, holds a control character"
            ]
        );
        assert_eq!(list.targets.len(), 1);
        assert_eq!(read(&["a", "b"], &[]).faults.len(), 1);
    }
}
