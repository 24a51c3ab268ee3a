//! Sessions belong to one receiver at a time.

use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp_types::primitives::Value;

use super::super::{Holder, Settlement};
use super::{LOCK, World, by_session, message, sequences, settings, sub};
use crate::amqp::Refusal;

/// Accepts the next session, or this one, for the receiver of this number.
fn accept(world: &World, wanted: Option<&str>, holder: u64) -> Result<Option<String>, Refusal> {
    let (id, _) = world.bus.find_subscription(&sub()).unwrap();
    let holder = Holder {
        id: holder,
        waker: Arc::clone(&world.waker),
    };
    let accepted = world.bus.accept_session(&sub(), id, wanted, &holder)?;
    Ok(accepted.map(|(session, _)| session.to_string()))
}

fn world() -> World {
    let world = World::with(by_session());
    for session in ["b", "a", "b"] {
        world.send(vec![message("x", Some(session))]);
    }
    world
}

#[test]
fn the_session_with_the_oldest_message_is_next_and_nobody_else_gets_it() {
    let world = world();
    assert_eq!(accept(&world, None, 1).unwrap().as_deref(), Some("b"));
    assert_eq!(accept(&world, None, 2).unwrap().as_deref(), Some("a"));
    assert_eq!(accept(&world, None, 3).unwrap(), None);
    assert_eq!(
        accept(&world, Some("a"), 3).unwrap_err().condition,
        "com.microsoft:session-cannot-be-locked"
    );
    assert_eq!(
        sequences(&world.receive_by(Some(("b", 1))).unwrap()),
        [1, 3]
    );
    assert!(
        world.receive_by(Some(("b", 2))).is_err(),
        "it belongs to another receiver"
    );
    assert!(
        world.receive().is_empty(),
        "nothing is received without a session"
    );
}

#[test]
fn a_session_whose_lock_ends_is_lost_and_its_messages_count_the_delivery() {
    let world = world();
    accept(&world, Some("b"), 1).unwrap();
    let deliveries = world.receive_by(Some(("b", 1))).unwrap();
    world.pass(LOCK);
    let lost = "com.microsoft:session-lock-lost";
    assert_eq!(
        world.receive_by(Some(("b", 1))).unwrap_err().condition,
        lost
    );
    assert_eq!(
        world
            .settle(&deliveries[0], &Settlement::Complete)
            .unwrap_err()
            .condition,
        "com.microsoft:message-lock-lost"
    );
    let renewed = world
        .bus
        .in_any_mailbox(&sub(), |mailbox, now| mailbox.renew_session(now, "b"));
    assert_eq!(renewed.unwrap_err().condition, lost);
    assert_eq!(accept(&world, Some("b"), 2).unwrap().as_deref(), Some("b"));
    let again = world.receive_by(Some(("b", 2))).unwrap();
    assert_eq!(sequences(&again), [1, 3]);
    assert!(again.iter().all(|delivery| delivery.message.failures == 1));
}

#[test]
fn one_renewal_keeps_the_session_with_all_its_messages() {
    let world = world();
    accept(&world, Some("b"), 1).unwrap();
    let deliveries = world.receive_by(Some(("b", 1))).unwrap();
    let moment = Duration::from_millis(1);
    for _ in 0..3 {
        world.pass(LOCK - moment);
        world
            .bus
            .in_any_mailbox(&sub(), |mailbox, now| mailbox.renew_session(now, "b"))
            .unwrap();
    }
    world.pass(LOCK - moment);
    for delivery in &deliveries {
        world.settle(delivery, &Settlement::Complete).unwrap();
    }
    assert_eq!(world.counts(), (1, 0));
}

#[test]
fn a_session_that_is_given_up_is_free_at_once_and_its_messages_were_not_delivered() {
    let world = world();
    accept(&world, Some("b"), 1).unwrap();
    world.receive_by(Some(("b", 1))).unwrap();
    let release = |holder| {
        let (id, _) = world.bus.find_subscription(&sub()).unwrap();
        world.bus.in_mailbox(&sub(), id, |mailbox, _| {
            mailbox.release_session("b", holder);
            Ok(())
        })
    };
    release(2).unwrap();
    assert!(
        accept(&world, Some("b"), 2).is_err(),
        "only its holder gives it up"
    );
    release(1).unwrap();
    accept(&world, Some("b"), 2).unwrap();
    let again = world.receive_by(Some(("b", 2))).unwrap();
    assert!(again.iter().all(|delivery| delivery.message.failures == 0));
}

#[test]
fn the_state_stays_with_the_session_when_its_messages_are_gone() {
    let world = world();
    accept(&world, Some("a"), 1).unwrap();
    let state = || {
        world
            .bus
            .in_any_mailbox(&sub(), |mailbox, _| Ok(mailbox.session_state("a")))
            .unwrap()
    };
    assert_eq!(state(), Value::Null);
    let kept = Value::String("kept".to_owned());
    world
        .bus
        .in_any_mailbox(&sub(), |mailbox, _| {
            mailbox.set_session_state("a", kept.clone())
        })
        .unwrap();
    let deliveries = world.receive_by(Some(("a", 1))).unwrap();
    world.settle(&deliveries[0], &Settlement::Complete).unwrap();
    world.pass(LOCK);
    assert_eq!(state(), kept);
    accept(&world, Some("a"), 2).unwrap();
    assert_eq!(state(), kept);
}

#[test]
fn a_message_without_session_is_a_dead_letter_where_sessions_are_required() {
    let world = World::with(by_session());
    world.subscribe("other", settings(), None);
    world.send(vec![message("x", None)]);
    assert_eq!(world.counts(), (0, 1));
    assert_eq!(
        world.dead_letters()[0]
            .message
            .death
            .as_ref()
            .unwrap()
            .reason,
        "Session ID is null."
    );
    assert_eq!(
        world
            .bus
            .subscription("topic", "other")
            .unwrap()
            .counts
            .active,
        1
    );
}

#[test]
fn sessions_are_refused_where_none_are_required() {
    let world = World::with(settings());
    assert_eq!(
        accept(&world, Some("a"), 1).unwrap_err().condition,
        "amqp:not-allowed"
    );
}
