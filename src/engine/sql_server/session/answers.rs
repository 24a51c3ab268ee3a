//! Asking for the transaction, and reading the answer of the lock.

use std::time::Duration;

use super::{
    super::{
        super::{Error, TransactionFate, Value, schema::Column},
        proof::{self, State},
        statements,
        tap::Heard,
    },
    SqlServerSession,
};

/// As deep as a server lets one `EXECUTE AS` follow another.
const MOST_REVERTS: usize = 32;

/// Answers of `sp_getapplock`: the lock is ours from 0 on.
const LOCK_TIMED_OUT: i64 = -1;

impl SqlServerSession {
    /// Asks for the state of the transaction, right after a batch of a script.
    pub(super) async fn state(&mut self) -> Result<State, Error> {
        if let Some(state) = self.ask_state().await? {
            return Ok(state);
        }
        // No answer: the script has told the server not to run what it is sent, and means that for its later batches, too.
        for mode in statements::SILENT_MODES {
            self.batch(&format!("SET {mode} OFF")).await?;
            if let Some(state) = self.ask_state().await? {
                self.batch(&format!("SET {mode} ON")).await?;
                self.muted = true;
                return Ok(state);
            }
        }
        Err(self.incomplete())
    }

    /// The state, if the server runs what it is sent. A script may have asked for plans and figures, which come as further
    /// results.
    async fn ask_state(&mut self) -> Result<Option<State>, Error> {
        let results = self.batch(proof::QUESTION).await?;
        Ok(results.iter().find_map(|rows| read_state(rows)))
    }

    /// Makes the server run again what it is sent.
    pub(super) async fn speak(&mut self) -> Result<(), Error> {
        self.batch(statements::SPEAK).await?;
        if self.ask_state().await?.is_some() {
            return Ok(());
        }
        for mode in statements::SILENT_MODES {
            self.batch(&format!("SET {mode} OFF")).await?;
            if self.ask_state().await?.is_some() {
                return Ok(());
            }
        }
        Err(self.incomplete())
    }

    /// Puts the options back, and takes the session back from whom a script has left it to, so that the next script and our
    /// own statements have the rights of the login. A script may say `WITH NO REVERT`; then the server refuses them.
    pub(super) async fn put_back(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.figures) {
            self.batch(statements::NO_FIGURES).await?;
        }
        let clean = [statements::CLEAN, statements::WHO].concat();
        let mut who = self.batch(&clean).await?;
        for _ in 0..MOST_REVERTS {
            // Without a lock no script has run.
            if self.who.is_none() || read_who(&who) == self.who {
                break;
            }
            if let Err(error) = self.batch(statements::REVERT).await {
                log::debug!("{}: {error}", self.place);
                break;
            }
            who = self.batch(statements::WHO).await?;
        }
        Ok(())
    }

    /// What became of the transaction when a batch failed or was cancelled.
    pub(super) async fn fate(&mut self, heard: &Heard) -> TransactionFate {
        let Some(id) = self.transaction else {
            return TransactionFate::Alive;
        };
        let numbers: Vec<u32> = heard.errors.iter().map(|(number, _)| *number).collect();
        match self.state().await {
            Ok(state) => {
                if state.is_doomed(id)
                    && let Err(error) = self.batch(statements::ROLL_BACK).await
                {
                    log::debug!("{}: rolling back: {error}", self.place);
                }
                proof::fate(state, id, heard.course, &numbers)
            }
            Err(error) => {
                log::debug!("{}: cannot ask for the transaction: {error}", self.place);
                self.client = None;
                self.without_connection(heard)
            }
        }
    }

    /// Without a connection nothing is committed any more; but a script may have done so before.
    pub(super) fn without_connection(&self, heard: &Heard) -> TransactionFate {
        if heard.course.committed {
            TransactionFate::EndedByScript
        } else {
            TransactionFate::RolledBack
        }
    }

    /// After a batch without an error: the transaction must be the build's own.
    pub(in super::super) async fn prove(&mut self) -> Result<(), Error> {
        let Some(id) = self.transaction else {
            return Ok(());
        };
        let state = self.state().await?;
        if state.is_alive(id) {
            return Ok(());
        }
        if state.is_doomed(id) {
            // A batch that leaves such a transaction gets an error of the server, so this is not expected.
            self.batch(statements::ROLL_BACK).await?;
            return Err(Error::Lost(
                "the transaction can only be rolled back".into(),
            ));
        }
        Err(Error::TransactionEnded)
    }

    /// The lock's answer and what came with it.
    pub(super) fn read_lock(
        &mut self,
        results: Vec<Vec<Vec<Value>>>,
        wait: Duration,
    ) -> Result<(), Error> {
        let mut results = results.into_iter();
        let answer = results
            .next()
            .and_then(|rows| rows.first()?.first()?.as_int());
        match answer {
            Some(0..) => {}
            Some(LOCK_TIMED_OUT) => return Err(Error::Busy { wait }),
            Some(number) => {
                let why = match number {
                    -2 => "the request was cancelled",
                    -3 => "it would have been a dead-lock",
                    _ => "the call is wrong",
                };
                return Err(Error::Lost(format!(
                    "no lock: {why} (sp_getapplock answers {number})"
                )));
            }
            None => return Err(self.incomplete()),
        }
        let name = results.next().and_then(|rows| read_text(&rows));
        let Some(name) = name else {
            return Err(self.incomplete());
        };
        self.database = name;
        self.who = results.next().and_then(|rows| read_text(&rows));
        self.catalog.clear();
        let mut unwritable = None;
        for row in results.next().unwrap_or_default() {
            let [table, column, width, select, insert] = row.as_slice() else {
                return Err(self.incomplete());
            };
            let (Some(table), Some(column)) = (table.as_text(), column.as_text()) else {
                return Err(self.incomplete());
            };
            if select.as_int() == Some(0) || insert.as_int() == Some(0) {
                unwritable = Some(table.to_owned());
            }
            let column = Column {
                name: column.to_owned(),
                max_chars: width.as_int().and_then(|width| u32::try_from(width).ok()),
            };
            self.catalog.push((table.to_owned(), column));
        }
        match unwritable {
            Some(table) => Err(Error::Settings(format!(
                "this login may not read and write {}.{table}; let `sbm ledger script --platform SqlServer` print the \
                 grants for an administrator",
                self.schema
            ))),
            None => Ok(()),
        }
    }
}

/// The last text of an answer.
fn read_who(results: &[Vec<Vec<Value>>]) -> Option<String> {
    results.last().and_then(|rows| read_text(rows))
}

fn read_text(rows: &[Vec<Value>]) -> Option<String> {
    Some(rows.first()?.first()?.as_text()?.to_owned())
}

pub(super) fn read_state(rows: &[Vec<Value>]) -> Option<State> {
    let [depth, health, id] = rows.first()?.as_slice() else {
        return None;
    };
    Some(State {
        depth: depth.as_int()?,
        health: health.as_int()?,
        id: id.as_int()?,
    })
}
