//! Which messages filters take.

use fe2o3_amqp_types::messaging::Properties;
use fe2o3_amqp_types::primitives::SimpleValue;

use super::super::rule::Rule;
use super::super::{CorrelationFilter, EntityError, Filter, RuleDescription};
use super::made_of;
use crate::amqp::message::Incoming;

fn rule(filter: Filter) -> Result<Rule, EntityError> {
    let created_at = jiff::Timestamp::UNIX_EPOCH;
    Rule::new(RuleDescription {
        name: "rule".to_owned(),
        filter,
        created_at,
    })
}

fn sql(expression: &str, message: &Incoming) -> bool {
    rule(Filter::Sql(expression.to_owned()))
        .unwrap()
        .takes(message)
}

fn full() -> Incoming {
    let text = |text: &str| Some(text.to_owned());
    let properties = Properties {
        message_id: Some("id".to_owned().into()),
        correlation_id: Some("correlation".to_owned().into()),
        to: text("to"),
        reply_to: text("reply"),
        subject: text("subject"),
        group_id: text("session"),
        reply_to_group_id: text("reply session"),
        content_type: Some("text".into()),
        ..Properties::default()
    };
    let application = [
        ("n", SimpleValue::Int(5)),
        ("name", "it's".into()),
        ("yes", SimpleValue::Bool(true)),
    ];
    made_of(None, properties, &application)
}

#[test]
fn every_field_of_a_correlation_filter_is_looked_at() {
    type Set = fn(&mut CorrelationFilter, String);
    let fields: [(Set, &str); 8] = [
        (|filter, value| filter.message_id = Some(value), "id"),
        (
            |filter, value| filter.correlation_id = Some(value),
            "correlation",
        ),
        (|filter, value| filter.to = Some(value), "to"),
        (|filter, value| filter.reply_to = Some(value), "reply"),
        (|filter, value| filter.subject = Some(value), "subject"),
        (|filter, value| filter.session_id = Some(value), "session"),
        (
            |filter, value| filter.reply_to_session_id = Some(value),
            "reply session",
        ),
        (|filter, value| filter.content_type = Some(value), "text"),
    ];
    for (set, value) in fields {
        for (wanted, taken) in [(value.to_owned(), true), (format!("{value}."), false)] {
            let mut filter = CorrelationFilter::default();
            set(&mut filter, wanted.clone());
            assert_eq!(
                rule(Filter::Correlation(Box::new(filter)))
                    .unwrap()
                    .takes(&full()),
                taken,
                "{wanted}"
            );
        }
    }
}

#[test]
fn application_properties_are_compared_by_value() {
    let takes = |name: &str, value: SimpleValue| {
        let properties = [(name.to_owned(), value)].into();
        let filter = CorrelationFilter {
            properties,
            ..CorrelationFilter::default()
        };
        rule(Filter::Correlation(Box::new(filter)))
            .unwrap()
            .takes(&full())
    };
    assert!(takes("n", SimpleValue::Long(5)) && takes("yes", SimpleValue::Bool(true)));
    assert!(
        !takes("n", "5".into())
            && !takes("n", SimpleValue::Int(6))
            && !takes("m", SimpleValue::Int(5))
    );
}

#[test]
fn sql_expressions_hold_as_in_sql() {
    let message = full();
    for expression in [
        "1=1",
        "sys.Label = 'subject'",
        "sys.label <> 'other' AND n >= 5",
        "[name] = 'it''s'",
        "user.n IN (1, 5) OR missing = 1",
        "name LIKE 'i_''%' AND NOT name LIKE 'x%'",
        "missing IS NULL AND n IS NOT NULL",
        "EXISTS(n) AND NOT EXISTS (missing)",
        "yes = TRUE AND -1 < n",
        "NOT (n = 6 OR sys.SessionId = 'x')",
    ] {
        assert!(sql(expression, &message), "{expression}");
    }
    for expression in [
        "1=0",
        "missing = 1",
        "missing <> 1",
        "NOT missing = 1",
        "n = '5'",
        "sys.To = 'to' AND n > 5",
        "n NOT IN (5)",
        "n IN (1, missing)",
        "n NOT IN (1, missing)",
    ] {
        assert!(!sql(expression, &message), "{expression}");
    }
}

#[test]
fn what_is_no_expression_is_refused_when_the_rule_is_made() {
    let deep = format!("{}1=1{}", "(".repeat(1000), ")".repeat(1000));
    for expression in [
        "",
        "n",
        "n =",
        "= 1",
        "n = 1 AND",
        "(n = 1",
        "n = 'x",
        "[n = 1",
        "n = 1.2.3",
        "a ; b",
        &deep,
    ] {
        let made = rule(Filter::Sql(expression.to_owned()));
        assert!(
            matches!(made, Err(EntityError::BadRequest(_))),
            "{expression}"
        );
    }
}
