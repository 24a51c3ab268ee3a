//! What clients have stumbled over, and what they may do wrong.

use bytes::Bytes;
use fe2o3_amqp_types::definitions::Role;
use fe2o3_amqp_types::messaging::Data;
use fe2o3_amqp_types::performatives::Transfer;
use fe2o3_amqp_types::primitives::{OrderedMap, Symbol, Value};

use super::super::connection::Next;
use super::super::encode::encoded;
use super::super::frame::{Frame, Kind};
use super::super::raw;
use super::{Answer, CHANNEL, NOTHING, SUBSCRIPTION, Wire};
use super::{attach, codes, described, disposition, flow, open, transfer};

#[test]
fn performatives_have_all_their_fields() {
    let mut wire = Wire::new();
    let lengths = |answers: Vec<Answer>| {
        answers
            .into_iter()
            .map(|(code, fields, _)| (code, fields.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(lengths(wire.say(&open())), [(0x10, 10)]);
    assert_eq!(
        lengths(wire.say(&attach(Role::Sender, 0, "topic"))),
        [(0x12, 14), (0x13, 11)]
    );
    assert_eq!(
        lengths(wire.say(&attach(Role::Sender, 5, "nothing"))),
        [(0x12, 14), (0x16, 3)]
    );
    assert_eq!(lengths(wire.receive(1, 1)), [(0x14, 11)]);
    assert_eq!(
        lengths(wire.say(&disposition(0, None, true, described(0x24, vec![])))),
        [(0x15, 6)]
    );
}

#[test]
fn an_error_has_its_info_although_it_is_empty() {
    let mut wire = Wire::new();
    let answers = wire.say(&attach(Role::Sender, 5, "nothing"));
    let Some((0x16, fields, _)) = answers.last() else {
        panic!("{answers:?}")
    };
    let Value::Described(error) = &fields[2] else {
        panic!("{fields:?}")
    };
    let Value::List(error) = &error.value else {
        panic!("{error:?}")
    };
    assert_eq!(error[0], Value::Symbol(Symbol::from("amqp:not-found")));
    assert!(matches!(error[2], Value::Map(_)));
}

#[test]
fn a_detach_is_answered_once_and_the_answer_to_ours_not_at_all() {
    let mut wire = Wire::new();
    wire.say(&attach(Role::Sender, 0, "topic"));
    wire.say(&attach(Role::Sender, 5, "nothing"));
    let detach = |handle| described(0x16, vec![Value::Uint(handle), Value::Bool(true)]);
    assert_eq!(
        codes(&wire.say(&detach(5))),
        NOTHING,
        "it is detached already"
    );
    assert_eq!(codes(&wire.say(&detach(0))), [0x16]);
    assert_eq!(codes(&wire.say(&detach(0))), NOTHING);
}

#[test]
fn the_delivery_tag_is_the_lock_token_in_the_byte_order_of_dotnet() {
    let mut wire = Wire::new();
    let answers = wire.receive(1, 1);
    let (0x14, fields, payload) = &answers[0] else {
        panic!("{answers:?}")
    };
    let Value::Binary(tag) = &fields[2] else {
        panic!("{fields:?}")
    };
    let sections = raw::sections(payload.clone()).unwrap();
    let annotations = sections
        .iter()
        .find(|section| section.code == 0x71)
        .unwrap();
    let Value::Map(annotations) = serde_amqp::from_slice(&annotations.value).unwrap() else {
        panic!()
    };
    let Some(Value::Uuid(token)) = annotations.values().next() else {
        panic!("{annotations:?}")
    };
    let token = uuid::Uuid::from_bytes(*token.as_inner());
    assert_eq!(tag.as_slice(), token.to_bytes_le());
}

#[test]
fn every_settlement_is_answered_even_one_that_is_called_settled() {
    let mut wire = Wire::new();
    assert_eq!(codes(&wire.receive(3, 3)), [0x14; 3]);
    let accepted = || described(0x24, vec![]);
    for (first, last, settled) in [(0, None, true), (1, Some(2), false)] {
        let answers = wire.say(&disposition(first, last, settled, accepted()));
        assert_eq!(
            codes(&answers),
            [0x15],
            "one answer for what was said at once"
        );
        let fields = &answers[0].1;
        assert_eq!(fields[1], Value::Uint(first));
        assert_eq!(fields[2], last.map_or(Value::Null, Value::Uint));
        assert_eq!((&fields[3], &fields[4]), (&Value::Bool(true), &accepted()));
    }
    assert_eq!(wire.counts(), (0, 0));
}

#[test]
fn reasons_for_dead_letters_are_understood_with_strings_as_keys() {
    let mut wire = Wire::new();
    wire.receive(1, 1);
    let mut info = OrderedMap::new();
    info.insert(
        Value::String("DeadLetterReason".to_owned()),
        Value::String("bad".to_owned()),
    );
    let condition = Value::Symbol(Symbol::from("com.microsoft:dead-letter"));
    let error = described(0x1d, vec![condition, Value::Null, Value::Map(info)]);
    let answers = wire.say(&disposition(0, None, true, described(0x25, vec![error])));
    assert_eq!(codes(&answers), [0x15]);
    assert_eq!(
        answers[0].1[4],
        described(0x25, vec![]),
        "confirmed without the error, which would be a refusal"
    );
    assert_eq!(wire.counts(), (0, 1));
}

#[test]
fn no_more_is_sent_than_there_is_credit_and_draining_uses_up_the_rest() {
    let mut wire = Wire::new();
    assert_eq!(codes(&wire.receive(3, 2)), [0x14; 2]);
    let answers = wire.say(&flow(10, true));
    assert_eq!(
        codes(&answers),
        [0x14, 0x13],
        "what there is, and then word that there is no more"
    );
    let fields = &answers[1].1;
    assert_eq!(
        (&fields[5], &fields[6]),
        (&Value::Uint(10), &Value::Uint(0))
    );
    assert_eq!(fields[8], Value::Bool(true));
}

#[test]
fn messages_larger_than_a_frame_are_split_and_joined() {
    let mut wire = Wire::new();
    wire.say(&attach(Role::Sender, 0, "topic"));
    let message = encoded(&Data(vec![7; 1000].into()));
    let (start, end) = message.split_at(600);
    assert!(
        wire.say_with(
            &Transfer {
                more: true,
                ..transfer(0)
            },
            start
        )
        .is_empty()
    );
    assert_eq!(codes(&wire.say_with(&transfer(0), end)), [0x15]);
    wire.say(&attach(Role::Receiver, 1, SUBSCRIPTION));
    let answers = wire.say(&flow(1, false));
    let payload: Vec<u8> = answers
        .iter()
        .flat_map(|answer| answer.2.to_vec())
        .collect();
    assert!(answers.len() > 1 && payload.ends_with(&message));
    let more: Vec<_> = answers.iter().map(|answer| answer.1[5].clone()).collect();
    assert_eq!(
        more.iter()
            .filter(|more| **more == Value::Bool(false))
            .count(),
        1
    );
    assert_eq!(more.last(), Some(&Value::Bool(false)));
}

#[test]
fn what_is_too_large_is_refused_when_it_is_complete_and_the_link_goes_on() {
    let mut wire = Wire::new();
    wire.say(&attach(Role::Sender, 0, "topic"));
    let part = vec![0; 50_000];
    for _ in 0..9 {
        assert!(
            wire.say_with(
                &Transfer {
                    more: true,
                    ..transfer(0)
                },
                &part
            )
            .is_empty()
        );
    }
    let answers = wire.say_with(&transfer(0), &[]);
    let state = format!("{:?}", answers[0].1[4]);
    assert!(state.contains("amqp:link:message-size-exceeded"), "{state}");
    let message = encoded(&Data(b"small".to_vec().into()));
    let answers = wire.say_with(&transfer(1), &message);
    assert_eq!(answers[0].1[4], described(0x24, vec![]));
    assert_eq!(wire.counts(), (1, 0));
}

#[test]
fn garbage_ends_the_connection_and_links_that_are_not_there_do_no_harm() {
    let mut wire = Wire::new();
    assert_eq!(codes(&wire.say_with(&transfer(0), b"x")), NOTHING);
    assert_eq!(codes(&wire.say(&flow(5, true))), NOTHING);
    assert_eq!(
        codes(&wire.say(&disposition(
            0,
            Some(u32::MAX),
            true,
            described(0x24, vec![])
        ))),
        NOTHING
    );
    wire.say(&attach(Role::Sender, 0, "topic"));
    let answers = wire.say_with(&transfer(0), b"no message");
    assert!(format!("{:?}", answers[0].1[4]).contains("amqp:decode-error"));
    let frame = Frame {
        kind: Kind::Amqp,
        channel: CHANNEL,
        body: Bytes::from_static(b"\x00\x53\x99\x45"),
    };
    assert_eq!(wire.connection.take(frame), Next::Close);
}
