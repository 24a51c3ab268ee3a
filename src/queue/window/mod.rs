//! A sliding window over groups of targets: decides what may be built now. Every step takes constant time.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::{
    clock::Moment,
    protocol::{Concurrency, ConcurrencyType, Platform, Target},
};

use super::{Counts, Delivery, DeliveryId, MAX_DELIVERIES, Purpose};

/// The lock of a delivery that cannot be lost: longer than any machine runs.
pub(super) const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Targets by group, and who is in flight.
#[derive(Debug)]
pub(super) struct Window {
    platform: Platform,
    kind: ConcurrencyType,
    limits: Limits,
    groups: Vec<Group>,
    /// Places of groups by name, and by the server's spelling or the tag, which saves working out the name.
    by_name: HashMap<String, usize>,
    by_spelling: HashMap<String, usize>,
    /// The groups from which a target may be taken, in turn: those with pending targets and room below their limit.
    eligible: VecDeque<usize>,
    in_flight: HashMap<DeliveryId, InFlight>,
    pending: usize,
    next_id: u128,
}

/// How many may be in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) total: usize,
    pub(super) per_group: usize,
}

#[derive(Debug, Default)]
struct Group {
    /// Its session; none where one limit is for all.
    name: Option<String>,
    pending: VecDeque<Pending>,
    in_flight: usize,
    is_eligible: bool,
}

/// A target, and how often it was handed out.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) target: Target,
    pub(super) purpose: Purpose,
    pub(super) deliveries: u32,
}

#[derive(Debug)]
struct InFlight {
    group: usize,
    waiting: Pending,
}

/// What became of a delivery that was given back.
#[derive(Debug)]
pub(super) enum GivenBack {
    /// Its target is pending again.
    Pending,
    /// It has been handed out too often.
    WornOut(Pending),
    /// It is not in flight.
    Unknown,
}

impl Limits {
    /// A limit of nothing would stand still for ever, so that 0 counts as 1.
    pub(super) fn new(concurrency: Concurrency) -> Self {
        let limit = concurrency.limit.max(1);
        let slots = concurrency.max_slots.max(1);
        let (total, per_group) = match concurrency.kind {
            ConcurrencyType::Count => (limit, limit),
            ConcurrencyType::Server | ConcurrencyType::Tag => (slots, 1),
            ConcurrencyType::MaxPerServer | ConcurrencyType::MaxPerTag => (slots, limit),
        };
        Self { total, per_group }
    }
}

impl Window {
    /// An empty window.
    pub(super) fn new(platform: Platform, concurrency: Concurrency) -> Self {
        Self::with_limits(platform, concurrency.kind, Limits::new(concurrency))
    }

    fn with_limits(platform: Platform, kind: ConcurrencyType, limits: Limits) -> Self {
        Self {
            platform,
            kind,
            limits,
            groups: Vec::new(),
            by_name: HashMap::new(),
            by_spelling: HashMap::new(),
            eligible: VecDeque::new(),
            in_flight: HashMap::new(),
            pending: 0,
            next_id: 0,
        }
    }

    /// Adds a target that was never delivered.
    pub(super) fn push(&mut self, target: Target, purpose: Purpose) {
        let group = self.group_of(&target);
        self.push_pending(
            group,
            Pending {
                target,
                purpose,
                deliveries: 0,
            },
        );
    }

    /// The next target that the limits allow; none when there is no such target now.
    pub(super) fn take(&mut self) -> Option<Delivery> {
        if self.in_flight.len() >= self.limits.total {
            return None;
        }
        let place = self.eligible.pop_front()?;
        let group = self.groups.get_mut(place)?;
        group.is_eligible = false;
        let mut waiting = group.pending.pop_front()?;
        group.in_flight += 1;
        self.pending -= 1;
        waiting.deliveries = waiting.deliveries.saturating_add(1);
        let id = DeliveryId(self.next_id);
        self.next_id += 1;
        let delivery = Delivery {
            id,
            target: waiting.target.clone(),
            count: waiting.deliveries,
            purpose: waiting.purpose,
            session: group.name.clone(),
            locked_until: Moment::now() + FOR_EVER,
        };
        let taken = InFlight {
            group: place,
            waiting,
        };
        self.in_flight.insert(id, taken);
        self.note_eligible(place);
        Some(delivery)
    }

