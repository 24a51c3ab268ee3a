//! Asking one database: login, query, answer on disk, and another try where that may help.

use std::{io, path::Path, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Question,
    spill::{Spill, Spilled},
};
use crate::{
    engine::{Backoff, Engine, Error, connect_with_retry},
    protocol::ErrorReport,
};

/// How long logins to one database are repeated.
const LOGIN_BUDGET: Duration = Duration::from_secs(30);

/// How often a query is repeated after an error that passes, such as a lost connection.
const REPEATS: u32 = 3;

/// Rows on their way to the disk at most.
const IN_FLIGHT: usize = 16;

/// What all databases are asked, and how.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) question: Question,
    /// For the whole answer of one database.
    pub(crate) timeout: Duration,
    /// How often a database is asked again after a time-out.
    pub(crate) timeout_retries: u32,
}

/// Why a database gave no answer.
#[derive(Debug)]
pub(super) enum Failure {
    Database(Error),
    /// The answer could not be kept.
    Disk(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl Failure {
    /// Whether it was not the database but the user who ended it.
    pub(super) fn is_stop(&self) -> bool {
        matches!(self, Self::Database(Error::Stopped))
    }

    pub(super) fn report(&self, question: &Question, database: &str) -> ErrorReport {
        match self {
            Self::Database(error) => question.report(database, error),
            Self::Disk(error) => ErrorReport {
                database: Some(database.to_owned()),
                message: format!("cannot keep the answer: {error}"),
                ..ErrorReport::default()
            },
        }
    }
}

impl Asking {
    /// Asks one database; the answer is in the file `path` then.
    pub(super) async fn ask(
        &self,
        engine: &dyn Engine,
        (server, database): (&str, &str),
        path: &Path,
        stop: &CancellationToken,
    ) -> Result<Spilled, Failure> {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(8));
        let (mut timeouts, mut repeats) = (0, 0);
        loop {
            let error = match self.once(engine, (server, database), path, stop).await {
                Err(Failure::Database(error)) => error,
                result => return result,
            };
            match &error {
                Error::Timeout { .. } if timeouts < self.timeout_retries => timeouts += 1,
                // Logins have been repeated already.
                Error::Connect { .. } => return Err(error.into()),
                passing if passing.is_transient() && repeats < REPEATS => repeats += 1,
                _ => return Err(error.into()),
            }
            log::debug!("{server}:{database}: asking again: {error}");
            if !backoff.wait(stop).await {
                return Err(Error::Stopped.into());
            }
        }
    }

    async fn once(
        &self,
        engine: &dyn Engine,
        (server, database): (&str, &str),
        path: &Path,
        stop: &CancellationToken,
    ) -> Result<Spilled, Failure> {
        let mut session = connect_with_retry(engine, server, database, LOGIN_BUDGET, stop).await?;
        let (to, mut from) = mpsc::channel(IN_FLIGHT);
        let read = async move {
            let text = &self.question.text;
            session.read(text, self.timeout, stop, &to).await
        };
        // The disk takes rows faster than servers send them, as a rule; a thread for each answer would cost more than it saves.
        let keep = async move {
            let mut spill = Spill::create(path)?;
            while let Some(answer) = from.recv().await {
                spill.write(&answer)?;
            }
            spill.finish()
        };
        let (read, kept) = tokio::join!(read, keep);
        let kept = kept.map_err(Failure::Disk)?;
        read?;
        Ok(kept)
    }
}
