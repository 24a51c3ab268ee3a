//! The end of an attempt: what is recorded, committed, rolled back, and left as a trace.

use tokio_util::sync::CancellationToken;

use super::{
    attempt::{AFTERWARDS, Attempt, Halt, Outcome, Retry, audit_rows, report},
    elsewhere,
    resolve::{self, Fate},
};
use crate::{
    engine::{Error, Mode, Statement, audit, ledger},
    protocol::State,
};

impl Attempt<'_> {
    /// Everything is written; now it becomes true in one database after the other.
    pub(super) async fn finish_transaction(&mut self) -> Result<Outcome, Halt> {
        for index in 0..self.databases.len() {
            if self.databases[index].runs {
                self.record(index)
                    .await
                    .map_err(|error| Self::halt(&self.databases[index].name, &error))?;
            }
        }
        if self.stop.is_cancelled() {
            return Err(Self::stopped());
        }
        if self.trial() {
            let kept = self.roll_back_all().await;
            return match kept.first() {
                None => Ok(self.outcome(State::TrialRolledBack)),
                Some(name) => Err(Halt {
                    state: State::Failed,
                    is_final: true,
                    error: Some(report(name, &Error::TransactionEnded)),
                    retry: Retry::No,
                }),
            };
        }
        let hold = self.hold;
        hold.start_is_told().await;
        let Some(_permit) = hold.permit_commit() else {
            return Err(Self::stopped());
        };
        self.commit_all().await?;
        self.write_elsewhere().await;
        Ok(self.outcome(State::Committed))
    }

    /// The end of an attempt that may not commit.
    fn stopped() -> Halt {
        Halt {
            state: State::RolledBack,
            is_final: false,
            error: None,
            retry: Retry::No,
        }
    }

    /// Audit rows and the ledger row of one database.
    async fn record(&mut self, index: usize) -> Result<(), Error> {
        let (mut detail, mut statements) = (None, Vec::new());
        if !self.databases[index].has_tables {
            return self.databases[index].session.settle().await;
        }
        if elsewhere::database(self.worker, &self.databases[index].name).is_some() {
            detail = elsewhere::detail(&self.databases[index].done);
        } else if self.mode() == Mode::Transactional {
            statements.extend(self.write_audit_but_last(index).await?);
        }
        let row = self.next_row(index, ledger::Progress::Committed, detail);
        let database = &mut self.databases[index];
        let (session, run_id) = (&mut database.session, self.worker.job.run_id);
        if database.has_old_rows {
            let keep = self.worker.ledger_keep();
            statements.extend(ledger::prune_statement(&**session, run_id, keep));
        }
        let replaces = database.row.is_some();
        statements.push(ledger::write_statement(&**session, &row, replaces));
        let changed = session.record(&statements).await?;
        ledger::check_written(&row, changed.last().copied().unwrap_or_default())?;
        database.row = Some(row);
        Ok(())
    }

    /// The audit rows of one database, but for the last statement, which goes with others.
    async fn write_audit_but_last(&mut self, index: usize) -> Result<Option<Statement>, Error> {
        let database = &mut self.databases[index];
        let rows = audit_rows(self.worker, &database.done);
        let session = &mut *database.session;
        audit::insert_but_last(session, &self.worker.audit, &database.name, &rows).await
    }

    /// The audit rows of one database, those of its first `from` scripts left out.
    pub(super) async fn write_audit(&mut self, index: usize, from: usize) -> Result<(), Error> {
        let database = &mut self.databases[index];
        let done = database.done.get(from..).unwrap_or_default();
        let rows = audit_rows(self.worker, done);
        let session = &mut *database.session;
        audit::insert(session, &self.worker.audit, &database.name, &rows).await
    }

    async fn commit_all(&mut self) -> Result<(), Halt> {
        log::debug!("{}: commits", self.target);
        let mut committed = 0;
        for index in 0..self.databases.len() {
            let name = self.databases[index].name.clone();
            let Err(error) = self.databases[index].session.commit().await else {
                committed += usize::from(self.databases[index].runs);
                continue;
            };
            self.log.line(&format!("commit in {name}: {error}"));
            let fate = if error.is_answer() {
                Fate::NotCommitted
            } else {
                resolve::fate(self.worker, self.target, &name, self.stop).await
            };
            match fate {
                Fate::Committed => committed += usize::from(self.databases[index].runs),
                Fate::NotCommitted
                    if committed == 0 && self.databases.iter().all(|database| database.runs) =>
                {
                    return Err(Self::halt(&name, &error));
                }
                Fate::NotCommitted => {
                    let halt = self.partly(index, &error);
                    self.write_elsewhere().await;
                    return Err(halt);
                }
                Fate::Unreachable => {
                    let error = Some(report(&name, &error));
                    return Err(Halt {
                        state: State::Unknown,
                        is_final: false,
                        error,
                        retry: Retry::No,
                    });
                }
            }
        }
        Ok(())
    }

    /// The databases before `index` are committed, and so are those that an earlier attempt committed.
    fn partly(&mut self, index: usize, error: &Error) -> Halt {
        for (place, database) in self.databases.iter_mut().enumerate() {
            if place >= index && database.runs {
                database.row = None;
                database.done.clear();
            }
        }
        let error = Some(report(&self.databases[index].name, error));
        Halt {
            state: State::PartlyCommitted,
            is_final: true,
            error,
            retry: Retry::No,
        }
    }

    pub(super) async fn finish_autocommit(&mut self) -> Result<Outcome, Halt> {
        // Everything has run: nobody shall drop the build while that is written down.
        let hold = self.hold;
        let _permit = hold.permit_record();
        for index in 0..self.databases.len() {
            if !self.databases[index].runs {
                continue;
            }
            let result = async {
                self.databases[index].session.commit().await?;
                self.record(index).await
            };
            if let Err(error) = result.await {
                return Err(Halt {
                    state: State::Failed,
                    is_final: true,
                    error: Some(report(&self.databases[index].name, &error)),
                    retry: Retry::No,
                });
            }
        }
        self.write_elsewhere().await;
        Ok(self.outcome(State::Committed))
    }

    /// Audit rows for another database follow the commit, or the end without a transaction; a failure is a warning, and
    /// the ledger remembers what is committed.
    async fn write_elsewhere(&mut self) {
        for index in 0..self.databases.len() {
            if self.databases[index].done.is_empty() {
                continue;
            }
            if let Err(error) = elsewhere::write(self, index).await {
                let database = &self.databases[index];
                let pending = database.row.as_ref().is_some_and(|row| row.audit_pending);
                let later = if pending {
                    "; --resume writes them"
                } else {
                    ""
                };
                self.warnings.push(format!(
                    "the audit rows of {} are not written: {error}{later}",
                    database.name
                ));
            }
        }
    }

    /// Rolls back what is open; the databases in which a script had committed the transaction unnoticed. Whoever cannot be
    /// reached rolls back by itself: no COMMIT was sent.
    pub(super) async fn roll_back_all(&mut self) -> Vec<String> {
        let mut committed = Vec::new();
        for database in &mut self.databases {
            let Err(error) = database.session.rollback().await else {
                continue;
            };
            self.log
                .line(&format!("rollback in {}: {error}", database.name));
            if matches!(error, Error::TransactionEnded | Error::Kept(_)) {
                committed.push(database.name.clone());
            }
        }
        committed
    }

    /// After an error: rolls back, and leaves a row where a part may have been applied.
    pub(super) async fn abandon(&mut self, halt: &mut Halt) {
        if halt.state == State::Unknown {
            return;
        }
        let mut applied = self.roll_back_all().await;
        if !applied.is_empty() {
            (halt.state, halt.is_final, halt.retry) = (State::Failed, true, Retry::No);
        }
        if halt.state != State::Failed || self.trial() {
            return;
        }
        let why = halt
            .error
            .as_ref()
            .map(|error| error.message.chars().take(500).collect::<String>());
        applied.extend(halt.error.as_ref().and_then(|error| error.database.clone()));
        for index in 0..self.databases.len() {
            let touched = match self.mode() {
                Mode::Autocommit => {
                    let row = self.databases[index].row.as_ref();
                    self.databases[index].runs
                        && row.is_none_or(|row| row.state != ledger::Progress::Committed)
                }
                Mode::Transactional => applied.contains(&self.databases[index].name),
            };
            if touched && let Err(error) = self.write_failed(index, why.clone()).await {
                self.warnings.push(format!(
                    "the ledger of {} does not say that the build failed: {error}",
                    self.databases[index].name
                ));
            }
        }
        if self.mode() == Mode::Autocommit {
            self.write_elsewhere().await;
        }
    }

    async fn write_failed(&mut self, index: usize, why: Option<String>) -> Result<(), Error> {
        if self.mode() == Mode::Autocommit {
            self.databases[index].session.settle().await?;
            return self.write_row(index, ledger::Progress::Failed, why).await;
        }
        // The lock went with the transaction; the row is a transaction of its own.
        let never = CancellationToken::new();
        let name = self.databases[index].name.clone();
        let session = &mut self.databases[index].session;
        match session.lock(Mode::Transactional, AFTERWARDS, &never).await {
            Err(Error::Lost(_) | Error::Kept(_)) => {
                let (session, _) = self.open(&name).await?;
                self.databases[index].session = session;
            }
            locked => locked?,
        }
        let session = &mut *self.databases[index].session;
        session.begin().await?;
        let known_as = session.database_name(&name);
        let row = ledger::read(session, self.worker.job.run_id, &known_as).await?;
        self.databases[index].row = row;
        self.write_row(index, ledger::Progress::Failed, why).await?;
        self.databases[index].session.commit().await
    }
}
