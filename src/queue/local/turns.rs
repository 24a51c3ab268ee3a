//! Whose turn it is: which target a receiver gets next, if any.
//!
//! A receiver holds a session for as long as something of it is in flight, no longer, so nobody waits for a session that ran dry. Sessions
//! that wait are ordered by when they had their last turn.

use rusqlite::{OptionalExtension, Params, params};

use super::{
    Delivery, Options, Target,
    job::Trouble,
    records::{self, Records},
};
use crate::{
    clock::Moment,
    protocol::{Concurrency, ConcurrencyType},
    queue::Purpose,
};

/// How much one receiver may have at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) total: i64,
    per_session: i64,
    /// The sessions that it takes in any case.
    sessions: i64,
}

/// A session that has something to build.
struct Ready {
    session: i64,
    name: String,
    turn: i64,
}

/// A message that is pending.
struct Pending {
    message: i64,
    target: Target,
    purpose: Purpose,
    deliveries: u32,
}

impl Limits {
    /// A limit of nothing would stand still for ever, so that 0 counts as 1.
    pub(super) fn new(options: &Options) -> Self {
        let number = |number: usize| i64::try_from(number.max(1)).unwrap_or(i64::MAX);
        let Concurrency {
            kind,
            limit,
            max_slots,
        } = options.concurrency;
        let (total, per_session) = match kind {
            ConcurrencyType::Count => (max_slots.min(limit), limit),
            ConcurrencyType::Server | ConcurrencyType::Tag => (max_slots, 1),
            ConcurrencyType::MaxPerServer | ConcurrencyType::MaxPerTag => (max_slots, limit),
        };
        Self {
            total: number(total),
            per_session: number(per_session),
            sessions: number(options.sessions),
        }
    }
}

impl Records<'_> {
    /// How many deliveries a receiver has.
    pub(super) fn in_flight_of(&self, receiver: i64) -> Result<i64, Trouble> {
        let sql = "SELECT count(*) FROM message WHERE state = 1 AND receiver = ?";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([receiver], |row| row.get(0))?)
    }

    /// Hands out the next target that `receiver`, which has a free slot, may build; `asked` is a clock read before the
    /// transaction began.
    pub(super) fn take(
        &self,
        receiver: i64,
        limits: Limits,
        asked: Moment,
    ) -> Result<Option<Delivery>, Trouble> {
        let Some(ready) = self.next_session(receiver, limits)? else {
            return Ok(None);
        };
        let Some(pending) = self.first_of(ready.session)? else {
            return Ok(None);
        };
        let token = i64::from_ne_bytes(fastrand::u64(..).to_ne_bytes());
        let sql = "UPDATE message SET state = 1, token = ?, receiver = ?, locked_until = ?, deliveries = deliveries + 1 \
                   WHERE id = ?";
        self.connection.prepare_cached(sql)?.execute([
            token,
            receiver,
            self.locked_until(),
            pending.message,
        ])?;
        self.enter_session(ready.session, receiver)?;
        Ok(Some(Delivery {
            id: records::delivery_id(pending.message, token),
            target: pending.target,
            count: pending.deliveries.saturating_add(1),
            purpose: pending.purpose,
            session: self.has_sessions().then_some(ready.name),
            locked_until: asked + self.lock,
        }))
    }

    fn next_session(&self, receiver: i64, limits: Limits) -> Result<Option<Ready>, Trouble> {
        let free = self.ready("holder IS NULL", [])?;
        if !self.has_sessions() {
            return Ok(free);
        }
        let own = self.ready(
            "holder = ? AND in_flight < ?",
            [receiver, limits.per_session],
        )?;
        let held = self.held_by(receiver)?;
        Ok(match (own, free) {
            (Some(own), Some(free)) if held < limits.sessions && free.turn < own.turn => Some(free),
            (Some(own), _) => Some(own),
            (None, Some(free))
                if held < limits.sessions || !self.other_waits(receiver, held)? =>
            {
                Some(free)
            }
            (None, _) => None,
        })
    }

    /// The session that waits longest for its turn, of those that have something to build.
    fn ready(&self, which: &str, values: impl Params) -> Result<Option<Ready>, Trouble> {
        let sql = format!(
            "SELECT id, name, turn FROM session WHERE pending > 0 AND {which} ORDER BY turn LIMIT 1"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let ready = statement.query_row(values, |row| {
            Ok(Ready {
                session: row.get(0)?,
                name: row.get(1)?,
                turn: row.get(2)?,
            })
        });
        Ok(ready.optional()?)
    }

    fn held_by(&self, receiver: i64) -> Result<i64, Trouble> {
        let sql = "SELECT count(*) FROM session WHERE holder = ?";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([receiver], |row| row.get(0))?)
    }

    /// Whether another receiver waits that holds fewer sessions.
    fn other_waits(&self, receiver: i64, held: i64) -> Result<bool, Trouble> {
        let sql = "SELECT EXISTS (SELECT 1 FROM receiver WHERE id <> ? AND waits_until > ? \
                   AND (SELECT count(*) FROM session WHERE holder = receiver.id) < ?)";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([receiver, self.now, held], |row| row.get(0))?)
    }

    fn first_of(&self, session: i64) -> Result<Option<Pending>, Trouble> {
        let sql = "SELECT id, target, reconcile, deliveries FROM message WHERE state = 0 AND session = ? \
                   ORDER BY place LIMIT 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let pending = statement.query_row([session], |row| {
            Ok(Pending {
                message: row.get(0)?,
                target: records::target(row, 1)?,
                purpose: records::purpose(row, 2)?,
                deliveries: row.get(3)?,
            })
        });
        Ok(pending.optional()?)
    }

    fn enter_session(&self, session: i64, receiver: i64) -> Result<(), Trouble> {
        let holder = self.has_sessions().then_some(receiver);
        let turn = self.next_turns(1)?;
        let sql = "UPDATE session SET pending = pending - 1, in_flight = in_flight + 1, holder = ?, turn = ? WHERE id = ?";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.execute(params![holder, turn, session])?;
        if self.has_sessions() {
            // A session has one lock.
            let sql = "UPDATE message SET locked_until = ? WHERE state = 1 AND session = ?";
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.execute([self.locked_until(), session])?;
        }
        Ok(())
    }
}
