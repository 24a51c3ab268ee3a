//! What is in the file as a whole: how much, the dead, and everything that is pending.

use super::{
    Counts, Dead, Target,
    job::Trouble,
    records::{Records, purpose, target},
};

impl Records<'_> {
    pub(super) fn has_pending(&self) -> Result<bool, Trouble> {
        let sql = "SELECT EXISTS (SELECT 1 FROM session WHERE pending > 0)";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    pub(super) fn has_locks_that_ended(&self) -> Result<bool, Trouble> {
        let sql = "SELECT EXISTS (SELECT 1 FROM message WHERE state = 1 AND locked_until <= ?)";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([self.now], |row| row.get(0))?)
    }

    pub(super) fn counts(&self) -> Result<Counts, Trouble> {
        let closed = self.is_closed()?;
        let sql = "SELECT (SELECT count(*) FROM message WHERE state = 0), \
                   (SELECT count(*) FROM message WHERE state = 1), \
                   (SELECT count(*) FROM message WHERE state = 1 AND locked_until <= ?), \
                   (SELECT count(*) FROM message WHERE state = 2)";
        let mut statement = self.connection.prepare_cached(sql)?;
        let counts = statement.query_row([self.now], |row| {
            let number = |column: usize| -> rusqlite::Result<usize> {
                let number: i64 = row.get(column)?;
                Ok(usize::try_from(number).unwrap_or(usize::MAX))
            };
            let ended = number(2)?;
            Ok(Counts {
                pending: number(0)?.saturating_add(ended),
                in_flight: number(1)?.saturating_sub(ended),
                dead: number(3)?,
                closed,
            })
        })?;
        Ok(counts)
    }

    pub(super) fn dead(&self) -> Result<Vec<Dead>, Trouble> {
        self.is_closed()?;
        let sql = "SELECT target, reconcile, deliveries, reason, description FROM message WHERE state = 2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| {
            Ok(Dead {
                target: target(row, 0)?,
                purpose: purpose(row, 1)?,
                count: row.get(2)?,
                reason: row.get(3)?,
                description: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn close(&self) -> Result<Vec<Target>, Trouble> {
        self.connection.execute("UPDATE queue SET closed = 1", [])?;
        let sql = "SELECT target FROM message WHERE state = 0 ORDER BY place";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| target(row, 0))?;
        let pending = rows.collect::<Result<_, _>>()?;
        self.connection
            .execute("DELETE FROM message WHERE state = 0", [])?;
        self.connection
            .execute("UPDATE session SET pending = 0 WHERE pending > 0", [])?;
        Ok(pending)
    }
}
