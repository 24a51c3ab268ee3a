//! Which entity a path names.

/// What can be managed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Address {
    /// The namespace itself.
    Namespace,
    /// All topics.
    Topics,
    /// One topic.
    Topic(String),
    /// All subscriptions of a topic.
    Subscriptions(String),
    /// A subscription of a topic.
    Subscription(String, String),
    /// All rules of a subscription.
    Rules(String, String),
    /// A rule of a subscription.
    Rule(String, String, String),
}

impl Address {
    /// Reads the path of a request; the words between names may be written in any case.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let parts: Vec<String> = path.trim_matches('/').split('/').map(decoded).collect();
        let words: Vec<String> = parts.iter().map(|part| part.to_lowercase()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let name = |place: usize| parts.get(place).cloned().unwrap_or_default();
        Some(match words.as_slice() {
            ["$namespaceinfo"] => Self::Namespace,
            ["$resources", "topics"] => Self::Topics,
            [""] | ["$resources", ..] => return None,
            [_] => Self::Topic(name(0)),
            [_, "subscriptions"] => Self::Subscriptions(name(0)),
            [_, "subscriptions", _] => Self::Subscription(name(0), name(2)),
            [_, "subscriptions", _, "rules"] => Self::Rules(name(0), name(2)),
            [_, "subscriptions", _, "rules", _] => Self::Rule(name(0), name(2), name(4)),
            _ => return None,
        })
    }

    /// The path as the service writes it.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Namespace => "$namespaceinfo".to_owned(),
            Self::Topics => "$Resources/topics".to_owned(),
            Self::Topic(topic) => topic.clone(),
            Self::Subscriptions(topic) => format!("{topic}/Subscriptions"),
            Self::Subscription(topic, name) => format!("{topic}/Subscriptions/{name}"),
            Self::Rules(topic, name) => format!("{topic}/Subscriptions/{name}/Rules"),
            Self::Rule(topic, name, rule) => format!("{topic}/Subscriptions/{name}/Rules/{rule}"),
        }
    }
}

/// Undoes `%24` and the like.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut digits = rest
            .clone()
            .map_while(|digit| u8::try_from(char::from(digit).to_digit(16)?).ok());
        match (byte, digits.next(), digits.next()) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high * 16 + low);
                rest.nth(1);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_an_entity_in_any_case() {
        let rule = Address::Rule("Topic".into(), "sub".into(), "$Default".into());
        assert_eq!(
            Address::parse("/Topic/subscriptions/sub/RULES/%24Default"),
            Some(rule)
        );
        assert_eq!(Address::parse("/t"), Some(Address::Topic("t".into())));
        assert_eq!(Address::parse("/$Resources/Topics"), Some(Address::Topics));
        for path in [
            "/",
            "",
            "/t/x",
            "/t/subscriptions/s/x",
            "/$resources/queues",
        ] {
            assert_eq!(Address::parse(path), None, "{path}");
        }
    }

    #[test]
    fn percent_signs_that_say_nothing_stay() {
        assert_eq!(decoded("a%2fb%zz%4"), "a/b%zz%4");
    }
}
