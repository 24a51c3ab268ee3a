//! One try at one target, from the login to the commit.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Worker,
    database_log::DatabaseLog,
    elsewhere,
    hold::Hold,
    prepare::{PreparedBatch, PreparedScript},
};
use crate::{
    engine::{Error, Mode, Session, TransactionFate, audit, connect_with_retry, ledger, schema},
    protocol::{ErrorReport, State, Target, TargetKey},
};

/// How long logins are repeated.
const CONNECT_BUDGET: Duration = Duration::from_secs(30);

/// How long a lock is waited for when a build is over and only its traces are to be written.
pub(super) const AFTERWARDS: Duration = Duration::from_secs(30);

/// What became of a target.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) state: Option<State>,
    pub(super) is_final: bool,
    pub(super) errors: Vec<ErrorReport>,
    pub(super) warnings: Vec<String>,
    pub(super) committed: Vec<String>,
    pub(super) missing: Vec<String>,
}

/// Why an attempt ended before its time.
#[derive(Debug)]
pub(super) struct Halt {
    pub(super) state: State,
    pub(super) is_final: bool,
    pub(super) error: Option<ErrorReport>,
    pub(super) retry: Retry,
}

/// Whether the whole target may be built again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// It would end the same way, or could do harm.
    No,
    /// A batch took too long; the user says how often that is repeated.
    Timeout,
    /// The reason passes by itself.
    Transient,
    /// The connection was lost, which passes by itself, here or on another machine.
    Lost,
}

impl Halt {
    /// The end of an attempt in which nothing was committed, unless the error says otherwise.
    pub(super) fn rolled_back(error: &Error, report: ErrorReport) -> Self {
        let (state, is_final) = match error {
            Error::Busy { .. } => (State::Busy, true),
            Error::Stopped => (State::RolledBack, false),
            error if error.fate() == TransactionFate::EndedByScript => (State::Failed, true),
            _ => (State::RolledBack, true),
        };
        let retry = match error {
            _ if state != State::RolledBack => Retry::No,
            Error::Timeout { .. } => Retry::Timeout,
            // Logins have been repeated already.
            Error::Connect { .. } => Retry::No,
            Error::Lost(_) => Retry::Lost,
            error if error.is_transient() => Retry::Transient,
            _ => Retry::No,
        };
        Self {
            state,
            is_final,
            error: Some(report),
            retry,
        }
    }
}

/// One database of the target.
pub(super) struct Database {
    pub(super) name: String,
    pub(super) session: Box<dyn Session>,
    /// What this run has done with it before.
    pub(super) row: Option<ledger::Row>,
    /// Where the row stood before this attempt.
    pub(super) before: Option<ledger::Progress>,
    /// Whether its ledger has rows that are to be removed.
    pub(super) has_old_rows: bool,
    /// Whether scripts run in it; not when an earlier attempt of this run committed it.
    pub(super) runs: bool,
    /// Whether it has our tables; it lacks them in a trial that could not take them back.
    pub(super) has_tables: bool,
    pub(super) done: Vec<Done>,
    pub(super) once: HashMap<Uuid, Option<String>>,
}

/// A script that ran.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Done {
    pub(super) id: Uuid,
    pub(super) sequence: i64,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
}

