use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::protocol::Pair;

fn target(server: &str, database: &str, tag: Option<&str>) -> Target {
    Target {
        server: server.into(),
        pairs: vec![Pair {
            default: String::new(),
            database: database.into(),
        }],
        tag: tag.map(Into::into),
    }
}

fn window(kind: ConcurrencyType, limit: usize, max_slots: usize) -> Window {
    let concurrency = Concurrency {
        kind,
        limit,
        max_slots,
    };
    Window::new(Platform::SqlServer, concurrency)
}

fn complete(window: &mut Window, id: DeliveryId) -> bool {
    window.take_out(id).is_some()
}

fn abandon(window: &mut Window, id: DeliveryId) -> bool {
    !matches!(window.abandon(id), GivenBack::Unknown)
}

/// Everything that may be built now, as `server:database`.
fn take_all(window: &mut Window) -> Vec<String> {
    std::iter::from_fn(|| window.take())
        .map(|delivery| delivery.target.to_string())
        .collect()
}

#[test]
fn count_limits_all_targets_together_in_their_order() {
    let mut window = window(ConcurrencyType::Count, 3, 1);
    for database in ["1", "2", "3", "4"] {
        window.push(target("s", database, None), Purpose::Build);
    }
    assert_eq!(take_all(&mut window), ["s:1", "s:2", "s:3"]);
    assert!(complete(&mut window, DeliveryId(1)));
    assert_eq!(take_all(&mut window), ["s:4"]);
}

#[test]
fn servers_take_turns_and_spellings_share_a_limit() {
    let mut window = window(ConcurrencyType::MaxPerServer, 2, 9);
    for (server, database) in [
        ("a", "1"),
        ("A", "2"),
        ("tcp:a,1433", "3"),
        ("b", "4"),
        ("b", "5"),
    ] {
        window.push(target(server, database, None), Purpose::Build);
    }
    assert_eq!(take_all(&mut window), ["a:1", "b:4", "A:2", "b:5"]);
    assert!(complete(&mut window, DeliveryId(1)));
    assert_eq!(window.take(), None);
    assert!(complete(&mut window, DeliveryId(0)));
    assert_eq!(take_all(&mut window), ["tcp:a,1433:3"]);
}

#[test]
fn tags_are_built_one_at_a_time_within_the_slots() {
    let mut window = window(ConcurrencyType::Tag, 9, 2);
    for (database, tag) in [("1", "x"), ("2", "x"), ("3", "y"), ("4", "z")] {
        window.push(target("s", database, Some(tag)), Purpose::Build);
    }
    assert_eq!(take_all(&mut window), ["s:1", "s:3"]);
    assert!(complete(&mut window, DeliveryId(0)));
    assert_eq!(take_all(&mut window), ["s:4"]);
}

#[test]
fn abandoned_targets_come_back_behind_the_others_with_a_higher_count() {
    let mut window = window(ConcurrencyType::Server, 1, 1);
    window.push(target("s", "1", None), Purpose::Build);
    window.push(target("s", "2", None), Purpose::Build);
    let first = window.take().unwrap();
    assert_eq!(first.count, 1);
    assert!(abandon(&mut window, first.id));
    assert!(!abandon(&mut window, first.id));
    assert!(!complete(&mut window, first.id));
    let second = window.take().unwrap();
    assert_eq!(second.target.to_string(), "s:2");
    assert!(complete(&mut window, second.id));
    let again = window.take().unwrap();
    assert_eq!((again.target, again.count), (first.target, 2));
    assert_ne!(again.id, first.id);
}

#[test]
fn limits_of_nothing_count_as_one() {
    for kind in ConcurrencyType::ALL {
        let mut window = window(kind, 0, 0);
        window.push(target("s", "1", None), Purpose::Build);
        window.push(target("s", "2", None), Purpose::Build);
        assert_eq!(take_all(&mut window), ["s:1"], "{kind}");
    }
}

#[test]
fn drained_targets_are_not_handed_out() {
    let mut window = window(ConcurrencyType::MaxPerServer, 1, 9);
    for (server, database) in [("a", "1"), ("b", "2"), ("a", "3")] {
        window.push(target(server, database, None), Purpose::Build);
    }
    let first = window.take().unwrap();
    let drained: Vec<String> = window.drain().iter().map(ToString::to_string).collect();
    assert_eq!(drained, ["a:3", "b:2"]);
    assert_eq!(window.take(), None);
    assert!(abandon(&mut window, first.id));
    assert_eq!(window.counts().pending, 1);
    assert_eq!(window.drain(), [first.target]);
    assert_eq!(window.counts(), Counts::default());
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Take,
    Complete(usize),
    Abandon(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_usize..5).prop_map(Step::Push),
        4 => Just(Step::Take),
        3 => any::<usize>().prop_map(Step::Complete),
        1 => any::<usize>().prop_map(Step::Abandon),
    ];
    proptest::collection::vec(step, 0..200)
}

