//! What reading has in common on every platform: when it ends before the answer does, and handing the answer on.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Answer, Error, TransactionFate};
use crate::sql::{self, Dialect};

/// How long taking back the transaction of a query may take before the connection is dropped, which takes it back, too.
pub(super) const ROLLBACK: Duration = Duration::from_secs(5);

/// Why a query ends before its answer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Early {
    Timeout,
    Stopped,
    /// Nobody reads the answer any more.
    Unread,
}

/// The receiving side of a query, and how long it goes on.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    to: mpsc::Sender<Answer>,
    timeout: Duration,
    begun: Instant,
    stop: CancellationToken,
    over: CancellationToken,
}

impl Reader {
    pub(super) fn new(
        timeout: Duration,
        stop: &CancellationToken,
        to: &mpsc::Sender<Answer>,
    ) -> Self {
        Self {
            to: to.clone(),
            timeout,
            begun: Instant::now(),
            stop: stop.clone(),
            over: CancellationToken::new(),
        }
    }

    /// Waits for the first reason to end, the time since [`new`](Self::new) being one; from then on [`send`](Self::send) does not wait any more.
    pub(super) async fn early(&self) -> Early {
        let left = self.timeout.saturating_sub(self.begun.elapsed());
        let reason = tokio::select! {
            biased;
            () = self.stop.cancelled() => Early::Stopped,
            () = self.to.closed() => Early::Unread,
            () = tokio::time::sleep(left) => Early::Timeout,
        };
        self.over.cancel();
        reason
    }

    /// Whether a reason to end has come, after which no further statement starts: what cancels the one before would miss it.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Hands a piece on; false when it is not wanted any more.
    pub(super) async fn send(&self, answer: Answer) -> bool {
        tokio::select! {
            biased;
            () = self.over.cancelled() => false,
            sent = self.to.send(answer) => sent.is_ok(),
        }
    }

    /// What a query has come to that ended for `reason` after `rows` rows.
    pub(super) fn ended(&self, reason: Early, rows: u64) -> Result<u64, Error> {
        match reason {
            Early::Timeout => Err(Error::Timeout {
                timeout: self.timeout,
                fate: TransactionFate::RolledBack,
            }),
            Early::Stopped => Err(Error::Stopped),
            Early::Unread => Ok(rows),
        }
    }
}

/// The query in `text`, and where it starts.
pub(super) fn query_of(text: &str, dialect: Dialect) -> Result<(&str, usize), Error> {
    let range = sql::single_query(text, dialect).map_err(Error::NotAQuery)?;
    let start = range.start;
    Ok((text.get(range).unwrap_or_default(), start))
}

/// Moves the place of an error from the query to the text that holds it.
pub(super) fn shifted(mut error: Error, start: usize) -> Error {
    if let Error::Sql(answer) = &mut error {
        answer.offset = answer.offset.map(|offset| offset + start);
        answer.fate = TransactionFate::RolledBack;
    }
    error
}

/// The error of an answer that has another table behind its first one.
pub(super) fn second_table() -> Error {
    Error::NotAQuery("its answer has more than one table".into())
}
