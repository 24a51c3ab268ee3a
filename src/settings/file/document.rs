//! What a settings file says: some of the members, each with a value of its kind.

use secrecy::{ExposeSecret, SecretString};

use super::member::{Kind, MEMBERS, Member};

/// The value of a member.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// A text.
    Text(String),
    /// A secret as it stands in the file: mostly encrypted.
    Secret(SecretString),
    /// A number.
    Number(i32),
    /// A truth.
    Flag(bool),
    /// One of the words of the kind, as the kind spells it.
    Word(&'static str),
    /// Some of the words of the kind, in its order.
    Words(Vec<&'static str>),
}

impl Value {
    /// What counts when nothing is given; none for nothing.
    pub(crate) fn default_of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Number { default, .. } => Some(Self::Number(default)),
            Kind::Flag { default } => Some(Self::Flag(default)),
            Kind::Word(choices) => Some(Self::Word(choices.first()?.1)),
            Kind::Words(choices) => Some(Self::Words(vec![choices.first()?.1])),
            Kind::Text | Kind::Secret(_) | Kind::Connection(_) => None,
        }
    }

    /// The value as somebody would type it; none for what counts as not set: blank texts, and 0. Secrets are masked.
    pub(crate) fn typed(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
            Self::Secret(secret) => (!is_blank(secret)).then(|| MASK.to_owned()),
            Self::Number(0) => None,
            Self::Number(number) => Some(number.to_string()),
            Self::Flag(truth) => Some(truth.to_string()),
            Self::Word(word) => Some((*word).to_owned()),
            Self::Words(words) => Some(words.join(",")).filter(|words| !words.is_empty()),
        }
    }
}

/// What stands in the place of a secret: nothing of it, not even its length.
pub(crate) const MASK: &str = "***";

pub(crate) fn is_blank(secret: &SecretString) -> bool {
    secret.expose_secret().trim().is_empty()
}

/// The members that are set, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    values: Vec<(&'static Member, Value)>,
}

impl Document {
    /// The value of a member, when it is set.
    pub(crate) fn get(&self, member: &Member) -> Option<&Value> {
        self.values
            .iter()
            .find(|(known, _)| std::ptr::eq(*known, member))
            .map(|(_, value)| value)
    }

    /// Sets a member.
    pub(crate) fn set(&mut self, member: &'static Member, value: Value) {
        self.remove(member);
        self.values.push((member, value));
    }

    /// Leaves a member out.
    pub(crate) fn remove(&mut self, member: &Member) {
        self.values
            .retain(|(known, _)| !std::ptr::eq(*known, member));
    }

    /// What is set, in the order of the file.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'static Member, &Value)> {
        MEMBERS
            .iter()
            .filter_map(|member| Some((member, self.get(member)?)))
    }
}
