//! Small XML documents, one child of the root after the other, with the lines on which elements stand.

use quick_xml::{
    Reader, XmlVersion,
    events::{BytesRef, BytesStart, Event},
};

use super::Fault;
use crate::sql::LineIndex;

/// Deeper documents are refused; real ones have eight levels.
const MAX_DEPTH: usize = 64;
/// A child of the root with more elements in it is refused, so that a few megabytes of tags cannot take gigabytes.
const MAX_ELEMENTS: usize = 1_000_000;

/// An element with everything in it. Prefixes and namespaces do not count.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) line: u32,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element>,
    /// Its own text without blanks around it, except those that are written as references or in a CDATA section.
    pub(super) text: String,
    /// How much of the text is kept when blanks are cut off its end.
    kept: usize,
}

impl Element {
    /// The elements in it that are called `name`.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first element in it that is called `name`.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first element in it that is called `name`; empty when there is none.
    pub(super) fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }

    /// The value of an attribute; empty when it has none of that name.
    pub(super) fn attribute(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    fn literal(&mut self, text: &str) {
        let text = match self.text.is_empty() {
            true => text.trim_start(),
            false => text,
        };
        self.text.push_str(text);
    }

    fn exact(&mut self, text: &str) {
        self.text.push_str(text);
        self.kept = self.text.len();
    }

    fn close(mut self) -> Self {
        let end = self.text.trim_end().len().max(self.kept);
        self.text.truncate(end);
        self
    }
}

/// Hands the children of the root, which must be called `root`, to `each`; what is not XML ends the reading.
pub(super) fn read(text: &str, root: &str, each: impl FnMut(Element)) -> Result<(), Fault> {
    let lines = LineIndex::new(text);
    let mut tree = Tree {
        root,
        each,
        seen_root: false,
        open: Vec::new(),
        elements: 0,
    };
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    loop {
        let start = line_at(&lines, reader.buffer_position());
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                return Err(malformed(line_at(&lines, reader.error_position()), error));
            }
        };
        match event {
            Event::Start(tag) => tree.open(element(&tag, start)?)?,
            Event::Empty(tag) => {
                tree.open(element(&tag, start)?)?;
                tree.close();
            }
            Event::End(_) => tree.close(),
            Event::Text(text) => tree.text(start, &text.xml10_content(), Element::literal)?,
            Event::CData(text) => tree.text(start, &text.xml10_content(), Element::exact)?,
            Event::GeneralRef(reference) => {
                tree.text(start, &resolve(&reference, start)?, Element::exact)?;
            }
            Event::DocType(_) => return Err(entity(start, "a document type declaration")),
            Event::Decl(declaration) => {
                if let Some(encoding) = declaration.encoding() {
                    let encoding = encoding.map_err(|error| malformed(start, error))?;
                    accept_encoding(&encoding, start)?;
                }
            }
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => return tree.finish(start),
        }
    }
}

struct Tree<'a, F> {
    root: &'a str,
    each: F,
    seen_root: bool,
    /// The root and what is open in it.
    open: Vec<Element>,
    elements: usize,
}

impl<F: FnMut(Element)> Tree<'_, F> {
    fn open(&mut self, element: Element) -> Result<(), Fault> {
        if self.open.is_empty() {
            if std::mem::replace(&mut self.seen_root, true) {
                return Err(malformed(
                    element.line,
                    "there is more than one root element",
                ));
            }
            if element.name != self.root {
                let problem = format!("the root element is called so; accepted is `{}`", self.root);
                return Err(Fault::at(element.line, &element.name, problem));
            }
        }
        self.elements += 1 + element.attributes.len();
        if self.open.len() >= MAX_DEPTH || self.elements > MAX_ELEMENTS {
            let problem =
                format!("it has more than {MAX_DEPTH} levels, or {MAX_ELEMENTS} elements in one");
            return Err(malformed(element.line, problem));
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) {
        let Some(element) = self.open.pop().map(Element::close) else {
            return;
        };
        match self.open.as_mut_slice() {
            [] => {}
            [_] => {
                self.elements = 0;
                (self.each)(element);
            }
            [.., parent] => parent.children.push(element),
        }
    }

    fn text(&mut self, line: u32, text: &str, push: fn(&mut Element, &str)) -> Result<(), Fault> {
        match self.open.last_mut() {
            Some(_) if !text.chars().all(is_legal) => return Err(illegal(line)),
            Some(element) => push(element, text),
            None if text.trim().is_empty() => {}
            None => return Err(malformed(line, "there is text outside of the root element")),
        }
        Ok(())
    }

    fn finish(&self, line: u32) -> Result<(), Fault> {
        match self.open.last() {
            Some(open) => Err(malformed(open.line, format!("`{}` has no end", open.name))),
            None if self.seen_root => Ok(()),
            None => Err(malformed(line, "there is no element")),
        }
    }
}

fn element(tag: &BytesStart<'_>, line: u32) -> Result<Element, Fault> {
    let mut element = Element {
        name: tag.local_name().as_ref().to_owned(),
        line,
        ..Element::default()
    };
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| malformed(line, error))?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| malformed(line, error))?;
        if !value.chars().all(is_legal) {
            return Err(illegal(line));
        }
        let name = attribute.key.local_name().as_ref().to_owned();
        element.attributes.push((name, value.into_owned()));
    }
    Ok(element)
}