    /// Whether a delivery is in flight.
    pub(super) fn is_in_flight(&self, id: DeliveryId) -> bool {
        self.in_flight.contains_key(&id)
    }

    /// Ends a delivery for good; none when it is not in flight.
    pub(super) fn take_out(&mut self, id: DeliveryId) -> Option<Pending> {
        self.release(id).map(|released| released.waiting)
    }

    /// Ends a delivery and makes its target pending again.
    pub(super) fn abandon(&mut self, id: DeliveryId) -> GivenBack {
        match self.release(id) {
            None => GivenBack::Unknown,
            Some(InFlight { waiting, .. }) if waiting.deliveries >= MAX_DELIVERIES => {
                GivenBack::WornOut(waiting)
            }
            Some(InFlight { group, waiting }) => {
                self.push_pending(group, waiting);
                GivenBack::Pending
            }
        }
    }

    /// Takes out everything that is pending.
    pub(super) fn drain(&mut self) -> Vec<Target> {
        self.eligible.clear();
        self.pending = 0;
        let mut targets = Vec::new();
        for group in &mut self.groups {
            group.is_eligible = false;
            let pending = std::mem::take(&mut group.pending);
            targets.extend(pending.into_iter().map(|pending| pending.target));
        }
        targets
    }

    /// Forgets every target; ids go on, so that an old delivery is not taken for a new one.
    pub(super) fn clear(&mut self) {
        *self = Self {
            next_id: self.next_id,
            ..Self::with_limits(self.platform, self.kind, self.limits)
        };
    }

    /// How many are pending and in flight.
    pub(super) fn counts(&self) -> Counts {
        Counts {
            pending: self.pending,
            in_flight: self.in_flight.len(),
            dead: 0,
            closed: false,
        }
    }

    /// Whether everything that was pushed is settled or taken out.
    pub(super) fn is_empty(&self) -> bool {
        self.pending == 0 && self.in_flight.is_empty()
    }

    fn group_of(&mut self, target: &Target) -> usize {
        let spelling = match self.kind {
            ConcurrencyType::Count => "",
            ConcurrencyType::Server | ConcurrencyType::MaxPerServer => &target.server,
            ConcurrencyType::Tag | ConcurrencyType::MaxPerTag => {
                target.tag.as_deref().unwrap_or_default()
            }
        };
        if let Some(place) = self.by_spelling.get(spelling) {
            return *place;
        }
        let name = target.group(self.platform, self.kind);
        let groups = &mut self.groups;
        let key = name.clone().unwrap_or_default();
        let place = *self.by_name.entry(key).or_insert_with(|| {
            groups.push(Group {
                name,
                ..Group::default()
            });
            groups.len() - 1
        });
        self.by_spelling.insert(spelling.to_owned(), place);
        place
    }

    fn push_pending(&mut self, place: usize, pending: Pending) {
        if let Some(group) = self.groups.get_mut(place) {
            group.pending.push_back(pending);
            self.pending += 1;
        }
        self.note_eligible(place);
    }

    fn release(&mut self, id: DeliveryId) -> Option<InFlight> {
        let released = self.in_flight.remove(&id)?;
        if let Some(group) = self.groups.get_mut(released.group) {
            group.in_flight -= 1;
        }
        self.note_eligible(released.group);
        Some(released)
    }

    /// Gives a group its turn behind the others when it has one coming and none yet.
    fn note_eligible(&mut self, place: usize) {
        if let Some(group) = self.groups.get_mut(place)
            && !group.is_eligible
            && !group.pending.is_empty()
            && group.in_flight < self.limits.per_group
        {
            group.is_eligible = true;
            self.eligible.push_back(place);
        }
    }
}

#[cfg(test)]
mod tests;
