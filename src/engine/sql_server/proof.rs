//! Whether the transaction is still the build's, and what became of it when it is not.
//!
//! After each batch the server is asked for three numbers. The question is a batch of its own, because some statements
//! (`CREATE PROCEDURE`, `CREATE VIEW`) must be alone in theirs.
//!
//! A `BEGIN TRANSACTION` of a script nests: it only raises `@@TRANCOUNT`, and its `COMMIT` lowers it again. A `ROLLBACK`
//! ends everything. A transaction in which nothing can be done any more but to roll back has `XACT_STATE()` -1; the server
//! itself rolls it back at the end of the batch and says so with error 3998.

use super::{super::TransactionFate, tap::Course};

/// Asks for the state; each number has the type that is read.
///
/// `CURRENT_TRANSACTION_ID` needs SQL Server 2016 or Azure SQL, and no permission.
pub(super) const QUESTION: &str = "SELECT CAST(@@TRANCOUNT AS int), CAST(XACT_STATE() AS int), CAST(CURRENT_TRANSACTION_ID() AS bigint)";

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// `@@TRANCOUNT`.
    pub(super) depth: i64,
    /// `XACT_STATE()`: 1 is alive, -1 can only be rolled back.
    pub(super) health: i64,
    /// The id of the transaction; without one, of the question itself.
    pub(super) id: i64,
}

impl State {
    /// Whether this is the transaction `id`, and it can be gone on with.
    pub(super) fn is_alive(self, id: i64) -> bool {
        self.depth >= 1 && self.health == 1 && self.id == id
    }

    /// Whether this is the transaction `id`, but all that can be done with it is to roll it back.
    pub(super) fn is_doomed(self, id: i64) -> bool {
        self.depth >= 1 && self.health == -1 && self.id == id
    }
}

/// Dead-lock victim: the server rolls the whole transaction back and ends the batch.
const DEAD_LOCK: u32 = 1205;

/// The server found a doomed transaction at the end of the batch and rolled it back.
const DOOMED_AT_END: u32 = 3998;

/// What became of the build's transaction `id` when a batch failed with the errors `numbers`.
///
/// "Rolled back" is only said where nothing of the build can have stayed. When a script itself rolls back, what it does
/// after that is committed statement by statement, so the server must have ended the batch together with the
/// transaction: the error came first, then the rollback, then no statement succeeded. Anything else counts as ended by the
/// script.
///
/// That a server tells of the error first and of the rollback then is known from captured dead-locks (tiberius, pull
/// request 245).
pub(super) fn fate(state: State, id: i64, course: Course, numbers: &[u32]) -> TransactionFate {
    if state.is_alive(id) {
        return TransactionFate::Alive;
    }
    if course.committed || course.began {
        return TransactionFate::EndedByScript;
    }
    if state.is_doomed(id) {
        return TransactionFate::RolledBack;
    }
    if state.depth > 0 {
        // Another transaction is open, so the script ended the build's.
        return TransactionFate::EndedByScript;
    }
    let by_server =
        course.rolled_back && course.error_before && !course.error_after && !course.success_after;
    // Of these two errors the meaning is certain, whatever the order in which the server tells of them. A script that catches
    // a dead-lock rolls back first and statements of it succeed before it raises the error anew.
    let certain = numbers.contains(&DOOMED_AT_END)
        || (numbers.first() == Some(&DEAD_LOCK) && !course.success_after);
    if by_server || certain {
        TransactionFate::RolledBack
    } else {
        TransactionFate::EndedByScript
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: i64 = 7;

    fn state(depth: i64, health: i64, id: i64) -> State {
        State { depth, health, id }
    }

    fn course(words: &[&str]) -> Course {
        let has = |word| words.contains(&word);
        Course {
            began: has("begin"),
            committed: has("commit"),
            rolled_back: has("rollback"),
            error_before: has("error before"),
            error_after: has("error after"),
            success_after: has("success"),
        }
    }

    #[test]
    fn only_the_same_living_transaction_is_ours() {
        assert!(state(1, 1, OURS).is_alive(OURS));
        assert!(
            state(3, 1, OURS).is_alive(OURS),
            "a nested BEGIN TRANSACTION only counts"
        );
        for other in [
            state(0, 0, OURS),
            state(1, 1, 8),
            state(1, -1, OURS),
            state(0, 0, 8),
        ] {
            assert!(!other.is_alive(OURS), "{other:?}");
        }
    }

    #[test]
    fn what_became_of_it_is_told_truthfully() {
        use TransactionFate::{Alive, EndedByScript, RolledBack};
        let gone = state(0, 0, 8);
        let by_server = course(&["error before", "rollback"]);
        for (state, course, numbers, expected) in [
            // A duplicate key, without XACT_ABORT.
            (
                state(1, 1, OURS),
                course(&["error before"]),
                vec![2627],
                Alive,
            ),
            // The same with it; a conversion error, which always ends the batch.
            (gone, by_server, vec![2627], RolledBack),
            (gone, by_server, vec![245], RolledBack),
            (gone, by_server, vec![1205], RolledBack),
            (gone, course(&[]), vec![1205], RolledBack),
            (
                gone,
                course(&["rollback", "error after"]),
                vec![1205],
                RolledBack,
            ),
            (
                gone,
                course(&["rollback", "error after"]),
                vec![3998],
                RolledBack,
            ),
            (
                state(1, -1, OURS),
                course(&["error before"]),
                vec![3930],
                RolledBack,
            ),
            // CATCH with ROLLBACK, perhaps more, then THROW.
            (
                gone,
                course(&["rollback", "success", "error after"]),
                vec![1205],
                EndedByScript,
            ),
            (
                gone,
                course(&["rollback", "error after"]),
                vec![50000],
                EndedByScript,
            ),
            // An error, then the script's own ROLLBACK and what follows it.
            (
                gone,
                course(&["error before", "rollback", "success"]),
                vec![2627],
                EndedByScript,
            ),
            (
                gone,
                course(&["commit", "error before"]),
                vec![1205],
                EndedByScript,
            ),
            (gone, course(&["error before"]), vec![8134], EndedByScript),
            // Committed, and another one begun.
            (
                state(1, 1, 9),
                course(&["commit", "begin"]),
                vec![2627],
                EndedByScript,
            ),
            (state(1, 1, 9), course(&[]), vec![2627], EndedByScript),
            (state(1, -1, 9), course(&[]), vec![2627], EndedByScript),
        ] {
            assert_eq!(
                fate(state, OURS, course, &numbers),
                expected,
                "{state:?} {course:?} {numbers:?}"
            );
        }
    }
}
