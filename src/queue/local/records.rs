//! What happens in the file: every function is a part of a transaction that the caller has begun.

use std::{collections::HashMap, time::Duration};

use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};

use super::{DeliveryId, Purpose, Target, job::Trouble};
use crate::{
    clock::Moment,
    protocol::{ConcurrencyType, Platform},
    queue::{MAX_DELIVERIES, WORN_OUT},
};

/// The file within a transaction.
#[derive(Debug)]
pub(super) struct Records<'a> {
    pub(super) connection: &'a Connection,
    /// What the concurrency limits.
    pub(super) kind: ConcurrencyType,
    /// How long a lock lasts.
    pub(super) lock: Duration,
    /// The clock, read after the file was locked.
    pub(super) now: i64,
}

/// A row of a message.
#[derive(Clone, Copy, Debug)]
struct Held {
    message: i64,
    session: i64,
    deliveries: u32,
}

impl<'a> Records<'a> {
    pub(super) fn new(connection: &'a Connection, kind: ConcurrencyType, lock: Duration) -> Self {
        Self {
            connection,
            kind,
            lock,
            now: milliseconds(Moment::now().since_zero()),
        }
    }

    /// Whether the targets of a session share a limit.
    pub(super) fn has_sessions(&self) -> bool {
        self.kind != ConcurrencyType::Count
    }

    /// When a lock ends that is given now: never before the moment that its holder reckons with, though the clock and the
    /// duration were rounded down.
    pub(super) fn locked_until(&self) -> i64 {
        self.now
            .saturating_add(milliseconds(self.lock))
            .saturating_add(2)
    }

    /// Whether the queue is closed; an error when it is removed.
    pub(super) fn is_closed(&self) -> Result<bool, Trouble> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT closed, removed FROM queue")?;
        let (closed, removed) = statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if removed {
            return Err(Trouble::Gone);
        }
        Ok(closed)
    }

    pub(super) fn send_all(
        &self,
        platform: Platform,
        targets: &[Target],
        purpose: Purpose,
    ) -> Result<(), Trouble> {
        if self.is_closed()? {
            return Err(Trouble::Closed);
        }
        let count = i64::try_from(targets.len()).unwrap_or(i64::MAX);
        let mut place = self.next_turns(count)?.saturating_sub(count);
        let mut sessions: HashMap<String, (i64, i64)> = HashMap::new();
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO message (session, place, target, reconcile) VALUES (?, ?, ?, ?)",
        )?;
        for target in targets {
            let name = target.group(platform, self.kind).unwrap_or_default();
            let session = match sessions.get_mut(&name) {
                Some((session, count)) => {
                    *count += 1;
                    *session
                }
                None => {
                    let session = self.session(&name)?;
                    sessions.insert(name, (session, 1));
                    session
                }
            };
            place += 1;
            let text = serde_json::to_string(target)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            insert.execute(params![session, place, text, purpose == Purpose::Reconcile])?;
        }
        let mut update = self
            .connection
            .prepare_cached("UPDATE session SET pending = pending + ? WHERE id = ?")?;
        for (session, count) in sessions.values() {
            update.execute([count, session])?;
        }
        Ok(())
    }

    pub(super) fn renew(&self, id: DeliveryId) -> Result<Duration, Trouble> {
        let held = self.find(id)?;
        // Whatever is in flight of a session is with one receiver.
        let (sql, which) = if self.has_sessions() {
            (
                "UPDATE message SET locked_until = ? WHERE state = 1 AND session = ?",
                held.session,
            )
        } else {
            (
                "UPDATE message SET locked_until = ? WHERE id = ?",
                held.message,
            )
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.execute([self.locked_until(), which])?;
        Ok(self.lock)
    }

    pub(super) fn complete(&self, id: DeliveryId) -> Result<(), Trouble> {
        let held = self.find(id)?;
        let sql = "DELETE FROM message WHERE id = ?";
        self.connection
            .prepare_cached(sql)?
            .execute([held.message])?;
        self.leave_session(held.session, 0)
    }

    pub(super) fn abandon(&self, id: DeliveryId) -> Result<(), Trouble> {
        let held = self.find(id)?;
        self.put_back(held)
    }

    pub(super) fn dead_letter(
        &self,
        id: DeliveryId,
        reason: &str,
        description: &str,
    ) -> Result<(), Trouble> {
        let held = self.find(id)?;
        self.bury(held, reason, description)
    }

    /// Makes a delivery that has reached nobody as if it had never been handed out.
    pub(super) fn take_back(&self, id: DeliveryId) -> Result<(), Trouble> {
        let held = match self.find(id) {
            Ok(held) => held,
            Err(Trouble::LockLost) => return Ok(()),
            Err(trouble) => return Err(trouble),
        };
        let sql = "UPDATE message SET state = 0, token = NULL, receiver = NULL, locked_until = NULL, \
                   deliveries = deliveries - 1 WHERE id = ?";
        self.connection
            .prepare_cached(sql)?
            .execute([held.message])?;
        self.leave_session(held.session, 1)
    }

    /// Makes pending again whatever has a lock that has ended.
    pub(super) fn end_locks(&self) -> Result<(), Trouble> {
        let sql =
            "SELECT id, session, deliveries FROM message WHERE state = 1 AND locked_until <= ?";
        for held in self.all_held(sql, self.now)? {
            self.put_back(held)?;
        }
        Ok(())
    }

    /// Makes pending again what a receiver holds.
    pub(super) fn release(&self, receiver: i64) -> Result<usize, Trouble> {
        let sql = "SELECT id, session, deliveries FROM message WHERE state = 1 AND receiver = ?";
        let all = self.all_held(sql, receiver)?;
        for held in &all {
            self.put_back(*held)?;
        }
        Ok(all.len())
    }

    /// The last of so many new places or turns.
    pub(super) fn next_turns(&self, count: i64) -> Result<i64, Trouble> {
        let sql = "UPDATE queue SET turn = turn + ? RETURNING turn";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([count], |row| row.get(0))?)
    }

    fn session(&self, name: &str) -> Result<i64, Trouble> {
        let mut find = self
            .connection
            .prepare_cached("SELECT id FROM session WHERE name = ?")?;
        let known = find.query_row([name], |row| row.get(0)).optional()?;
        if let Some(id) = known {
            return Ok(id);
        }
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO session (name) VALUES (?)")?;
        Ok(insert.insert([name])?)
    }

    fn find(&self, id: DeliveryId) -> Result<Held, Trouble> {
        let (message, token) = parts(id);
        let sql =
            "SELECT id, session, deliveries FROM message WHERE id = ? AND token = ? AND state = 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let held = statement.query_row([message, token], held).optional()?;
        held.ok_or(Trouble::LockLost)
    }

    fn all_held(&self, sql: &str, value: i64) -> Result<Vec<Held>, Trouble> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([value], held)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Behind the others of its session.
    fn put_back(&self, held: Held) -> Result<(), Trouble> {
        if held.deliveries >= MAX_DELIVERIES {
            return self.bury(held, WORN_OUT.0, WORN_OUT.1);
        }
        let place = self.next_turns(1)?;
        let sql = "UPDATE message SET state = 0, token = NULL, receiver = NULL, locked_until = NULL, place = ? \
                   WHERE id = ?";
        self.connection
            .prepare_cached(sql)?
            .execute([place, held.message])?;
        self.leave_session(held.session, 1)
    }

    fn bury(&self, held: Held, reason: &str, description: &str) -> Result<(), Trouble> {
        let sql = "UPDATE message SET state = 2, token = NULL, receiver = NULL, locked_until = NULL, reason = ?, \
                   description = ? WHERE id = ?";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.execute(params![reason, description, held.message])?;
        self.leave_session(held.session, 0)
    }

    /// One less is in flight of a session. The last one leaves it to whoever comes first.
    fn leave_session(&self, session: i64, pending: i64) -> Result<(), Trouble> {
        let sql = "UPDATE session SET pending = pending + ?, in_flight = in_flight - 1, \
                   holder = CASE WHEN in_flight > 1 THEN holder END WHERE id = ?";
        self.connection
            .prepare_cached(sql)?
            .execute([pending, session])?;
        Ok(())
    }
}

