//! What a target's databases have seen of this run, and what follows from it.

use super::{
    attempt::{Attempt, Halt, Outcome},
    elsewhere,
};
use crate::{
    engine::ledger::{self, Progress},
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
            let row = ledger::read(
                &mut *database.session,
                self.worker.job.run_id,
                self.key,
                &database.name,
            )
            .await;
            database.row = row.map_err(|error| Self::halt(&database.name, &error))?;
            database.runs = database
                .row
                .as_ref()
                .is_none_or(|row| row.state != Progress::Committed);
        }
        self.ledger_read = true;
        let rows: Vec<Option<Progress>> = self
            .databases
            .iter()
            .map(|database| database.row.as_ref().map(|row| row.state))
            .collect();
        let state = match decision(&rows, &self.worker.job.build) {
            Decision::Run => return Ok(None),
            Decision::Report(state) => state,
        };
        if state == State::AlreadyCommitted {
            self.write_what_is_pending().await;
        }
        self.roll_back_all().await;
        let (committed, missing) = self.split();
        let mut outcome = self.outcome(state);
        if state != State::AlreadyCommitted {
            (outcome.committed, outcome.missing) = (committed, missing);
            outcome.errors.push(self.explain(state));
        }
        Ok(Some(outcome))
    }

    /// An earlier attempt committed, but its audit rows for another database are missing.
    async fn write_what_is_pending(&mut self) {
        for index in 0..self.databases.len() {
            let database = &mut self.databases[index];
            let Some(row) = database.row.as_ref().filter(|row| row.audit_pending) else {
                continue;
            };
            database.done = row
                .detail
                .as_deref()
                .map(elsewhere::read_detail)
                .unwrap_or_default();
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
