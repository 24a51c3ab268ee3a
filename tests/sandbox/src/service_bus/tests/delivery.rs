//! Locks, redelivery, dead letters and lifetimes.

use std::time::Duration;

use fe2o3_amqp_types::messaging::{Header, Properties};

use super::super::{Death, Settlement, SubscriptionSettings};
use super::{LOCK, World, made_of, message, sequences, settings};

const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn a_message_whose_lock_ends_comes_back_in_its_place_and_counts_the_delivery() {
    let world = World::with(settings());
    world.send(vec![message("a", None), message("b", None)]);
    let first = world.receive();
    assert_eq!(sequences(&first), [1, 2]);
    assert_eq!(first[0].message.failures, 0);
    world.settle(&first[1], &Settlement::Abandon).unwrap();
    world.pass(LOCK - MOMENT);
    assert_eq!(
        sequences(&world.receive()),
        [2],
        "the other is locked still"
    );
    world.pass(MOMENT);
    let again = world.receive();
    assert_eq!(sequences(&again), [1]);
    assert_eq!(again[0].message.failures, 1);
}

#[test]
fn settling_after_the_lock_has_ended_is_refused() {
    let world = World::with(settings());
    world.send(vec![message("a", None)]);
    let first = world.receive();
    world.pass(LOCK);
    for settlement in [Settlement::Complete, Settlement::Abandon, Settlement::Defer] {
        let refusal = world.settle(&first[0], &settlement).unwrap_err();
        assert_eq!(refusal.condition, "com.microsoft:message-lock-lost");
    }
    assert_eq!(world.receive().len(), 1, "it was not settled");
}

#[test]
fn a_lock_that_is_renewed_lasts_its_whole_duration_again() {
    let world = World::with(settings());
    world.send(vec![message("a", None)]);
    let first = world.receive();
    let (token, _) = first[0].lock.unwrap();
    world.pass(LOCK - MOMENT);
    let renew = || {
        world
            .bus
            .in_any_mailbox(&super::sub(), |mailbox, now| mailbox.renew(now, token))
    };
    renew().unwrap();
    world.pass(LOCK - MOMENT);
    world.settle(&first[0], &Settlement::Complete).unwrap();
    assert_eq!(
        renew().unwrap_err().condition,
        "com.microsoft:message-lock-lost"
    );
    assert_eq!(world.counts(), (0, 0));
}

#[test]
fn after_as_many_deliveries_as_allowed_a_message_is_a_dead_letter() {
    let world = World::with(settings());
    world.send(vec![message("a", None)]);
    for failures in 0..3 {
        let delivery = world.receive().remove(0);
        assert_eq!(delivery.message.failures, failures);
        match failures {
            1 => world.pass(LOCK),
            _ => world.settle(&delivery, &Settlement::Abandon).unwrap(),
        }
    }
    assert!(world.receive().is_empty());
    assert_eq!(world.counts(), (0, 1));
    let death = world.dead_letters().remove(0).message.death.unwrap();
    assert_eq!(death.reason, "MaxDeliveryCountExceeded");
}

#[test]
fn what_is_released_was_not_delivered_and_what_is_dead_lettered_says_why() {
    let world = World::with(settings());
    world.send(vec![message("a", None)]);
    for _ in 0..5 {
        world
            .settle(&world.receive()[0], &Settlement::Release)
            .unwrap();
    }
    let death = Death::new("bad", "really bad");
    world
        .settle(&world.receive()[0], &Settlement::DeadLetter(death.clone()))
        .unwrap();
    assert_eq!(world.counts(), (0, 1));
    assert_eq!(
        *world.dead_letters().remove(0).message.death.unwrap(),
        death
    );
}

#[test]
fn locked_messages_are_active_and_completed_ones_are_gone() {
    let world = World::with(settings());
    world.send(vec![message("a", None), message("b", None)]);
    let deliveries = world.receive();
    assert_eq!(world.counts(), (2, 0));
    world.settle(&deliveries[0], &Settlement::Complete).unwrap();
    assert_eq!(world.counts(), (1, 0));
    assert_eq!(
        world.bus.topic("topic").unwrap().size,
        u64::try_from(deliveries[1].message.content.size()).unwrap()
    );
}

#[test]
fn deferred_messages_are_received_by_their_number_only() {
    let world = World::with(settings());
    world.send(vec![message("a", None)]);
    world
        .settle(&world.receive()[0], &Settlement::Defer)
        .unwrap();
    assert!(world.receive().is_empty());
    let take = || {
        world.bus.in_any_mailbox(&super::sub(), |mailbox, now| {
            mailbox.take_deferred(now, &[1], false)
        })
    };
    let deferred = take().unwrap();
    assert_eq!(
        take().unwrap_err().condition,
        "com.microsoft:message-not-found"
    );
    world.settle(&deferred[0], &Settlement::Complete).unwrap();
    assert_eq!(world.counts(), (0, 0));
}

