//! What a receiver knows: links, what has come on them and is not handed out, and what is in flight.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use fe2o3_amqp::link::delivery::DeliveryInfo;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Limits;
use crate::{
    azure::amqp::{Connection, Error, LockToken},
    clock::Moment,
    queue::{Delivery, DeliveryId},
};

/// How many sessions are looked for at once.
const SEARCHES: usize = 4;

/// Credit of a link while the queue is drained.
const DRAIN: usize = 500;

/// How long a new session may be without its first message before others get their turn.
const FRESH: Duration = Duration::from_secs(5);

/// The pause between two looks for more sessions than a receiver is entitled to.
const GREED: Duration = Duration::from_secs(1);

/// What a link's task is told.
#[derive(Debug)]
pub(super) enum Command {
    /// There may be more credit.
    Credit,
    /// Settle a delivery.
    Dispose(DeliveryInfo, Disposal),
    /// End, and give back what was not handed out.
    Stop,
}

/// How a delivery is settled on its link.
#[derive(Clone, Debug)]
pub(super) enum Disposal {
    Complete,
    Abandon,
    Release,
    DeadLetter { reason: String, description: String },
}

/// A link to be made.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) id: u64,
    pub(super) epoch: u64,
    pub(super) search: Search,
}

/// How a session is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// There are none.
    None,
    /// One that is free now.
    Quick,
    /// One that is or will be free.
    Standing,
}

/// What is to be started.
#[derive(Debug, Default)]
pub(super) struct Start {
    pub(super) links: Vec<Begun>,
}

/// What a receiver gets.
#[derive(Debug)]
pub(super) enum Next {
    Delivery(Box<Delivery>),
    /// The limits allow nothing.
    Full,
    /// There is nothing, as far as is known.
    Nothing,
    Trouble(Error),
}

/// A message that is not handed out.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) delivery: Delivery,
    pub(super) info: DeliveryInfo,
    pub(super) token: LockToken,
}

/// A delivery that is handed out.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) link: u64,
    pub(super) info: DeliveryInfo,
    pub(super) token: LockToken,
    pub(super) session: Option<String>,
    /// Whether somebody settles it.
    pub(super) is_settling: bool,
}

/// A link.
#[derive(Debug)]
pub(super) struct Link {
    /// Its session, and the name by which `$management` knows it.
    pub(super) session: Option<String>,
    pub(super) name: String,
    pub(super) connection: Arc<Connection>,
    pub(super) commands: mpsc::UnboundedSender<Command>,
    /// Told when its task has ended, after which nothing is answered.
    pub(super) ended: CancellationToken,
    pub(super) arrived: VecDeque<Arrived>,
    pub(super) in_flight: usize,
    /// How many of those are being settled; others may come in their place already.
    settling: usize,
    /// How many messages may still come.
    credit: usize,
    /// When something of it was handed out last; 0 for never.
    turn: u64,
    /// Since when nothing of it is there.
    pub(super) idle_since: Moment,
    since: Moment,
    had_any: bool,
    pub(super) locked_until: Moment,
    pub(super) is_renewing: bool,
}

/// Everything that one receiver knows.
#[derive(Debug)]
pub(super) struct State {
    limits: Limits,
    has_sessions: bool,
    lock: Duration,
    pub(super) links: HashMap<u64, Link>,
    pub(super) held: HashMap<DeliveryId, Held>,
    settling: usize,
    /// Links that are being made, by kind.
    making: HashMap<u64, Search>,
    /// Whether the service has said that no session is free, and when it is asked again.
    none_free: bool,
    greed: Moment,
    trouble: Option<Error>,
    waiting: usize,
    last_wait: Moment,
    turn: u64,
    next_id: u64,
    pub(super) epoch: u64,
    pub(super) is_draining: bool,
    /// The last two ticks of the janitor: what comes now was not locked before the first of them, unless the process slept.
    pub(super) ticks: (Moment, Moment),
    pub(super) has_janitor: bool,
}

