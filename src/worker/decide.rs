//! What a target's databases have seen of this run, and what follows from it.

use std::time::Duration;

use uuid::Uuid;

use super::{
    attempt::{Attempt, Database, Halt, Outcome, Retry},
    elsewhere,
};
use crate::{
    engine::{
        Error,
        ledger::{self, Progress},
        schema::Table,
    },
    protocol::{BuildOptions, ErrorReport, State},
};

/// What to do with a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// Run the scripts, but not in databases that are committed.
    Run,
    /// Run nothing and report this.
    Report(State),
}

/// Decides by the ledger rows of all databases: `None` where this run has not been yet.
fn decision(rows: &[Option<Progress>], options: &BuildOptions) -> Decision {
    let has = |wanted| rows.contains(&Some(wanted));
    if has(Progress::Failed) && !options.redo_failed {
        return Decision::Report(State::Failed);
    }
    if has(Progress::Started) && !options.redo_interrupted {
        return Decision::Report(State::Interrupted);
    }
    if !has(Progress::Committed) {
        return Decision::Run;
    }
    if rows.iter().all(|row| *row == Some(Progress::Committed)) {
        return Decision::Report(State::AlreadyCommitted);
    }
    if options.finish_partial {
        return Decision::Run;
    }
    Decision::Report(State::PartlyCommitted)
}

impl Attempt<'_> {
    /// Reads the ledger of every database, under the locks; the outcome, when nothing is to be run.
    pub(super) async fn decide(&mut self) -> Result<Option<Outcome>, Halt> {
        for database in &mut self.databases {
            let keep = self.worker.ledger_keep();
            let row = read_row(database, self.worker.job.run_id, keep)
                .await
                .map_err(|error| Self::halt(&database.name, &error))?;
            if let Some(row) = row
                .as_ref()
                .filter(|row| row.package_sha256 != self.worker.job.package.sha256)
            {
                return Err(Self::other_package(&database.name, row));
            }
            database.runs = row
                .as_ref()
                .is_none_or(|row| row.state != Progress::Committed);
            database.before = row.as_ref().map(|row| row.state);
            database.row = row;
        }
        self.ledger_read = true;
        log::debug!(
            "{}: locked; the ledgers of its databases are read",
            self.target
        );
        let rows: Vec<Option<Progress>> = self
            .databases
            .iter()
            .map(|database| database.row.as_ref().map(|row| row.state))
            .collect();
        let state = match decision(&rows, &self.word_of_user()) {
            Decision::Run => return Ok(None),
            Decision::Report(state) => state,
        };
        self.roll_back_all().await;
        if state == State::AlreadyCommitted && !self.trial() {
            self.write_what_is_pending().await;
        }
        let (committed, missing) = self.split();
        let mut outcome = self.outcome(state);
        if state != State::AlreadyCommitted {
            (outcome.committed, outcome.missing) = (committed, missing);
            outcome.errors.push(self.explain(state));
        }
        Ok(Some(outcome))
    }

    /// The options, where the user's word to do something again holds: for what was there when it was given.
    fn word_of_user(&self) -> BuildOptions {
        let mut options = self.worker.job.build.clone();
        let later = |row: &&ledger::Row| {
            row.state != Progress::Committed && row.started >= self.worker.job.created
        };
        if self
            .databases
            .iter()
            .filter_map(|database| database.row.as_ref())
            .any(|row| later(&row))
        {
            options.redo_failed = false;
            options.redo_interrupted = false;
        }
        options
    }

    fn other_package(database: &str, row: &ledger::Row) -> Halt {
        let message = format!(
            "this run has worked on {database} with another package (SHA-256 {}); build this one in a run of its own",
            row.package_sha256
        );
        let error = ErrorReport {
            database: Some(database.to_owned()),
            message,
            ..ErrorReport::default()
        };
        Halt {
            state: State::RolledBack,
            is_final: true,
            error: Some(error),
            retry: Retry::No,
        }
    }

    /// An earlier attempt committed, but its audit rows for another database are missing.
    async fn write_what_is_pending(&mut self) {
        for index in 0..self.databases.len() {
            if !self.databases[index]
                .row
                .as_ref()
                .is_some_and(|row| row.audit_pending)
            {
                continue;
            }
            if let Err(error) = elsewhere::write(self, index).await {
                let name = &self.databases[index].name;
                self.warnings.push(format!(
                    "the audit rows of {name} are still not written: {error}"
                ));
            }
        }
    }

    fn explain(&self, state: State) -> ErrorReport {
        let earlier = self
            .databases
            .iter()
            .filter_map(|database| database.row.as_ref())
            .find(|row| row.state != Progress::Committed)
            .and_then(|row| row.detail.clone())
            .map_or(String::new(), |detail| format!(": {detail}"));
        let message = match state {
            State::Failed => format!(
                "an earlier attempt of this run failed and may have left a part applied{earlier}; \
                 look at the database, then --resume --redo failed runs it again"
            ),
            State::Interrupted => "an earlier attempt of this run ended without a word in the middle of a build that is \
                 not transactional; look at the database, then --resume --redo interrupted runs it again"
                .to_owned(),
            _ => "an earlier attempt of this run committed only some of the databases; \
                 --resume --finish-partial builds the others"
                .to_owned(),
        };
        ErrorReport {
            message,
            ..ErrorReport::default()
        }
    }
}

/// This run's row, if the database has one. Rows that are older than `keep` are noted.
async fn read_row(
    database: &mut Database,
    run_id: Uuid,
    keep: Duration,
) -> Result<Option<ledger::Row>, Error> {
    let session = &mut *database.session;
    if !database.has_tables && session.columns(Table::Ledger).await?.is_empty() {
        return Ok(None);
    }
    let known_as = session.database_name(&database.name);
    let (row, has_old) = ledger::read_with_age(session, run_id, &known_as, keep).await?;
    database.has_old_rows = has_old;
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::JobSpec;

    #[test]
    fn rows_decide() {
        let plain = JobSpec::sample().build;
        let (started, committed, failed) = (
            Some(Progress::Started),
            Some(Progress::Committed),
            Some(Progress::Failed),
        );
        let redo = BuildOptions {
            redo_failed: true,
            redo_interrupted: true,
            ..plain.clone()
        };
        let finish = BuildOptions {
            finish_partial: true,
            ..plain.clone()
        };
        for (rows, options, wanted) in [
            (vec![None, None], &plain, Decision::Run),
            (
                vec![committed, committed],
                &plain,
                Decision::Report(State::AlreadyCommitted),
            ),
            (
                vec![committed, None],
                &plain,
                Decision::Report(State::PartlyCommitted),
            ),
            (vec![committed, None], &finish, Decision::Run),
            (vec![started], &plain, Decision::Report(State::Interrupted)),
            (vec![started], &redo, Decision::Run),
            (vec![failed], &plain, Decision::Report(State::Failed)),
            (vec![failed], &redo, Decision::Run),
            (
                vec![committed, failed],
                &plain,
                Decision::Report(State::Failed),
            ),
            (
                vec![committed, failed],
                &redo,
                Decision::Report(State::PartlyCommitted),
            ),
            (
                vec![committed],
                &redo,
                Decision::Report(State::AlreadyCommitted),
            ),
            (vec![], &plain, Decision::Run),
        ] {
            assert_eq!(decision(&rows, options), wanted, "{rows:?}");
        }
    }
}