#[test]
fn messages_end_with_their_lifetime_but_not_while_they_are_locked() {
    let life = Duration::from_secs(10);
    let world = World::with(SubscriptionSettings {
        dead_lettering_on_message_expiration: true,
        ..settings()
    });
    let header = Header {
        ttl: Some(10_000),
        ..Header::default()
    };
    let mortal = || made_of(Some(header.clone()), Properties::default(), &[]);
    world.send(vec![mortal()]);
    let locked = world.receive();
    world.send(vec![mortal()]);
    world.pass(life);
    assert!(world.receive().is_empty());
    assert_eq!(world.counts(), (1, 1), "one is locked, one has expired");
    world.settle(&locked[0], &Settlement::Complete).unwrap();
    let death = world.dead_letters().remove(0).message.death.unwrap();
    assert_eq!(death.reason, "TTLExpiredException");
}

#[test]
fn without_dead_lettering_expired_messages_vanish() {
    let life = Duration::from_secs(10);
    let world = World::with(SubscriptionSettings {
        default_message_time_to_live: Some(life),
        ..settings()
    });
    world.send(vec![message("a", None)]);
    world.pass(life);
    assert!(world.receive().is_empty());
    assert_eq!(world.counts(), (0, 0));
    assert_eq!(world.bus.topic("topic").unwrap().size, 0);
}

#[test]
fn messages_for_later_come_when_their_time_has_come_unless_they_are_cancelled() {
    let world = World::with(settings());
    let mut later = message("a", None);
    later.scheduled = Some(crate::clock::later(
        crate::clock::Clock::now(&*world.clock),
        LOCK,
    ));
    let numbers = world.send(vec![later.clone(), later]);
    world.bus.cancel_scheduled("topic", &numbers[..1]).unwrap();
    assert!(world.bus.cancel_scheduled("topic", &numbers[..1]).is_err());
    assert_eq!(world.bus.topic("topic").unwrap().scheduled, 1);
    world.pass(LOCK);
    world.bus.advance();
    assert_eq!(world.receive().len(), 1);
}

#[test]
fn peeking_shows_messages_in_order_whatever_their_state_and_locks_nothing() {
    let world = World::with(settings());
    world.send((0..4).map(|_| message("a", None)).collect());
    let deliveries = world.receive();
    world.settle(&deliveries[1], &Settlement::Defer).unwrap();
    world.settle(&deliveries[2], &Settlement::Abandon).unwrap();
    let peek = |from, count| {
        let seen = world
            .bus
            .in_any_mailbox(&super::sub(), |mailbox, _| {
                Ok(mailbox.peek(from, count, None))
            })
            .unwrap();
        seen.iter()
            .map(|(message, _)| message.sequence)
            .collect::<Vec<_>>()
    };
    assert_eq!(peek(0, 10), [1, 2, 3, 4]);
    assert_eq!(peek(2, 2), [2, 3]);
    assert_eq!(sequences(&world.receive()), [3]);
}

#[test]
fn all_locks_can_be_lost_at_once() {
    let world = World::with(settings());
    world.send(vec![message("a", None), message("b", None)]);
    let deliveries = world.receive();
    world.bus.lose_locks("topic", "sub").unwrap();
    assert!(world.settle(&deliveries[0], &Settlement::Complete).is_err());
    assert_eq!(sequences(&world.receive()), [1, 2]);
}

#[test]
fn a_receiver_that_found_nothing_is_woken_by_the_next_message() {
    let world = World::with(settings());
    assert!(world.receive().is_empty());
    world.send(vec![message("a", None)]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    // Ends at once, because the waker was told.
    runtime.block_on(world.waker.notified());
}

#[test]
fn tens_of_thousands_of_messages_are_held_locked_and_given_back_in_order() {
    const BATCHES: i64 = 200;
    let world = World::with(settings());
    let batch: Vec<_> = (0..100).map(|_| message("a", None)).collect();
    for _ in 0..BATCHES {
        world.send(batch.clone());
    }
    let all: Vec<i64> = (1..=BATCHES * 100).collect();
    for failures in 0..2 {
        assert_eq!(world.counts(), (20_000, 0));
        let mut seen = Vec::new();
        for _ in 0..BATCHES {
            let deliveries = world.receive();
            assert!(
                deliveries
                    .iter()
                    .all(|delivery| delivery.message.failures == failures)
            );
            seen.extend(sequences(&deliveries));
        }
        assert_eq!(seen, all);
        world.pass(LOCK);
    }
    for _ in 0..BATCHES {
        for delivery in world.receive() {
            world.settle(&delivery, &Settlement::Complete).unwrap();
        }
    }
    assert_eq!(world.counts(), (0, 0));
    assert_eq!(world.bus.topic("topic").unwrap().size, 0);
}
