//! Small XML documents as trees, so that what a manifest holds beyond our knowledge survives a rewrite.

use quick_xml::{
    NsReader, XmlVersion,
    events::{BytesRef, BytesStart, Event},
    name::{Namespace, ResolveResult},
};

use super::Fault;

/// Deeper documents are refused; real manifests have five levels.
const MAX_DEPTH: usize = 64;
/// Documents with more nodes are refused, so that a few megabytes of tags cannot take gigabytes.
const MAX_NODES: usize = 1_000_000;

/// An element with everything in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Element {
    /// Its name without prefix.
    pub name: String,
    /// Its namespace; empty when it has none.
    pub namespace: String,
    /// Its attributes without namespace declarations, in order.
    pub attributes: Vec<Attribute>,
    /// What is in it, in order.
    pub children: Vec<Node>,
}

/// An attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Attribute {
    /// Its name with its prefix.
    pub name: String,
    /// The namespace of its prefix; empty when it has none.
    pub namespace: String,
    /// Its value.
    pub value: String,
}

/// A part of an element.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// An element.
    Element(Element),
    /// Text.
    Text(String),
}

impl Element {
    /// An element without content.
    pub(super) fn new(name: &str, namespace: &str) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            ..Self::default()
        }
    }

    /// The elements in it.
    pub(super) fn elements(self) -> impl Iterator<Item = Self> {
        self.children.into_iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// Adds an attribute without namespace.
    pub(super) fn push(&mut self, name: &str, value: impl Into<String>) {
        self.attributes.push(Attribute {
            name: name.to_owned(),
            namespace: String::new(),
            value: value.into(),
        });
    }
}

/// Reads a document into its root element.
pub(super) fn parse(text: &str) -> Result<Element, Fault> {
    let mut reader = NsReader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut tree = Tree::default();
    loop {
        let event = reader.read_event().map_err(malformed)?;
        match event {
            Event::Start(start) => {
                let element = element(&reader, &start)?;
                tree.open(element)?;
            }
            Event::Empty(start) => {
                let element = element(&reader, &start)?;
                tree.open(element)?;
                tree.close()?;
            }
            Event::End(_) => tree.close()?,
            Event::Text(text) => tree.text(&text.xml10_content())?,
            Event::CData(text) => tree.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => tree.text(&resolve(&reference)?)?,
            Event::DocType(_) => {
                return Err(Fault::Entities {
                    what: "a document type declaration".into(),
                });
            }
            Event::Decl(declaration) => {
                if let Some(encoding) = declaration.encoding() {
                    accept_encoding(&encoding.map_err(malformed)?)?;
                }
            }
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => return tree.finish(),
        }
    }
}

/// The document as a tree under construction.
#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    root: Option<Element>,
    nodes: usize,
}

impl Tree {
    fn open(&mut self, element: Element) -> Result<(), Fault> {
        if self.root.is_some() {
            return Err(malformed("there is more than one root element"));
        }
        self.nodes += 1 + element.attributes.len();
        if self.open.len() >= MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(malformed(format!(
                "it has more than {MAX_DEPTH} levels or {MAX_NODES} nodes"
            )));
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let element = self
            .open
            .pop()
            .ok_or_else(|| malformed("an element ends that was not begun"))?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(element)),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Fault> {
        let Some(parent) = self.open.last_mut() else {
            return if text.trim().is_empty() {
                Ok(())
            } else {
                Err(malformed("there is text outside of the root element"))
            };
        };
        let text = without_illegal(text);
        if let Some(Node::Text(before)) = parent.children.last_mut() {
            before.push_str(&text);
        } else {
            parent.children.push(Node::Text(text));
        }
        Ok(())
    }

    fn finish(self) -> Result<Element, Fault> {
        match (self.open.last(), self.root) {
            (Some(open), _) => Err(malformed(format!("`{}` has no end", open.name))),
            (None, None) => Err(malformed("it is empty")),
            (None, Some(root)) => Ok(root),
        }
    }
}

fn element(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> Result<Element, Fault> {
    let resolver = reader.resolver();
    let (namespace, name) = resolver.resolve_element(start.name());
    let mut element = Element::new(name.as_ref(), namespace_text(&namespace)?);
    for attribute in start.attributes() {
        let attribute = attribute.map_err(malformed)?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let (namespace, _) = resolver.resolve_attribute(attribute.key);
        element.attributes.push(Attribute {
            name: attribute.key.as_ref().to_owned(),
            namespace: namespace_text(&namespace)?.to_owned(),
            value: without_illegal(&value.map_err(attribute_fault)?),
        });
    }
    Ok(element)
}

/// The text with U+FFFD for what XML cannot hold. References to such characters are found in old files; they are lost when
/// they are read, not when they are written, so that a package means the same before and after a rewrite.
fn without_illegal(text: &str) -> String {
    let legal = |character| match super::xml_write::is_legal(character) {
        true => character,
        false => char::REPLACEMENT_CHARACTER,
    };
    text.chars().map(legal).collect()
}

fn namespace_text<'a>(namespace: &'a ResolveResult<'a>) -> Result<&'a str, Fault> {
    match namespace {
        ResolveResult::Unbound => Ok(""),
        ResolveResult::Bound(Namespace(text)) => Ok(text),
        ResolveResult::Unknown(prefix) => {
            Err(malformed(format!("the prefix `{prefix}` is not declared")))
        }
    }
}

/// The character that a reference stands for; only the predefined entities are known.
fn resolve(reference: &BytesRef<'_>) -> Result<String, Fault> {
    if let Some(character) = reference.resolve_char_ref().map_err(malformed)? {
        return Ok(character.to_string());
    }
    quick_xml::escape::resolve_predefined_entity(reference)
        .map(str::to_owned)
        .ok_or_else(|| Fault::Entities {
            what: format!("the entity `&{};`", &**reference),
        })
}

fn attribute_fault(error: quick_xml::Error) -> Fault {
    use quick_xml::{Error, escape::EscapeError};
    match error {
        Error::Escape(EscapeError::UnrecognizedEntity(_, entity)) => Fault::Entities {
            what: format!("the entity `&{entity};`"),
        },
        other => malformed(other),
    }
}

/// The text was decoded before, so a declaration of another encoding means that it was decoded wrongly.
fn accept_encoding(encoding: &str) -> Result<(), Fault> {
    let known = ["utf-8", "utf-16", "us-ascii"];
    if known.iter().any(|name| name.eq_ignore_ascii_case(encoding)) {
        return Ok(());
    }
    Err(malformed(format!("it declares the encoding `{encoding}`")))
}

fn malformed(reason: impl ToString) -> Fault {
    Fault::Xml {
        reason: reason.to_string(),
    }
}