/// The character that a reference stands for; only the predefined entities are known.
fn resolve(reference: &BytesRef<'_>, line: u32) -> Result<String, Fault> {
    let character = reference.resolve_char_ref();
    if let Some(character) = character.map_err(|error| malformed(line, error))? {
        return Ok(character.to_string());
    }
    quick_xml::escape::resolve_predefined_entity(reference)
        .map(str::to_owned)
        .ok_or_else(|| entity(line, &format!("the entity `&{};`", &**reference)))
}

/// The text was decoded before, so a declaration of another encoding means that it was decoded wrongly. The reference
/// program declares UTF-16 and writes UTF-8.
fn accept_encoding(encoding: &str, line: u32) -> Result<(), Fault> {
    let known = ["utf-8", "utf-16", "us-ascii"];
    if known.iter().any(|name| name.eq_ignore_ascii_case(encoding)) {
        return Ok(());
    }
    let problem =
        "the XML declares this encoding; accepted are UTF-8 and, with a byte order mark, UTF-16";
    Err(Fault::at(line, encoding, problem))
}

/// Whether XML 1.0 can hold the character at all.
pub(super) fn is_legal(character: char) -> bool {
    let control = character < ' ' && !matches!(character, '\t' | '\n' | '\r');
    !control && !matches!(character, '\u{FFFE}' | '\u{FFFF}')
}

fn illegal(line: u32) -> Fault {
    malformed(line, "there is a character that XML cannot hold")
}

fn entity(line: u32, what: &str) -> Fault {
    let problem = "accepted is XML without document type and with the five predefined entities";
    Fault::in_lines(vec![line], format!("the XML has {what}; {problem}"))
}

fn malformed(line: u32, reason: impl std::fmt::Display) -> Fault {
    let problem = format!("the XML is not well-formed: {reason}; accepted is XML 1.0");
    Fault::in_lines(vec![line], problem)
}

fn line_at(lines: &LineIndex<'_>, offset: u64) -> u32 {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    lines.line_column(offset).0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn children(text: &str) -> Result<Vec<Element>, String> {
        let mut children = Vec::new();
        match read(text, "r", |element| children.push(element)) {
            Ok(()) => Ok(children),
            Err(fault) => Err(fault.to_string()),
        }
    }

    #[test]
    fn elements_know_their_lines() {
        let text = "<?xml version='1.0'?>\n<r>\n  <a\n x='1'>t\n<b/></a>\n\n  <c/>\n</r>\n";
        let found = children(text).unwrap();
        let lines: Vec<u32> = found.iter().map(|element| element.line).collect();
        assert_eq!(lines, [3, 7]);
        assert_eq!(found[0].child("b").unwrap().line, 5);
        assert_eq!(
            (found[0].attribute("x"), found[0].attribute("y")),
            ("1", "")
        );
    }

    #[test]
    fn blanks_around_text_are_dropped_unless_they_are_meant() {
        for (text, expected) in [
            ("<r><a>\n x y \t</a></r>", "x y"),
            ("<r><a> &#32;x&#32; </a></r>", " x "),
            ("<r><a><![CDATA[ x ]]></a></r>", " x "),
            ("<r><a> a&amp;b </a></r>", "a&b"),
            ("<r><a> a<!-- c --> b <d/></a></r>", "a b"),
            ("<r><a>&#13;&#10;</a></r>", "\r\n"),
            ("<p:r xmlns:p='urn:x'><p:a>x</p:a></p:r>", "x"),
        ] {
            assert_eq!(children(text).unwrap()[0].text, expected, "{text}");
        }
    }

    #[test]
    fn documents_with_tricks_or_damage_are_refused_with_their_line() {
        let deep = format!("<r>{}", "<a>".repeat(100_000));
        for (text, start) in [
            (
                "",
                "line 1: the XML is not well-formed: there is no element",
            ),
            ("<s/>", "line 1: `s`: the root element"),
            ("<r>\n<a></b>", "line 2: the XML is not well-formed"),
            (
                "<r>\n<a>\n",
                "line 2: the XML is not well-formed: `a` has no end",
            ),
            (
                "<r/>\n<r/>",
                "line 2: the XML is not well-formed: there is more",
            ),
            (
                "<r/>\nx",
                "line 1: the XML is not well-formed: there is text",
            ),
            (
                "<r>\n<a b='1' b='2'/></r>",
                "line 2: the XML is not well-formed",
            ),
            (
                "<r>\n<a>&#1;</a></r>",
                "line 2: the XML is not well-formed: there is a char",
            ),
            ("<r>\n\n&x;</r>", "line 3: the XML has the entity `&x;`"),
            (
                "<!DOCTYPE r [<!ENTITY x 'y'>]><r/>",
                "line 1: the XML has a document",
            ),
            (
                "<?xml version='1.0' encoding='latin1'?><r/>",
                "line 1: `latin1`: the XML declares",
            ),
            (
                &deep,
                "line 1: the XML is not well-formed: it has more than 64",
            ),
        ] {
            let fault = children(text).unwrap_err();
            assert!(fault.starts_with(start), "{text}: {fault}");
        }
    }
}