impl State {
    pub(super) fn new(limits: Limits, has_sessions: bool, lock: Duration) -> Self {
        let now = Moment::now();
        Self {
            limits,
            has_sessions,
            lock,
            links: HashMap::new(),
            held: HashMap::new(),
            settling: 0,
            making: HashMap::new(),
            none_free: false,
            greed: now,
            trouble: None,
            waiting: 0,
            last_wait: now,
            turn: 0,
            next_id: 1,
            epoch: 0,
            is_draining: false,
            ticks: (now, now),
            has_janitor: false,
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.held.len()
    }

    pub(super) fn begin_to_wait(&mut self) {
        if self.waiting == 0 {
            // What was wrong before may be right by now.
            self.trouble = None;
        }
        self.waiting += 1;
    }

    pub(super) fn end_to_wait(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        self.last_wait = Moment::now();
    }

    /// How long nobody has asked for anything.
    pub(super) fn unasked(&self) -> Duration {
        if self.waiting > 0 || self.is_draining {
            return Duration::ZERO;
        }
        self.last_wait.elapsed()
    }

    pub(super) fn reset(&mut self) {
        // Without the senders of their commands the tasks of links end.
        self.links.clear();
        self.held.clear();
        self.settling = 0;
        self.making.clear();
        self.none_free = false;
        self.trouble = None;
        self.epoch += 1;
    }

    /// What whoever waits gets, and what is to be started for them.
    pub(super) fn next(&mut self) -> (Next, Start) {
        if let Some(error) = self.trouble.take() {
            return (Next::Trouble(error), Start::default());
        }
        if self.held.len() >= self.limits.total {
            return (Next::Full, Start::default());
        }
        self.drop_old();
        let picked = self.pick();
        let start = self.look_around(picked.is_some());
        self.refill();
        let is_new =
            picked.is_some_and(|id| self.links.get(&id).is_some_and(|link| link.turn == 0));
        let next = match picked {
            Some(id) if is_new || !self.is_searching() => self.hand_out(id),
            _ => None,
        };
        if next.is_some() {
            self.refill();
        }
        (next.map_or(Next::Nothing, Next::Delivery), start)
    }

    /// The link whose turn it is.
    fn pick(&self) -> Option<u64> {
        let has_room = |link: &Link| {
            !link.arrived.is_empty()
                && (!self.has_sessions || link.in_flight < self.limits.per_session)
        };
        let links = self.links.iter().filter(|(_, link)| has_room(link));
        links
            .min_by_key(|(id, link)| (link.turn, **id))
            .map(|(id, _)| *id)
    }

    /// Whether a session may be found soon that others have to let go first.
    fn is_searching(&self) -> bool {
        if !self.has_sessions || self.links.len() > self.limits.sessions {
            return false;
        }
        let is_fresh = |link: &Link| !link.had_any && link.since.elapsed() < FRESH;
        self.making.values().any(|search| *search == Search::Quick)
            || self.links.values().any(is_fresh)
    }

    /// Which links are to be made.
    fn look_around(&mut self, has_some: bool) -> Start {
        let mut start = Start::default();
        if !self.has_sessions {
            if self.links.is_empty() && self.making.is_empty() {
                start.links.push(self.begin(Search::None));
            }
            return start;
        }
        let free = self.limits.total - self.held.len().min(self.limits.total);
        let making = self.making.len();
        let held = self.links.len() + making;
        if held < self.limits.sessions {
            if self.none_free {
                if making == 0 {
                    start.links.push(self.begin(Search::Standing));
                }
            } else {
                let most = free
                    .min(SEARCHES)
                    .min(self.limits.sessions - self.links.len());
                for _ in making..most {
                    start.links.push(self.begin(Search::Quick));
                }
            }
        } else if making == 0 && !has_some && held < self.limits.total {
            // More than its share: now and then, when there is nothing else to do.
            if !self.none_free || self.greed.has_passed() {
                start.links.push(self.begin(Search::Quick));
            }
        }
        start
    }

    fn begin(&mut self, search: Search) -> Begun {
        let id = self.next_id;
        self.next_id += 1;
        self.making.insert(id, search);
        Begun {
            id,
            epoch: self.epoch,
            search,
        }
    }

    pub(super) fn take_trouble(&mut self) -> Option<Error> {
        self.trouble.take()
    }

    /// The links that are to be made while everything is taken out, whatever the limits.
    pub(super) fn look_for_all(&mut self) -> Start {
        let mut start = Start::default();
        if self.making.is_empty() && (self.has_sessions || self.links.is_empty()) {
            let search = if self.has_sessions {
                Search::Quick
            } else {
                Search::None
            };
            start.links.push(self.begin(search));
        }
        start
    }

    /// Tells links for which there may be more credit.
    pub(super) fn refill(&mut self) {
        for link in self.links.values() {
            let room = self.room(link);
            if link.credit < room.div_ceil(2) {
                // A link that has ended is about to be told.
                link.commands.send(Command::Credit).ok();
            }
        }
    }

    fn room(&self, link: &Link) -> usize {
        if self.is_draining {
            return DRAIN;
        }
        let held = self.held.len().saturating_sub(self.settling);
        let total = self.limits.total.saturating_sub(held);
        let there = link.arrived.len();
        if self.has_sessions {
            let held = link.in_flight.saturating_sub(link.settling);
            let session = self.limits.per_session.saturating_sub(held);
            session.min(total).saturating_sub(there)
        } else {
            total.saturating_sub(there)
        }
    }

    /// The new credit of a link; none when it has enough. Credit is never taken back, since messages may be on their way.
    pub(super) fn credit_of(&mut self, id: u64) -> Option<u32> {
        let room = self.room(self.links.get(&id)?);
        let link = self.links.get_mut(&id)?;
        if room <= link.credit {
            return None;
        }
        link.credit = room;
        u32::try_from(room).ok()
    }

    /// Messages whose lock is nearly over are not handed out.
    fn drop_old(&mut self) {
        let least = self.lock / 2;
        for link in self
            .links
            .values_mut()
            .filter(|link| link.session.is_none())
        {
            while let Some(first) = link.arrived.front()
                && first.delivery.locked_until.remaining() < least
                && let Some(old) = link.arrived.pop_front()
            {
                link.commands
                    .send(Command::Dispose(old.info, Disposal::Release))
                    .ok();
            }
        }
    }

    pub(super) fn hand_out(&mut self, id: u64) -> Option<Box<Delivery>> {
        self.turn += 1;
        let link = self.links.get_mut(&id)?;
        let mut arrived = link.arrived.pop_front()?;
        link.turn = self.turn;
        link.in_flight += 1;
        if link.session.is_some() {
            arrived.delivery.locked_until = link.locked_until;
        }
        let held = Held {
            link: id,
            info: arrived.info,
            token: arrived.token,
            session: link.session.clone(),
            is_settling: false,
        };
        self.held.insert(arrived.delivery.id, held);
        Some(Box::new(arrived.delivery))
    }

    /// A link is there. Whether it is wanted.
    pub(super) fn made(&mut self, begun: &Begun, link: Made) -> bool {
        if begun.epoch != self.epoch || self.making.remove(&begun.id).is_none() {
            return false;
        }
        self.none_free = false;
        self.end_others_of(link.session.as_deref());
        let now = Moment::now();
        let link = Link {
            session: link.session,
            name: link.name,
            connection: link.connection,
            commands: link.commands,
            ended: link.ended,
            arrived: VecDeque::new(),
            in_flight: 0,
            settling: 0,
            credit: 0,
            turn: 0,
            idle_since: now,
            since: now,
            had_any: false,
            // The service may have waited long for a session; the lock began when it answered, and that is not long ago.
            locked_until: link.asked.max(self.ticks.0) + self.lock,
            is_renewing: false,
        };
        self.links.insert(begun.id, link);
        self.refill();
        true
    }

    /// Whoever gets a session has lost it before, if it had it.
    fn end_others_of(&mut self, session: Option<&str>) {
        let is_same = |link: &Link| session.is_some() && link.session.as_deref() == session;
        let ended: Vec<u64> = self
            .links
            .iter()
            .filter(|(_, link)| is_same(link))
            .map(|(id, _)| *id)
            .collect();
        for id in ended {
            self.end(id, None);
        }
    }

    /// A link could not be made.
    pub(super) fn not_made(&mut self, begun: &Begun, why: Option<Error>) {
        if begun.epoch != self.epoch || self.making.remove(&begun.id).is_none() {
            return;
        }
        match why {
            Some(error) => {
                // One word about it is enough, however many were being made.
                self.making.clear();
                self.epoch += 1;
                self.trouble = Some(error);
            }
            None => {
                self.none_free = true;
                self.greed = Moment::now() + GREED;
            }
        }
    }

    /// A message has come. Gives it back when nobody wants it any more.
    pub(super) fn arrive(&mut self, id: u64, arrived: Arrived) -> Result<(), Box<Arrived>> {
        match self.links.get_mut(&id) {
            Some(link) => {
                link.credit = link.credit.saturating_sub(1);
                link.had_any = true;
                link.arrived.push_back(arrived);
                Ok(())
            }
            None => Err(Box::new(arrived)),
        }
    }

    /// A message has come that is none of the run.
    pub(super) fn arrive_in_vain(&mut self, id: u64) {
        if let Some(link) = self.links.get_mut(&id) {
            link.credit = link.credit.saturating_sub(1);
            link.idle_since = Moment::now();
        }
        self.refill();
    }

    /// A link has ended. With a session goes everything that is in flight of it.
    pub(super) fn end(&mut self, id: u64, why: Option<Error>) {
        use crate::azure::amqp::Kind;

        let Some(link) = self.links.remove(&id) else {
            return;
        };
        if link.session.is_some() {
            self.held.retain(|_, held| held.link != id);
            self.settling = self.held.values().filter(|held| held.is_settling).count();
        }
        if let Some(error) =
            why.filter(|error| matches!(error.kind(), Kind::NotFound | Kind::Unauthorized))
        {
            self.trouble = Some(error);
        }
    }

    /// Notes that a delivery is being settled, or not any more; whether that is news.
    pub(super) fn set_settling(&mut self, id: DeliveryId, is_settling: bool) -> bool {
        let Some(held) = self.held.get_mut(&id) else {
            return false;
        };
        if std::mem::replace(&mut held.is_settling, is_settling) == is_settling {
            return false;
        }
        let count = |number: &mut usize| {
            *number = if is_settling {
                *number + 1
            } else {
                number.saturating_sub(1)
            };
        };
        count(&mut self.settling);
        if let Some(link) = self.links.get_mut(&held.link) {
            count(&mut link.settling);
        }
        true
    }

    /// A delivery is not in flight any more.
    pub(super) fn settled(&mut self, id: DeliveryId) {
        self.set_settling(id, false);
        let Some(held) = self.held.remove(&id) else {
            return;
        };
        if let Some(link) = self.links.get_mut(&held.link) {
            link.in_flight = link.in_flight.saturating_sub(1);
            link.idle_since = Moment::now();
        }
    }
}

/// A link that was made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) session: Option<String>,
    pub(super) name: String,
    pub(super) connection: Arc<Connection>,
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) ended: CancellationToken,
    /// A clock that was read before the service was asked.
    pub(super) asked: Moment,
}
