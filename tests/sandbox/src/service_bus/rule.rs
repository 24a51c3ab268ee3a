//! Rules of a subscription: which messages it takes.

use std::collections::BTreeMap;

use fe2o3_amqp_types::messaging::MessageId;
use fe2o3_amqp_types::primitives::SimpleValue;
use jiff::Timestamp;

use super::EntityError;
use super::sql::Expression;
use crate::amqp::message::Incoming;

/// A rule as management describes it. The sandbox has no rule actions.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleDescription {
    /// Its name; `$Default` is the one that a subscription gets when it is made without a rule.
    pub name: String,
    /// Which messages it takes.
    pub filter: Filter,
    /// When it was made. A new rule gets the time of the service, whatever is said here.
    pub created_at: Timestamp,
}

/// Which messages a rule takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All.
    True,
    /// None.
    False,
    /// Those that have all these values.
    Correlation(Box<CorrelationFilter>),
    /// Those for which an SQL expression holds; the text as it was given.
    Sql(String),
}

/// Values that a message has to have; what is `None` is not looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CorrelationFilter {
    /// The property of this name.
    pub correlation_id: Option<String>,
    /// The property of this name.
    pub message_id: Option<String>,
    /// The property of this name.
    pub to: Option<String>,
    /// The property of this name.
    pub reply_to: Option<String>,
    /// Subject, which other parts of the service call label.
    pub subject: Option<String>,
    /// Group id in AMQP.
    pub session_id: Option<String>,
    /// Reply-to group id in AMQP.
    pub reply_to_session_id: Option<String>,
    /// The property of this name.
    pub content_type: Option<String>,
    /// Application properties.
    pub properties: BTreeMap<String, SimpleValue>,
}

/// A rule, ready to be asked.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) description: RuleDescription,
    /// The expression of an SQL filter.
    expression: Option<Expression>,
}

impl Rule {
    pub(super) fn new(description: RuleDescription) -> Result<Self, EntityError> {
        let expression = match &description.filter {
            Filter::Sql(text) => Some(Expression::parse(text).map_err(EntityError::BadRequest)?),
            Filter::True | Filter::False | Filter::Correlation(_) => None,
        };
        Ok(Self {
            description,
            expression,
        })
    }

    pub(super) fn takes(&self, message: &Incoming) -> bool {
        match &self.description.filter {
            Filter::True => true,
            Filter::False => false,
            Filter::Correlation(filter) => filter.takes(message),
            Filter::Sql(_) => self
                .expression
                .as_ref()
                .is_some_and(|expression| expression.holds(message)),
        }
    }
}

impl CorrelationFilter {
    fn takes(&self, message: &Incoming) -> bool {
        let properties = &message.properties;
        let same = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == is)
        };
        let same_id = |wanted: &Option<String>, is: &Option<MessageId>| {
            same(wanted, is.as_ref().map(id_text).as_deref())
        };
        same_id(&self.correlation_id, &properties.correlation_id)
            && same_id(&self.message_id, &properties.message_id)
            && same(&self.to, properties.to.as_deref())
            && same(&self.reply_to, properties.reply_to.as_deref())
            && same(&self.subject, properties.subject.as_deref())
            && same(&self.session_id, properties.group_id.as_deref())
            && same(
                &self.reply_to_session_id,
                properties.reply_to_group_id.as_deref(),
            )
            && same(
                &self.content_type,
                properties.content_type.as_ref().map(|text| text.as_str()),
            )
            && self.properties.iter().all(|(name, wanted)| {
                message
                    .application
                    .0
                    .get(name)
                    .is_some_and(|is| Operand::from(is) == Operand::from(wanted))
            })
    }
}

/// A value as rules compare it: numbers by value, whatever their width.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub(super) enum Operand {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// What is only ever compared for equality.
    Other(String),
}

impl From<&SimpleValue> for Operand {
    fn from(value: &SimpleValue) -> Self {
        match value {
            SimpleValue::Null => Self::Null,
            SimpleValue::Bool(value) => Self::Bool(*value),
            SimpleValue::Ubyte(value) => Self::Number(f64::from(*value)),
            SimpleValue::Ushort(value) => Self::Number(f64::from(*value)),
            SimpleValue::Uint(value) => Self::Number(f64::from(*value)),
            SimpleValue::Ulong(value) => Self::Number(*value as f64),
            SimpleValue::Byte(value) => Self::Number(f64::from(*value)),
            SimpleValue::Short(value) => Self::Number(f64::from(*value)),
            SimpleValue::Int(value) => Self::Number(f64::from(*value)),
            SimpleValue::Long(value) => Self::Number(*value as f64),
            SimpleValue::Float(value) => Self::Number(f64::from(value.0)),
            SimpleValue::Double(value) => Self::Number(value.0),
            SimpleValue::String(value) => Self::Text(value.clone()),
            SimpleValue::Symbol(value) => Self::Text(value.as_str().to_owned()),
            other => Self::Other(format!("{other:?}")),
        }
    }
}

/// An id as text.
pub(super) fn id_text(id: &MessageId) -> String {
    match id {
        MessageId::String(text) => text.clone(),
        MessageId::Ulong(number) => number.to_string(),
        MessageId::Uuid(id) => uuid::Uuid::from_bytes(*id.as_inner()).to_string(),
        MessageId::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