/// What the window must do, written without thought for speed.
#[derive(Default)]
struct Model {
    pending: BTreeMap<String, usize>,
    flying: Vec<(Delivery, String)>,
    completed: Vec<Target>,
    pushed: Vec<Target>,
}

impl Model {
    fn may_take(&self, limits: Limits) -> bool {
        let room = |group: &String| self.flying_in(group) < limits.per_group;
        self.flying.len() < limits.total
            && self
                .pending
                .iter()
                .any(|(group, count)| *count > 0 && room(group))
    }

    fn flying_in(&self, group: &str) -> usize {
        self.flying
            .iter()
            .filter(|(_, other)| other == group)
            .count()
    }
}

fn apply(window: &mut Window, model: &mut Model, limits: Limits, step: &Step) {
    let group_of = |window: &Window, target: &Target| {
        target
            .group(window.platform, window.kind)
            .unwrap_or_default()
    };
    match step {
        Step::Push(group) => {
            let name = format!("d{}", model.pushed.len());
            let target = target(
                &format!("s{group}"),
                &name,
                Some(&format!("t{}", group / 2)),
            );
            *model.pending.entry(group_of(window, &target)).or_default() += 1;
            model.pushed.push(target.clone());
            window.push(target, Purpose::Build);
        }
        Step::Take => {
            let expected = model.may_take(limits);
            let taken = window.take();
            assert_eq!(
                taken.is_some(),
                expected,
                "a slot is used exactly when one may be"
            );
            if let Some(delivery) = taken {
                let group = group_of(window, &delivery.target);
                *model.pending.get_mut(&group).unwrap() -= 1;
                model.flying.push((delivery, group.clone()));
                assert!(model.flying_in(&group) <= limits.per_group);
                assert!(model.flying.len() <= limits.total);
            }
        }
        Step::Complete(which) | Step::Abandon(which) => {
            if model.flying.is_empty() {
                return;
            }
            let (delivery, group) = model.flying.swap_remove(which % model.flying.len());
            if matches!(step, Step::Complete(_)) {
                assert!(complete(window, delivery.id));
                model.completed.push(delivery.target);
            } else {
                assert!(abandon(window, delivery.id));
                *model.pending.get_mut(&group).unwrap() += 1;
            }
        }
    }
    let pending = model.pending.values().sum();
    let in_flight = model.flying.len();
    assert_eq!(
        window.counts(),
        Counts {
            pending,
            in_flight,
            dead: 0,
            closed: false,
        }
    );
}

proptest! {
    #[test]
    fn slots_are_full_within_the_limits_and_everything_is_completed_once(
        steps in steps(),
        kind in 0..ConcurrencyType::ALL.len(),
        limit in 1_usize..4,
        max_slots in 1_usize..8,
    ) {
        let mut window = window(ConcurrencyType::ALL[kind], limit, max_slots);
        let limits = window.limits;
        let mut model = Model::default();
        for step in &steps {
            apply(&mut window, &mut model, limits, step);
        }
        while window.counts() != Counts::default() {
            apply(&mut window, &mut model, limits, &Step::Take);
            apply(&mut window, &mut model, limits, &Step::Complete(7));
        }
        let mut completed: Vec<String> = model.completed.iter().map(ToString::to_string).collect();
        let mut pushed: Vec<String> = model.pushed.iter().map(ToString::to_string).collect();
        completed.sort();
        pushed.sort();
        prop_assert_eq!(completed, pushed);
    }

    #[test]
    fn no_group_waits_while_another_has_two_turns(counts in proptest::collection::vec(1_usize..6, 1..6)) {
        let mut window = window(ConcurrencyType::Server, 1, 1);
        for (server, count) in counts.iter().enumerate() {
            for database in 0..*count {
                window.push(target(&format!("s{server}"), &database.to_string(), None), Purpose::Build);
            }
        }
        let mut turns: Vec<usize> = vec![0; counts.len()];
        while let Some(delivery) = window.take() {
            let server: usize = delivery.target.server.trim_start_matches('s').parse().unwrap();
            turns[server] += 1;
            for (other, count) in counts.iter().enumerate() {
                prop_assert!(turns[other] == *count || turns[other] + 1 >= turns[server]);
            }
            prop_assert!(complete(&mut window, delivery.id));
        }
        prop_assert_eq!(turns, counts);
    }
}
