//! One script against its database: batches, savepoints, and what an error means.

use jiff::Timestamp;

use super::{
    attempt::{self, Attempt, Done, Halt, Retry},
    elsewhere,
    prepare::{PreparedBatch, PreparedScript},
};
use crate::{
    engine::{Error, Mode, TransactionFate},
    protocol::{ErrorReport, EventKind, State},
};

/// How a script went on after an error.
enum After {
    /// The rest of the script is left out; the build goes on.
    LeaveScript,
    /// The next batch of the script.
    NextBatch,
}

impl Attempt<'_> {
    /// Runs a script, unless its database is done or has seen it.
    pub(super) async fn run_script(&mut self, script: &PreparedScript) -> Result<(), Halt> {
        let Some(index) = self.index_of(script) else {
            return Ok(());
        };
        if !self.databases[index].runs || self.has_run_before(script, index) {
            return Ok(());
        }
        self.worker.event(
            self.key,
            EventKind::Script {
                script: script.file.clone(),
            },
        );
        let started = Timestamp::now();
        let mut whole = true;
        let savepoint = savepoint_of(script);
        self.begin_script(index).await?;
        if self.undoes_script(script) {
            self.mark(index, &savepoint).await?;
        }
        for (number, batch) in script.batches.iter().enumerate() {
            if self.undoes_batch(script) {
                self.mark(index, &savepoint).await?;
            }
            let Err(error) = self.run_batch(script, batch, number, index).await else {
                if self.undoes_batch(script) {
                    self.release(index, &savepoint).await?;
                }
                continue;
            };
            whole = false;
            match self.after_error(script, batch, index, error).await? {
                After::LeaveScript => break,
                After::NextBatch => {}
            }
        }
        if whole && self.undoes_script(script) {
            self.release(index, &savepoint).await?;
        }
        if self.mode() == Mode::Autocommit {
            self.end_open(index).await?;
        }
        if whole {
            self.note_done(script, index, started);
            self.record_at_once(index).await?;
        }
        Ok(())
    }

    fn index_of(&self, script: &PreparedScript) -> Option<usize> {
        let name = self.database_of(script)?;
        self.databases
            .iter()
            .position(|database| database.name == name)
    }

    fn has_run_before(&mut self, script: &PreparedScript, index: usize) -> bool {
        if !script.run_once {
            return false;
        }
        let database = &self.databases[index];
        let Some(hash) = database.once.get(&script.id) else {
            return false;
        };
        self.log.line(&format!(
            "-- {} runs once and has run in {} before",
            script.file, database.name
        ));
        if hash.as_deref().is_some_and(|hash| hash != script.hash) {
            self.warnings.push(format!(
                "{} runs once and has run in {} before, but with another text",
                script.file, database.name
            ));
        }
        true
    }

    /// Whether an error undoes the script and lets the build go on.
    fn undoes_script(&self, script: &PreparedScript) -> bool {
        self.mode() == Mode::Transactional
            && script.roll_back_on_error
            && !script.causes_build_failure
    }

    /// Whether an error undoes the batch and lets the script go on.
    fn undoes_batch(&self, script: &PreparedScript) -> bool {
        self.mode() == Mode::Transactional
            && !script.roll_back_on_error
            && !script.causes_build_failure
    }

    async fn begin_script(&mut self, index: usize) -> Result<(), Halt> {
        let mode = self.mode();
        let database = &mut self.databases[index];
        let begun = database.session.begin_script().await;
        begun.map_err(|error| match mode {
            Mode::Transactional => Self::halt(&database.name, &error),
            // The scripts before it stand.
            Mode::Autocommit => failed(attempt::report(&database.name, &error)),
        })
    }

    async fn mark(&mut self, index: usize, savepoint: &str) -> Result<(), Halt> {
        let database = &mut self.databases[index];
        let marked = database.session.savepoint(savepoint).await;
        marked.map_err(|error| Self::halt(&database.name, &error))
    }

    async fn release(&mut self, index: usize, savepoint: &str) -> Result<(), Halt> {
        let database = &mut self.databases[index];
        let released = database.session.release(savepoint).await;
        released.map_err(|error| Self::halt(&database.name, &error))
    }

    /// Without a build's transaction, one that a script has left open ends with the script: what is recorded of it is true
    /// then, whatever the next one does.
    async fn end_open(&mut self, index: usize) -> Result<(), Halt> {
        let database = &mut self.databases[index];
        let ended = database.session.commit().await;
        ended.map_err(|error| failed(attempt::report(&database.name, &error)))
    }

    async fn run_batch(
        &mut self,
        script: &PreparedScript,
        batch: &PreparedBatch,
        number: usize,
        index: usize,
    ) -> Result<(), Error> {
        for _ in 0..batch.repeat {
            // A process that slept over its lock may not have heard yet that it is lost.
            if self.stop.is_cancelled() || self.hold.is_fenced() {
                return Err(Error::Stopped);
            }
            let database = &mut self.databases[index];
            self.log.batch(script, batch, number, &database.name);
            let started = std::time::Instant::now();
            let result = database
                .session
                .run(&batch.sql, script.timeout, self.stop)
                .await;
            self.log.result(started.elapsed(), &result);
            result?;
        }
        Ok(())
    }

    /// What an error means, by the settings of the script and by what the server did to the transaction.
    async fn after_error(
        &mut self,
        script: &PreparedScript,
        batch: &PreparedBatch,
        index: usize,
        error: Error,
    ) -> Result<After, Halt> {
        let report = self.batch_report(script, batch, &self.databases[index].name, &error);
        let stopped = matches!(error, Error::Stopped | Error::Lost(_));
        if self.mode() == Mode::Autocommit {
            if stopped || script.causes_build_failure {
                return Err(failed(report));
            }
            self.tolerate(&report);
            let database = &mut self.databases[index];
            if let Err(error) = database.session.rollback().await {
                return Err(failed(attempt::report(&database.name, &error)));
            }
            return Ok(if script.roll_back_on_error {
                After::LeaveScript
            } else {
                After::NextBatch
            });
        }
        if error.fate() == TransactionFate::EndedByScript {
            return Err(failed(report));
        }
        if stopped || script.causes_build_failure || error.fate() != TransactionFate::Alive {
            return Err(Halt::rolled_back(&error, report));
        }
        let database = &mut self.databases[index];
        if let Err(error) = database.session.roll_back_to(&savepoint_of(script)).await {
            return Err(Self::halt(&database.name, &error));
        }
        self.tolerate(&report);
        Ok(if script.roll_back_on_error {
            After::LeaveScript
        } else {
            After::NextBatch
        })
    }

    fn tolerate(&mut self, report: &ErrorReport) {
        self.warnings.push(format!(
            "{}:{}: {} (the script does not fail the build)",
            report.script.as_deref().unwrap_or_default(),
            report.line.unwrap_or_default(),
            report.message
        ));
    }

    fn note_done(&mut self, script: &PreparedScript, index: usize, started: Timestamp) {
        self.databases[index].done.push(Done {
            id: script.id,
            sequence: self.sequence,
            started,
            finished: Timestamp::now(),
        });
        self.sequence += 1;
    }

    /// Without a transaction a script is recorded when it has run, so that the audit table knows it however the build ends.
    async fn record_at_once(&mut self, index: usize) -> Result<(), Halt> {
        let database = &self.databases[index];
        if self.mode() == Mode::Transactional
            || elsewhere::database(self.worker, &database.name).is_some()
        {
            return Ok(());
        }
        let last = database.done.len().saturating_sub(1);
        let written = async {
            self.databases[index].session.settle().await?;
            self.write_audit(index, last).await
        };
        written
            .await
            .map_err(|error| failed(attempt::report(&self.databases[index].name, &error)))
    }
}

/// A part may have been applied, and nobody may try again without looking.
fn failed(report: ErrorReport) -> Halt {
    Halt {
        state: State::Failed,
        is_final: true,
        error: Some(report),
        retry: Retry::No,
    }
}

/// A savepoint of the script's own, within the 32 characters of SQL Server. Scripts use savepoints, too, and must not undo
/// each other's.
fn savepoint_of(script: &PreparedScript) -> String {
    let mut name = script.id.simple().to_string();
    name.replace_range(..1, "s");
    name
}
