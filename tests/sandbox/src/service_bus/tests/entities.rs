//! Topics, subscriptions and rules.

use std::time::Duration;

use super::super::{EntityError, Filter, RuleDescription, SubscriptionSettings, TopicSettings};
use super::{World, message, settings, sub, subject_is};
use crate::clock::Clock;

fn refused(settings: SubscriptionSettings) -> bool {
    let made = World::new()
        .bus
        .create_subscription("topic", "sub", settings, None);
    matches!(made, Err(EntityError::BadRequest(_)))
}

#[test]
fn a_subscription_made_without_a_rule_takes_everything_by_the_rule_default() {
    let world = World::with(settings());
    let rules = world.bus.rules("topic", "SUB").unwrap();
    assert_eq!(
        (rules.len(), rules[0].name.as_str(), &rules[0].filter),
        (1, "$Default", &Filter::True)
    );
    world.send(vec![message("anything", None)]);
    assert_eq!(world.counts(), (1, 0));
}

#[test]
fn a_message_goes_once_to_every_subscription_with_a_rule_that_takes_it() {
    let world = World::new();
    world.subscribe("sub", settings(), Some(subject_is("a")));
    world.subscribe("other", settings(), Some(subject_is("b")));
    let rule = RuleDescription {
        name: "more".to_owned(),
        filter: Filter::True,
        created_at: world.clock.now(),
    };
    world.bus.create_rule("topic", "sub", rule.clone()).unwrap();
    assert!(matches!(
        world.bus.create_rule("topic", "sub", rule),
        Err(EntityError::AlreadyExists(_))
    ));
    world.send(vec![message("a", None)]);
    assert_eq!(world.counts(), (1, 0));
    assert_eq!(
        world
            .bus
            .subscription("topic", "other")
            .unwrap()
            .counts
            .active,
        0
    );
    world.bus.delete_rule("topic", "sub", "more").unwrap();
    world.bus.delete_rule("topic", "sub", "sub").unwrap();
    assert!(matches!(
        world.bus.delete_rule("topic", "sub", "sub"),
        Err(EntityError::NotFound(_))
    ));
    world.send(vec![message("a", None)]);
    assert_eq!(world.counts(), (1, 0), "without rules nothing is taken");
}

#[test]
fn settings_that_the_service_refuses_are_refused() {
    assert!(!refused(SubscriptionSettings::default()));
    let second = Duration::from_secs(1);
    assert!(refused(SubscriptionSettings {
        lock_duration: 301 * second,
        ..settings()
    }));
    assert!(refused(SubscriptionSettings {
        max_delivery_count: 0,
        ..settings()
    }));
    assert!(refused(SubscriptionSettings {
        auto_delete_on_idle: Some(299 * second),
        ..settings()
    }));
    let world = World::with(settings());
    let changed = SubscriptionSettings {
        requires_session: true,
        ..settings()
    };
    assert!(matches!(
        world.bus.update_subscription("topic", "sub", changed),
        Err(EntityError::BadRequest(_))
    ));
    for name in ["", "a b", "a/b", "-ä?", &"x".repeat(51)] {
        assert!(
            world
                .bus
                .create_subscription("topic", name, settings(), None)
                .is_err(),
            "{name}"
        );
    }
}

#[test]
fn a_subscription_that_nobody_uses_is_deleted_and_one_with_a_receiver_is_not() {
    let idle = Duration::from_secs(300);
    let world = World::with(SubscriptionSettings {
        auto_delete_on_idle: Some(idle),
        ..settings()
    });
    let (id, _) = world.bus.find_subscription(&sub()).unwrap();
    world.bus.count_receiver(&sub(), id, true);
    let mut deletions = world.bus.deletions();
    world.pass(idle * 2);
    world.bus.advance();
    assert!(world.bus.subscription("topic", "sub").is_ok());
    world.bus.count_receiver(&sub(), id, false);
    world.pass(idle);
    world.bus.advance();
    assert_eq!(
        world.bus.find_subscription(&sub()).unwrap_err().condition,
        "amqp:not-found"
    );
    assert!(deletions.has_changed().unwrap());
    deletions.mark_unchanged();
}

#[test]
fn another_subscription_of_the_same_name_is_not_the_one_that_was_deleted() {
    let world = World::with(settings());
    let (id, _) = world.bus.find_subscription(&sub()).unwrap();
    world.bus.delete_subscription("topic", "sub").unwrap();
    world.subscribe("sub", settings(), None);
    let refusal = world.bus.in_mailbox(&sub(), id, |_, _| Ok(())).unwrap_err();
    assert_eq!(refusal.condition, "amqp:not-found");
}

#[test]
fn a_partitioned_topic_takes_no_batch_with_several_sessions() {
    let world = World::with(settings());
    let mixed = || vec![message("a", Some("one")), message("a", Some("two"))];
    assert_eq!(
        world.bus.send("topic", mixed()).unwrap_err().condition,
        "amqp:not-allowed"
    );
    assert_eq!(world.counts(), (0, 0), "none of them was taken");
    world
        .bus
        .create_topic(
            "plain",
            TopicSettings {
                partitioned: false,
                ..TopicSettings::default()
            },
        )
        .unwrap();
    assert!(world.bus.send("plain", mixed()).is_ok());
}

#[test]
fn a_full_topic_takes_nothing_more() {
    let world = World::new();
    world
        .bus
        .create_topic(
            "small",
            TopicSettings {
                max_size: 1,
                ..TopicSettings::default()
            },
        )
        .unwrap();
    world
        .bus
        .create_subscription("small", "sub", settings(), None)
        .unwrap();
    world.bus.send("small", vec![message("a", None)]).unwrap();
    let refusal = world
        .bus
        .send("small", vec![message("a", None)])
        .unwrap_err();
    assert_eq!(refusal.condition, "amqp:resource-limit-exceeded");
}