/// The id of a delivery: which message, and by which of its locks.
pub(super) fn delivery_id(message: i64, token: i64) -> DeliveryId {
    let bits = |number: i64| u128::from(number.cast_unsigned());
    DeliveryId(bits(message) << 64 | bits(token))
}

fn parts(id: DeliveryId) -> (i64, i64) {
    let number = |bits: u128| i64::from_be_bytes(low_bytes(bits));
    (number(id.0 >> 64), number(id.0))
}

fn low_bytes(bits: u128) -> [u8; 8] {
    let [.., a, b, c, d, e, f, g, h] = bits.to_be_bytes();
    [a, b, c, d, e, f, g, h]
}

pub(super) fn milliseconds(duration: Duration) -> i64 {
    // A quarter of the range, so that sums do not overflow.
    i64::try_from(duration.as_millis()).map_or(i64::MAX / 4, |number| number.min(i64::MAX / 4))
}

/// The target in a column.
pub(super) fn target(row: &Row<'_>, column: usize) -> rusqlite::Result<Target> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

/// The purpose in a column.
pub(super) fn purpose(row: &Row<'_>, column: usize) -> rusqlite::Result<Purpose> {
    Ok(if row.get(column)? {
        Purpose::Reconcile
    } else {
        Purpose::Build
    })
}

fn held(row: &Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        message: row.get(0)?,
        session: row.get(1)?,
        deliveries: row.get(2)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_does_not_end_before_the_moment_that_its_holder_reckons_with() {
        let connection = Connection::open_in_memory().unwrap();
        let lock = Duration::from_micros(2_000_900);
        for _ in 0..100 {
            let asked = Moment::now();
            let records = Records::new(&connection, ConcurrencyType::Count, lock);
            let until = Duration::from_millis(records.locked_until().unsigned_abs());
            assert!(Moment::at(until) >= asked + lock);
        }
    }

    #[test]
    fn an_id_names_the_message_and_its_lock() {
        for pair in [(1, 2), (i64::MAX, -1), (7, i64::MIN), (-3, 0)] {
            assert_eq!(parts(delivery_id(pair.0, pair.1)), pair);
        }
    }
}
