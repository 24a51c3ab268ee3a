//! Small documents as trees. Prefixes of names are left out: clients choose them as they like.

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_xml_entity};
use quick_xml::events::{BytesStart, Event};

/// How deep elements may be nested.
const DEEPEST: usize = 32;

/// An element with its attributes, its text and its children.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// The root of a document.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader::from_str(text);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(start) if open.len() > DEEPEST => {
                    return Err(format!("{start:?} is nested too deep"));
                }
                Event::Start(start) => open.push(Self::begin(&start)?),
                Event::Empty(start) => Self::last(&mut open)?.children.push(Self::begin(&start)?),
                Event::End(_) => Self::close(&mut open)?,
                Event::Text(text) => Self::last(&mut open)?.text.push_str(&text),
                Event::CData(text) => Self::last(&mut open)?.text.push_str(&text),
                Event::GeneralRef(name) => Self::last(&mut open)?.text.push_str(&resolve(&name)?),
                Event::Eof => break,
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
                Event::DocType(_) => return Err("a document type is not allowed".to_owned()),
            }
        }
        match (open.pop(), open.is_empty()) {
            (Some(mut top), true) => top
                .children
                .pop()
                .ok_or_else(|| "the document is empty".to_owned()),
            _ => Err("the document ends too early".to_owned()),
        }
    }

    fn begin(start: &BytesStart<'_>) -> Result<Self, String> {
        let mut element = Self {
            name: start.local_name().as_ref().to_owned(),
            ..Self::default()
        };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            element.attributes.push((
                attribute.key.local_name().as_ref().to_owned(),
                attribute.value.into_owned(),
            ));
        }
        Ok(element)
    }

    fn last(open: &mut [Self]) -> Result<&mut Self, String> {
        open.last_mut()
            .ok_or_else(|| "the document has no root".to_owned())
    }

    fn close(open: &mut Vec<Self>) -> Result<(), String> {
        let closed = open.pop().ok_or("the document has no root")?;
        Self::last(open)?.children.push(closed);
        Ok(())
    }

    /// The first child of this name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of this name; none when it is missing or empty.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.child(name)
            .map(|child| child.text.trim())
            .filter(|text| !text.is_empty())
    }

    /// The attribute `type`, without its prefix.
    pub(super) fn kind(&self) -> &str {
        let kind = self
            .attributes
            .iter()
            .find(|(name, _)| name == "type")
            .map_or("", |(_, value)| value.as_str());
        kind.rsplit(':').next().unwrap_or_default()
    }
}

/// What `&name;` stands for.
fn resolve(name: &str) -> Result<String, String> {
    let number = |digits: &str, radix| {
        u32::from_str_radix(digits, radix)
            .ok()
            .and_then(char::from_u32)
    };
    let character = match name.strip_prefix('#') {
        Some(hex) if hex.starts_with('x') => number(hex.trim_start_matches('x'), 16),
        Some(decimal) => number(decimal, 10),
        None => {
            return resolve_xml_entity(name)
                .map(str::to_owned)
                .ok_or_else(|| format!("&{name}; is not known"));
        }
    };
    character
        .map(String::from)
        .ok_or_else(|| format!("&{name}; is no character"))
}

/// `<name>value</name>`.
pub(super) fn element(name: &str, value: impl ToString) -> String {
    format!("<{name}>{}</{name}>", escape(value.to_string()))
}

/// The same, or nothing.
pub(super) fn optional(name: &str, value: Option<impl ToString>) -> String {
    value.map(|value| element(name, value)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_becomes_a_tree_without_prefixes() {
        let text = "<?xml version='1.0'?><a:entry xmlns:a='x'><a:Filter i:type='CorrelationFilter'><Label>a &amp; &#98;</Label>\
                    <SessionId/></a:Filter></a:entry>";
        let root = Element::parse(text).unwrap();
        let filter = root.child("Filter").unwrap();
        assert_eq!(
            (root.name.as_str(), filter.kind()),
            ("entry", "CorrelationFilter")
        );
        assert_eq!(
            (filter.value("Label"), filter.value("SessionId")),
            (Some("a & b"), None)
        );
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let deep = "<a>".repeat(40);
        for text in [
            "",
            "x",
            "<a>",
            "</a>",
            "<a></b>",
            "<a>&x;</a>",
            "<!DOCTYPE a><a/>",
            deep.as_str(),
        ] {
            assert!(Element::parse(text).is_err(), "{text}");
        }
    }
}
