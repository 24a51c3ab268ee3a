//! The few kinds of values that our own statements need.

use jiff::Timestamp;
use uuid::Uuid;

/// A parameter or a result cell of a statement of our own; scripts never pass through it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// SQL's NULL.
    Null,
    /// An integer of any width.
    Int(i64),
    /// A truth value; an integer where the platform has none.
    Bool(bool),
    /// Text.
    Text(String),
    /// A UUID; text where the platform has no such type.
    Uuid(Uuid),
    /// A moment, stored in UTC.
    Time(Timestamp),
}

impl Value {
    /// The value as text, when it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as a number, when it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bool(truth) => Some(i64::from(*truth)),
            _ => None,
        }
    }

    /// The value as a UUID, also when the platform keeps it as text.
    pub fn as_uuid(&self) -> Option<Uuid> {
        match self {
            Self::Uuid(id) => Some(*id),
            Self::Text(text) => Uuid::parse_str(text).ok(),
            _ => None,
        }
    }

    /// Text, or NULL for none.
    pub fn text_or_null(text: Option<impl Into<String>>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.into()))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