/// A try at a target.
pub(super) struct Attempt<'a> {
    pub(super) worker: &'a Worker,
    pub(super) target: &'a Target,
    pub(super) key: &'a TargetKey,
    pub(super) hold: &'a Hold,
    pub(super) stop: &'a CancellationToken,
    pub(super) log: &'a mut DatabaseLog,
    pub(super) databases: Vec<Database>,
    pub(super) warnings: Vec<String>,
    pub(super) started: Timestamp,
    pub(super) sequence: i64,
    /// Whether the ledgers of all databases have been read, so that it is known what this run has done before.
    pub(super) ledger_read: bool,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        worker: &'a Worker,
        target: &'a Target,
        key: &'a TargetKey,
        hold: &'a Hold,
        log: &'a mut DatabaseLog,
    ) -> Self {
        Self {
            worker,
            target,
            key,
            hold,
            stop: hold.stop_token(),
            log,
            databases: Vec::new(),
            warnings: Vec::new(),
            started: Timestamp::now(),
            sequence: 0,
            ledger_read: false,
        }
    }

    /// Builds the target.
    pub(super) async fn run(&mut self) -> Result<Outcome, Halt> {
        self.open_all().await?;
        if let Some(outcome) = self.decide().await? {
            return Ok(outcome);
        }
        if let Some(halt) = self.too_long() {
            return Err(halt);
        }
        self.read_run_once().await?;
        self.mark_started().await?;
        let prepared = Arc::clone(&self.worker.prepared);
        for script in &prepared.scripts {
            self.run_script(script).await?;
        }
        match self.mode() {
            Mode::Transactional => self.finish_transaction().await,
            Mode::Autocommit => self.finish_autocommit().await,
        }
    }

    pub(super) fn mode(&self) -> Mode {
        if self.worker.prepared.transactional {
            Mode::Transactional
        } else {
            Mode::Autocommit
        }
    }

    pub(super) fn trial(&self) -> bool {
        self.worker.job.build.trial
    }

    /// An error that belongs to a database but to no script.
    pub(super) fn halt(database: &str, error: &Error) -> Halt {
        Halt::rolled_back(error, report(database, error))
    }

    /// Logs in to all databases and locks them, in the order of their names, so that two builds that share some cannot
    /// wait for each other.
    async fn open_all(&mut self) -> Result<(), Halt> {
        let mut names: Vec<String> = self
            .target
            .databases()
            .into_iter()
            .map(str::to_owned)
            .collect();
        names.sort();
        for name in names {
            let (session, has_tables) = self
                .open(&name)
                .await
                .map_err(|error| Self::halt(&name, &error))?;
            let (row, done, once) = (None, Vec::new(), HashMap::new());
            self.databases.push(Database {
                name,
                session,
                row,
                before: None,
                has_old_rows: false,
                runs: true,
                has_tables,
                done,
                once,
            });
        }
        Ok(())
    }

    pub(super) async fn open(&mut self, name: &str) -> Result<(Box<dyn Session>, bool), Error> {
        let engine = &*self.worker.engine;
        let server = &self.target.server;
        let mut session =
            connect_with_retry(engine, server, name, CONNECT_BUDGET, self.stop).await?;
        session
            .lock(self.mode(), self.worker.job.build.lock_wait, self.stop)
            .await?;
        let has_tables = schema::prepare(&mut *session, engine.platform(), self.trial()).await?;
        Ok((session, has_tables))
    }

    /// Before anything runs: a statement that a server would not take has no place in a build that may not be taken back.
    fn too_long(&self) -> Option<Halt> {
        let prepared = &self.worker.prepared;
        let databases = self.databases.iter().filter(|database| database.runs);
        let mut reports = databases.flat_map(|database| {
            let limit = database.session.longest_statement();
            let name = database.name.as_str();
            let scripts = prepared
                .scripts
                .iter()
                .filter(move |script| self.database_of(script).as_deref() == Some(name));
            scripts.filter_map(move |script| {
                Some(ErrorReport {
                    database: Some(name.to_owned()),
                    ..prepared.too_long(script, limit?)?
                })
            })
        });
        reports.next().map(|report| Halt {
            state: State::RolledBack,
            is_final: true,
            error: Some(report),
            retry: Retry::No,
        })
    }

    /// Run-once scripts ask the audit table, before anything runs, whether they have run before.
    async fn read_run_once(&mut self) -> Result<(), Halt> {
        let prepared = Arc::clone(&self.worker.prepared);
        for index in 0..self.databases.len() {
            let name = self.databases[index].name.clone();
            let ids: Vec<Uuid> = prepared
                .scripts
                .iter()
                .filter(|script| {
                    script.run_once && self.database_of(script).as_deref() == Some(name.as_str())
                })
                .map(|script| script.id)
                .collect();
            if ids.is_empty() {
                continue;
            }
            let found = match elsewhere::database(self.worker, &name) {
                None if !self.databases[index].has_tables => Ok(HashMap::new()),
                None => audit::already_run(&mut *self.databases[index].session, &ids, None).await,
                Some(other) => elsewhere::already_run(self, other, index, &ids).await,
            };
            self.databases[index].once = found.map_err(|error| Self::halt(&name, &error))?;
        }
        Ok(())
    }

    /// The real database of a script. Every script has one: that is checked before a run begins.
    pub(super) fn database_of(&self, script: &PreparedScript) -> Option<String> {
        if script.in_first_database {
            return self
                .target
                .databases()
                .first()
                .map(|name| (*name).to_owned());
        }
        self.target
            .database_for(&script.database)
            .ok()
            .map(str::to_owned)
    }

    /// Without a transaction, a row says that this run has touched the database before it does.
    async fn mark_started(&mut self) -> Result<(), Halt> {
        if self.mode() == Mode::Transactional {
            return Ok(());
        }
        for index in 0..self.databases.len() {
            if self.databases[index].runs {
                let written = if self.hold.is_fenced() {
                    Err(Error::Stopped)
                } else {
                    self.write_row(index, ledger::Progress::Started, None).await
                };
                let Err(error) = written else {
                    continue;
                };
                let mut halt = Self::halt(&self.databases[index].name, &error);
                if self
                    .databases
                    .iter()
                    .take(index)
                    .any(|database| database.runs)
                {
                    // The rows of the others say that the run has begun there.
                    halt.state = State::Failed;
                }
                return Err(halt);
            }
        }
        Ok(())
    }

    pub(super) async fn write_row(
        &mut self,
        index: usize,
        state: ledger::Progress,
        detail: Option<String>,
    ) -> Result<(), Error> {
        let row = self.next_row(index, state, detail);
        let database = &mut self.databases[index];
        ledger::write(&mut *database.session, &row, database.row.is_some()).await?;
        database.row = Some(row);
        Ok(())
    }

    /// The row of a database as this attempt writes it.
    pub(super) fn next_row(
        &self,
        index: usize,
        state: ledger::Progress,
        detail: Option<String>,
    ) -> ledger::Row {
        let database = &self.databases[index];
        let elsewhere = elsewhere::database(self.worker, &database.name).is_some();
        let begins = state == ledger::Progress::Started;
        let attempt = match &database.row {
            Some(row) if begins || row.state != ledger::Progress::Started => row.attempt + 1,
            Some(row) => row.attempt,
            None => 1,
        };
        ledger::Row {
            run_id: self.worker.job.run_id,
            // The row is found by the key that wrote it: one database may be reached by two.
            key: database
                .row
                .as_ref()
                .map_or_else(|| self.key.clone(), |row| row.key.clone()),
            database: database.session.database_name(&database.name),
            attempt,
            package_sha256: self.worker.job.package.sha256.clone(),
            worker: self.worker.name.clone(),
            state,
            started: self.started,
            finished: (!begins).then(Timestamp::now),
            audit_pending: elsewhere
                && state == ledger::Progress::Committed
                && !database.done.is_empty(),
            detail,
        }
    }

    pub(super) fn outcome(&mut self, state: State) -> Outcome {
        Outcome {
            state: Some(state),
            is_final: true,
            warnings: std::mem::take(&mut self.warnings),
            ..Outcome::default()
        }
    }

    /// Names of databases with and without a committed row.
    pub(super) fn split(&self) -> (Vec<String>, Vec<String>) {
        self.split_by(|database| database.row.as_ref().map(|row| row.state))
    }

    /// The same as it was before this attempt.
    pub(super) fn split_before(&self) -> (Vec<String>, Vec<String>) {
        self.split_by(|database| database.before)
    }

    fn split_by(
        &self,
        progress: impl Fn(&Database) -> Option<ledger::Progress>,
    ) -> (Vec<String>, Vec<String>) {
        let (committed, missing): (Vec<&Database>, Vec<&Database>) = self
            .databases
            .iter()
            .partition(|database| progress(database) == Some(ledger::Progress::Committed));
        let names = |list: Vec<&Database>| {
            list.into_iter()
                .map(|database| database.name.clone())
                .collect()
        };
        (names(committed), names(missing))
    }

    /// The report of an error in a batch.
    pub(super) fn batch_report(
        &self,
        script: &PreparedScript,
        batch: &PreparedBatch,
        database: &str,
        error: &Error,
    ) -> ErrorReport {
        let offset = match error {
            Error::Sql(error) => error.offset,
            _ => None,
        };
        let place = self.worker.prepared.report(script, batch, offset);
        ErrorReport {
            script: place.script,
            line: place.line,
            column: place.column,
            statement: place.statement,
            ..report(database, error)
        }
    }
}

/// The audit rows of scripts that ran.
pub(super) fn audit_rows<'a>(worker: &'a Worker, done: &[Done]) -> Vec<audit::Row<'a>> {
    let find = |done: &Done| {
        let script = worker
            .prepared
            .scripts
            .iter()
            .find(|script| script.id == done.id)?;
        Some(audit::Row {
            file: &script.file,
            id: script.id,
            hash: &script.hash,
            text: script.audit_text(),
            tag: &script.tag,
            sequence: done.sequence,
            started: done.started,
            finished: done.finished,
        })
    };
    done.iter().filter_map(find).collect()
}

/// An error of a database, without a script.
pub(super) fn report(database: &str, error: &Error) -> ErrorReport {
    let severity = match error {
        Error::Sql(error) => error.severity.clone(),
        _ => None,
    };
    ErrorReport {
        database: Some(database.to_owned()),
        code: error.code().map(str::to_owned),
        severity,
        message: error.to_string(),
        ..ErrorReport::default()
    }
}
